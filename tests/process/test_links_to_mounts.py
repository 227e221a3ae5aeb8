"""Links in a root that lead to other filesystems, also to one that does not answer."""

import os
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.hanging import hanging
from tests.support.mounts import mounted
from tests.support.product import Samples
from tests.support.roots.linked import root_with_volume

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs to mount")


def test_the_filesystem_behind_a_link_is_shown(tmp_path: Path) -> None:
    root, disk = root_with_volume(tmp_path), tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "tmpfs"):
        os.rename(root / "volumes", tmp_path / "moved")
        (disk / "volumes").mkdir()
        (root / "volumes").symlink_to("../disk/volumes")
        figures = Samples(run("once", "--root", str(root)).stdout)
        assert figures("filesystem_size_bytes", mountpoint=str(disk)) > 0
        assert len(figures.all("filesystem_size_bytes")) == 2


@pytest.mark.parametrize("command", ["once", "df", "images", "containers", "layers", "backup"])
def test_a_link_to_a_filesystem_that_hangs_holds_nothing_up(tmp_path: Path, command: str) -> None:
    root, disk = root_with_volume(tmp_path), tmp_path / "disk"
    disk.mkdir()
    os.rename(root / "volumes", tmp_path / "moved")
    (root / "volumes").symlink_to(f"{disk}/volumes")
    with hanging(disk):
        done = run(command, "--root", str(root))
        assert done.returncode == 1
        assert done.stdout
        assert f"a link to {disk}/volumes" in done.stderr


def test_whose_a_path_behind_a_link_that_hangs_is_said(tmp_path: Path) -> None:
    root, disk = root_with_volume(tmp_path), tmp_path / "disk"
    disk.mkdir()
    os.rename(root / "volumes", tmp_path / "moved")
    (root / "volumes").symlink_to(f"{disk}/volumes")
    with hanging(disk):
        done = run("whose", "--root", str(root), "volumes/data/_data/f")
        assert "volume: data" in done.stdout
