import os

from exporter.core.model import Filesystem
from exporter.service.space_ring import PAUSE_SECONDS, SpaceRing

_DISK = Filesystem("/var/lib/docker", "/dev/vda1", "/", "ext4")
_OTHER = Filesystem("/var/lib/docker/volumes", "/dev/vdb1", "/var/lib/docker/volumes", "xfs", "volumes")


def _status(free: int, size: int = 1000) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, size, free, free, 0, 0, 0, 0, 255))


def test_it_says_how_much_was_used_an_hour_ago() -> None:
    ring = SpaceRing()
    assert ring.then(0.0) is None
    for step in range(30):
        ring.note(step * PAUSE_SECONDS, [(_DISK, _status(1000 - step))])
    then = ring.then(29 * PAUSE_SECONDS + 5)
    assert then is not None
    assert then.used == {_DISK.path: 17 * 4096}
    assert (then.seconds, then.begun) == (3605.0, 29 * PAUSE_SECONDS + 5)


def test_one_that_does_not_answer_or_says_nonsense_is_not_known() -> None:
    ring = SpaceRing()
    ring.note(0.0, [])
    assert ring.then(10.0) is None, "nothing is noted where none answers"
    ring.note(10.0, [(_OTHER, _status(5000))])
    then = ring.then(20.0)
    assert then is not None
    assert then.used == {_OTHER.path: None}
    assert then.begun == 10.0
