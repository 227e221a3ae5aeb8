"""A data root that comes, goes, is replaced, unmounted and mounted again while an exporter runs on it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.mounts import mounted, unmount
from tests.support.product import needs
from tests.support.roots import GraphRoot, change, graph_root

_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_root_that_appears_later(built: GraphRoot, tmp_path: Path) -> None:
    away = tmp_path / "away"
    built.path.rename(away)
    with exporter(built.path) as running:
        assert running.figures()("up") == 0
        away.rename(built.path)
        assert becomes_as_fresh(running, built.path)("up") == 1


def test_a_root_that_is_deleted_and_made_again(built: GraphRoot, tmp_path: Path) -> None:
    shutil.copytree(built.path, tmp_path / "copy", symlinks=True)
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        shutil.rmtree(built.path)
        running.wait_for("up", 0)
        (tmp_path / "copy").rename(built.path)
        becomes_as_fresh(running, built.path)
        running.becomes("watch_restarts_total", 1, reason="root")
        change(built)
        becomes_as_fresh(running, built.path)
        assert running.becomes("watch_events_total", 1)("up") == 1


def test_a_root_that_is_replaced_by_another(built: GraphRoot, tmp_path: Path) -> None:
    other = graph_root(tmp_path / "other").image("other", size=77, files={"x": 8}, tag="other:1")
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        built.path.rename(tmp_path / "away")
        other.path.rename(built.path)
        becomes_as_fresh(running, built.path)
        figures = running.becomes("watch_restarts_total", 1, reason="root")
    assert figures("image_virtual_size_bytes") == 77


@_root
def test_a_root_that_is_unmounted_and_mounted_again(built: GraphRoot, tmp_path: Path) -> None:
    mountpoint = tmp_path / "mnt"
    mountpoint.mkdir()
    with exporter(mountpoint) as running:
        for _ in range(2):
            with mounted(mountpoint, "--bind", str(built.path)):
                becomes_as_fresh(running, mountpoint)
                unmount(mountpoint)
                running.wait_for("up", 0)
                subprocess.run(["mount", "--bind", str(built.path), str(mountpoint)], check=True)


@_root
@needs("mkfs.ext4")
def test_a_disk_that_is_unmounted_and_mounted_again_at_once(tmp_path: Path) -> None:
    """It is the same root, but the kernel has taken the watches away and brings none back."""
    mountpoint, disk = tmp_path / "mnt", tmp_path / "disk"
    mountpoint.mkdir()
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(disk)], check=True)
    with mounted(mountpoint, "-o", "loop", str(disk)):
        built = graph_root(mountpoint).image("base", size=3, files={"a": 3}, tag="base:1")
        identity = built.path.stat().st_dev, built.path.stat().st_ino
        with exporter(built.path) as running:
            becomes_as_fresh(running, built.path)
            unmount(mountpoint)
            subprocess.run(["mount", "-o", "loop", str(disk), str(mountpoint)], check=True)
            if identity != (built.path.stat().st_dev, built.path.stat().st_ino):
                pytest.skip("it came back as another disk")
            change(built)
            running.becomes("watch_restarts_total", 1)
            figures = running.becomes("watch_mode", 1, mode="inotify")
            before = figures.sum("watch_events_total", area="images")
            change(built, "again")
            becomes_as_fresh(running, built.path)
            assert running.becomes("watch_events_total", before + 1, area="images")("up") == 1
