"""Filesystems in a data root that do not answer."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.hanging import hanging as _hanging
from tests.support.roots import GraphRoot, change
from tests.support.waiting import DEADLINE

_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@_root
def test_a_volume_that_hangs(built: GraphRoot) -> None:
    """A FUSE filesystem whose server never answers, mounted on a volume, and one below the data of another."""
    for name in ("dead", "deep"):
        (built.path / "volumes" / name / "_data" / "inside").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_hanging(built.path / "volumes/dead/_data"))
        stack.enter_context(_hanging(built.path / "volumes/deep/_data/inside"))
        running = stack.enter_context(exporter(built.path))
        running.wait_for("up", 1)
        figures = running.becomes("skipped_mounts", 2)
        assert figures.sum("volumes") == 2
        assert [labels["volume"] for labels, _ in figures.all("volume_size_bytes")] == ["deep"]
        change(built)
        running.becomes("layers", 4)


@_root
def test_a_store_that_hangs(built: GraphRoot) -> None:
    """A filesystem mounted on `volumes` itself stops answering, and does so again later."""
    (built.path / "volumes/data/_data").mkdir(parents=True)
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        with _hanging(built.path / "volumes"):
            figures = running.becomes("scan_errors_total", 1, collector="volumes", reason="timeout")
            assert figures("up") == 1
            change(built)
            figures = running.becomes("layers", 4)
            assert figures("scan_success", collector="volumes") == 0
            assert figures("scan_success", collector="containers") == 1
            assert not figures.all("volume_size_bytes")
            with exporter(built.path) as another:  # one that has never seen it answer
                figures = another.becomes("scan_errors_total", 1, collector="volumes", reason="timeout")
                assert figures.sum("containers") == 2
        figures = becomes_as_fresh(running, built.path)
        assert figures("scan_success", collector="volumes") == 1


@_root
def test_a_root_that_hangs(built: GraphRoot) -> None:
    """What looks at it may be stuck in the kernel: then it is ended, and the next one goes round what hangs."""
    with exporter(built.path, "--scan.tree-timeout", "2") as running:
        becomes_as_fresh(running, built.path)
        with _hanging(built.path):
            assert not running.wait_for("up", 0).all("layers")
        becomes_as_fresh(running, built.path)


@_root
def test_a_root_that_hangs_from_the_start(built: GraphRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is open and says so, also where the default place of the cache has to be found first."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    with _hanging(built.path), exporter(built.path, "--cache.file", "") as running:
        assert running.figures()("up") == 0
    with exporter(built.path, "--cache.file", "") as running:
        becomes_as_fresh(running, built.path)


@_root
def test_a_single_scan_of_what_hangs_ends(built: GraphRoot) -> None:
    """The filesystem stops answering after it was asked whether it does."""
    unasked = (
        "from exporter.cli.main import main; from exporter.inventory import opening\nopening.read_mounts = list\nmain()"
    )
    command = [sys.executable, "-c", unasked, "once", "--root", str(built.path), "--scan.tree-timeout", "1"]
    with _hanging(built.path / "containers"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "docker_storage_up 0" in done.stdout
