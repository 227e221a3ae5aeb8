import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.core.model import Filesystem
from exporter.core.mountinfo import (
    MountPoint,
    filesystems,
    foreign_mounts,
    foreign_trees_of,
    mount_of,
    only_the_mount_is_readonly,
    read_mounts,
)

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
def mounts(tmp_path: Path) -> Sequence[MountPoint]:
    source = tmp_path / "mountinfo"
    source.write_text(_LINES)
    return read_mounts(str(source))


def test_a_directory_mounted_on_itself_is_no_foreign_mount(mounts: Sequence[MountPoint]) -> None:
    foreign = [mount.path for mount in foreign_mounts("/var/lib/docker", mounts)]
    assert foreign[:2] == ["/var/lib/docker/aufs/mnt/c1", "/var/lib/docker/volumes/a b/_data"]
    assert "/var/lib/docker/aufs" not in foreign


def test_a_name_that_any_filesystem_may_have_tells_none_from_another(mounts: Sequence[MountPoint]) -> None:
    found = filesystems(
        "/var/lib/docker", [("aufs",), ("tmp",), ("trust",), ("volumes",)], [], mounts, os.makedev(254, 0)
    )
    assert [one.mountpoint for one in found] == ["/", "/var/lib/docker/tmp", "/var/lib/docker/volumes"]


def test_a_filesystem_whose_mount_is_not_listed_is_known_by_its_number(mounts: Sequence[MountPoint]) -> None:
    """As in a chroot whose root is no mount point."""
    listed = [mount for mount in mounts if mount.path not in ("/", "/var/lib/docker/aufs")]
    found = filesystems("/var/lib/docker", [("aufs",), ("tmp",)], [], listed, os.makedev(254, 9))
    assert found[0] == Filesystem("/var/lib/docker", "254:9", "/var/lib/docker", "")
    assert [one.mountpoint for one in found] == ["/var/lib/docker", "/var/lib/docker/tmp"]
    (known, *_) = filesystems("/var/lib/docker", [], [], listed, os.makedev(254, 0))
    assert known == Filesystem("/var/lib/docker", "/dev/vda", "/var/lib/docker", "ext4"), "by another mount of it"


def test_a_path_lies_on_the_nearest_mount(mounts: Sequence[MountPoint]) -> None:
    found = mount_of("/var/lib/docker/aufs/mnt/c1/etc", mounts)
    assert found is not None
    assert found.fstype == "aufs"
    assert not read_mounts("/nowhere/mountinfo")


def test_the_filesystem_of_a_further_root_has_an_absolute_directory() -> None:
    """The data root's is the first one. What is mounted in a further root is told by its path, as its trees are."""
    mounts = [
        MountPoint("1", "0", "/", "/", "8:1", "/dev/a", "ext4"),
        MountPoint("2", "1", "/var/lib/containerd", "/", "8:2", "/dev/b", "xfs"),
        MountPoint("3", "2", "/var/lib/containerd/snapshots", "/", "8:3", "/dev/c", "ext4"),
        MountPoint("4", "1", "/var/lib/docker/volumes", "/", "8:4", "/dev/d", "ext4"),
    ]
    top = ("/var/lib/containerd",)
    parts = [top, ("volumes",), (*top, "snapshots")]
    found = filesystems("/var/lib/docker", parts, [], mounts, os.makedev(8, 1))
    assert [(one.mountpoint, one.directory, one.own) for one in found] == [
        ("/", "", False),
        ("/var/lib/containerd", "/var/lib/containerd", False),
        ("/var/lib/docker/volumes", "volumes", False),
        ("/var/lib/containerd/snapshots", "/var/lib/containerd/snapshots", False),
    ]
    assert foreign_trees_of([(), top], "/var/lib/docker", mounts).keys() == {("volumes",), (*top, "snapshots")}


def test_a_read_only_mount_of_a_filesystem_that_is_not_read_only_is_told_from_one_that_is(tmp_path: Path) -> None:
    source = tmp_path / "mountinfo"
    source.write_text(
        "40 1 8:1 / /var/lib/docker ro,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
        "41 1 8:2 / /srv/a\\040b ro,relatime - ext4 /dev/sdb1 ro\n"
        "42 1 8:3 / /srv/twice ro - ext4 /dev/sdc1 ro\n"
        "43 42 8:4 / /srv/twice ro - ext4 /dev/sdd1 rw\n"
        "44 1 8:5 / /srv/short ro - ext4 /dev/sde1\n"
    )
    told = {
        path: only_the_mount_is_readonly(path, str(source))
        for path in ("/var/lib/docker", "/srv/a b", "/srv/twice", "/srv/none")
    }
    assert told == {"/var/lib/docker": True, "/srv/a b": False, "/srv/twice": True, "/srv/none": False}
    assert not only_the_mount_is_readonly("/srv", str(tmp_path / "none"))
