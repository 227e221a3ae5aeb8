"""A data root and the root of a containerd beside it, while the second one changes, comes, goes and is replaced."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from exporter.core.landlock import version
from exporter.demo.containerd_docker import ContainerdWriter
from tests.support.exporter import Exporter, exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.mounts import mounted, unmount
from tests.support.product import du, needs, scanning
from tests.support.rights import without_rights
from tests.support.roots.two import CONTAINERD, two_roots
from tests.support.waiting import eventually

_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
_landlock = pytest.mark.skipif(version() < 4, reason="this kernel has no landlock, or an old one")
_SECOND = "directory_allocated_bytes"


@pytest.fixture
def built(tmp_path: Path) -> ContainerdWriter:
    return two_roots(tmp_path, "web", "db")


@pytest.fixture
def beside(built: ContainerdWriter) -> Path:
    return built.root.parent / CONTAINERD


def _shows(running: Exporter, root: Path) -> None:
    """Wait until the second root is shown, and adds up."""
    running.until(lambda figures: figures.sum(_SECOND, root=str(root)) == du(root, "--block-size=1"))


def test_each_root_adds_up_and_a_change_in_the_second_one_has_an_event(built: ContainerdWriter, beside: Path) -> None:
    with exporter(built.root, "--watch.look-interval", "600") as running:
        _shows(running, beside)
        _shows(running, built.root)
        before = running.figures().sum("watch_events_total")
        (beside / "made").mkdir()
        running.becomes("watch_events_total", before + 1)
        running.until(lambda figures: bool(figures.all(_SECOND, root=str(beside), directory="made")))
        _shows(running, beside)
        assert not running.figures().sum("watch_missed_changes_total")


def test_a_change_in_the_second_root_is_found_without_events(built: ContainerdWriter, beside: Path) -> None:
    with exporter(built.root, "--no-watch") as running:
        _shows(running, beside)
        made = beside.parent / "made"
        made.mkdir()
        for name in ("file", "blob"):
            (made / name).write_bytes(bytes(50_000))
        # As a containerd does: what has a digest as its name is whole from the beginning.
        (made / "blob").rename(beside / "io.containerd.content.v1.content/blobs/sha256" / ("f" * 64))
        made.rename(beside / "made")
        _shows(running, beside)
        becomes_as_fresh(running, built.root)


def test_a_second_root_that_is_removed_and_made_again(built: ContainerdWriter, beside: Path) -> None:
    with exporter(built.root) as running:
        _shows(running, beside)
        shutil.copytree(beside, beside.parent / "copy", symlinks=True)
        shutil.rmtree(beside)
        running.until(lambda figures: not figures.all("root_info", root=str(beside)))
        running.until(lambda figures: figures.sum("directory_inodes") == du(built.root, "--inodes"))
        assert running.figures()("up") == 1
        running.log_line("event=containerd.not_read path=.*containerd why=.*does not exist")
        (beside.parent / "copy").rename(beside)
        _shows(running, beside)
        becomes_as_fresh(running, built.root)
        before = running.figures().sum("watch_events_total")
        (beside / "made").mkdir()
        running.becomes("watch_events_total", before + 1)
        becomes_as_fresh(running, built.root)
        assert running.becomes("watch_restarts_total", 1, reason="root")("up") == 1


def test_a_second_root_that_comes_later(built: ContainerdWriter, beside: Path) -> None:
    beside.rename(beside.parent / "away")
    with exporter(built.root) as running:
        running.until(lambda figures: figures.sum("directory_inodes") == du(built.root, "--inodes"))
        running.log_line("event=containerd.not_read path=unknown")
        eventually(lambda: b"--containerd.root DIRECTORY" in running.get("/")[2])
        (beside.parent / "away").rename(beside)
        _shows(running, beside)
        becomes_as_fresh(running, built.root)
        eventually(lambda: b"--containerd.root" not in running.get("/")[2])


def test_a_second_root_that_is_given_and_comes_later(built: ContainerdWriter, beside: Path) -> None:
    beside.rename(beside.parent / "away")
    with exporter(built.root, "--containerd.root", str(beside)) as running:
        running.log_line("event=containerd.not_read path=.*containerd why=.*does not exist")
        (beside.parent / "away").rename(beside)
        _shows(running, beside)


@_root
def test_a_second_root_that_is_unmounted_and_mounted_again(built: ContainerdWriter, beside: Path) -> None:
    real = beside.rename(beside.parent / "real")
    beside.mkdir()
    with exporter(built.root) as running:
        for _ in range(2):
            with mounted(beside, "--bind", str(real)):
                _shows(running, beside)
                becomes_as_fresh(running, built.root)
                unmount(beside)
                running.until(lambda figures: not figures.all("root_info", root=str(beside)))
                subprocess.run(["mount", "--bind", str(real), str(beside)], check=True)
    assert running.process.returncode is not None


@_root
@_landlock
def test_the_scanning_process_is_replaced_for_a_second_root_that_comes_later(
    built: ContainerdWriter, beside: Path
) -> None:
    beside.rename(beside.parent / "away")
    with exporter(built.root, "--sandbox", "required") as running:
        running.log_line("event=containerd.not_read")
        (before,) = scanning(running.process.pid)
        (beside.parent / "away").rename(beside)
        _shows(running, beside)
        running.log_line("event=scanner.replaced")
        assert [one for one in scanning(running.process.pid) if one != before]


@needs("setpriv")
@pytest.mark.parametrize("place", [".", "io.containerd.metadata.v1.bolt"])
def test_a_second_root_that_may_not_be_read_keeps_nobody_busy(
    built: ContainerdWriter, beside: Path, place: str
) -> None:
    (beside / place).chmod(0)
    with exporter(built.root, under=without_rights()) as running:
        running.log_line("event=containerd.not_read path=.*containerd why=.*Permission denied")
        running.becomes("scans_total", 1)
        (before,) = scanning(running.process.pid)
        running.becomes("scans_total", 3)
        assert scanning(running.process.pid) == [before]
        (beside / place).chmod(0o755)
        _shows(running, beside)
