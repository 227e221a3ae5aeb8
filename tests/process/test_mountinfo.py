import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.core.model import Filesystem
from exporter.core.mountinfo import MountPoint, filesystems, foreign_mounts, mount_of, read_mounts
from tests.support.product import Samples
from tests.support.roots import graph_root

_LINES = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 254:0 /var/lib/docker/aufs /var/lib/docker/aufs rw - ext4 /dev/vda rw
31 30 0:50 / /var/lib/docker/aufs/mnt/c1 rw - aufs none rw,si=1
32 22 254:0 /srv/data /var/lib/docker/volumes/a\040b/_data rw - ext4 /dev/vda rw
33 22 254:0 / /var/lib/docker-other rw - ext4 /dev/vda rw
34 22 0:51 / /var/lib/docker/tmp rw - tmpfs tmpfs rw
35 22 0:52 / /var/lib/docker/volumes rw - tmpfs tmpfs rw
36 22 0:51 /a /var/lib/docker/trust rw - tmpfs tmpfs rw
broken
"""


@pytest.fixture
def mounts(tmp_path: Path) -> list[MountPoint]:
    source = tmp_path / "mountinfo"
    source.write_text(_LINES)
    return read_mounts(str(source))


def test_a_directory_mounted_on_itself_is_no_foreign_mount(mounts: list[MountPoint]) -> None:
    foreign = [mount.path for mount in foreign_mounts("/var/lib/docker", mounts)]
    assert foreign[:2] == ["/var/lib/docker/aufs/mnt/c1", "/var/lib/docker/volumes/a b/_data"]
    assert "/var/lib/docker/aufs" not in foreign


def test_a_name_that_any_filesystem_may_have_tells_none_from_another(mounts: list[MountPoint]) -> None:
    found = filesystems("/var/lib/docker", ["aufs", "tmp", "trust", "volumes"], [], mounts, os.makedev(254, 0))
    assert [one.mountpoint for one in found] == ["/", "/var/lib/docker/tmp", "/var/lib/docker/volumes"]


def test_a_filesystem_whose_mount_is_not_listed_is_known_by_its_number(mounts: list[MountPoint]) -> None:
    """As in a chroot whose root is no mount point."""
    listed = [mount for mount in mounts if mount.path not in ("/", "/var/lib/docker/aufs")]
    found = filesystems("/var/lib/docker", ["aufs", "tmp"], [], listed, os.makedev(254, 9))
    assert found[0] == Filesystem("/var/lib/docker", "254:9", "/var/lib/docker", "")
    assert [one.mountpoint for one in found] == ["/var/lib/docker", "/var/lib/docker/tmp"]
    (known, *_) = filesystems("/var/lib/docker", [], [], listed, os.makedev(254, 0))
    assert known == Filesystem("/var/lib/docker", "/dev/vda", "/var/lib/docker", "ext4"), "by another mount of it"


def test_a_path_lies_on_the_nearest_mount(mounts: list[MountPoint]) -> None:
    found = mount_of("/var/lib/docker/aufs/mnt/c1/etc", mounts)
    assert found is not None
    assert found.fstype == "aufs"
    assert read_mounts("/nowhere/mountinfo") == []


def _may_mount() -> bool:
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(os.getuid() != 0 or not _may_mount(), reason="needs to mount in a namespace of its own")
def test_what_is_mounted_within_is_not_entered(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 1_000_000)
    root = built.path
    (root / "tmp/tmpfs").mkdir()
    (root / "tmp/bind").mkdir()
    script = (
        f"mount -t tmpfs none {root}/tmp/tmpfs && head -c 500000 /dev/zero > {root}/tmp/tmpfs/file && "
        f"mount --bind {outside} {root}/tmp/bind && mount --bind {root}/aufs {root}/aufs && "
        f"exec {sys.executable} -m exporter once --root {root}"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)
    figures = Samples(done.stdout)
    assert figures("skipped_mounts") == 2
    assert figures("directory_size_bytes", directory="tmp") == 0
    assert figures("directory_inodes", directory="aufs") > 3
