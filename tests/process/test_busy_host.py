"""What grows unseen, what is large and what hangs beside each other: the rest is served as if it were alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from exporter.demo.writer import State
from exporter.measure.pool.task import SMALL_ENTRIES
from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.hanging import hanging
from tests.support.mounts import mounted
from tests.support.product import Samples, process_of
from tests.support.roots import GraphRoot, graph_root, hex_id

_MIB = 1 << 20
_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@contextmanager
def _running(built: GraphRoot, *names: str) -> Iterator[list[Path]]:
    """Have containers that run; gives the directories that they write to."""
    built.image("base", size=3, tag="base:1")
    with ExitStack() as stack:
        for name in names:
            state = State(running=True, pid=stack.enter_context(process_of(hex_id(name))))
            built.container(name, image="base", writable={"w": 4}, state=state)
        yield [built.path / "aufs/diff" / hex_id(name) for name in names]


def _writable(figures: Samples, container: str) -> float:
    return figures.sum("container_writable_size_bytes", container_id=hex_id(container)[:12])


@_root
@pytest.mark.parametrize("own", [False, True])
def test_growth_that_only_the_disk_tells_of_is_served_before_its_audit(tmp_path: Path, own: bool) -> None:
    """A running container writes a hundred megabytes: on the root's filesystem, or on one of the layers' own."""
    with ExitStack() as stack:
        stack.enter_context(mounted(tmp_path, "-t", "tmpfs", "none"))  # nobody else is to use its space
        built = graph_root(tmp_path)
        if own:
            stack.enter_context(mounted(built.path / "aufs/diff", "-t", "tmpfs", "layers"))
        (layer,) = stack.enter_context(_running(built, "web"))
        running = stack.enter_context(exporter(built.path, "--scan.interval", "86400"))
        becomes_as_fresh(running, built.path)
        audits = running.figures().sum("scans_total", trigger="audit")
        with (layer / "w").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 100 * _MIB)
            running.until(lambda figures: _writable(figures, "web") == 100 * _MIB)
            running.becomes("scans_total", audits + 1, trigger="audit")  # it is counted when all of it is measured


@_root
def test_a_tree_that_hangs_is_left_alone_and_the_others_are_measured(tmp_path: Path) -> None:
    """Something is mounted below a running container's layer after the scan, and does not answer."""
    built = graph_root(tmp_path)
    with _running(built, "web", "bad") as (web, bad), exporter(built.path, "--scan.tree-timeout", "1") as running:
        becomes_as_fresh(running, built.path)
        (bad / "inside").mkdir()
        with hanging(bad / "inside", deadly=True):
            figures = running.until(lambda figures: figures.sum("scan_errors_total", reason="timeout") >= 3)
            # A scan after this one may know of the mount, and leave it out.
            assert figures("scan_success", collector="containers") == 0
            (web / "w").write_bytes(b"x" * 5000)
            figures = running.until(lambda figures: _writable(figures, "web") == 5000)
            assert _writable(figures, "bad") == 4, "what was last known"
        running.until(lambda figures: figures("scan_success", collector="containers") == 1)
        becomes_as_fresh(running, built.path)
        running.process.send_signal(signal.SIGTERM)
        running.log_line("exporter.stopped|stopped")
    # Three timeouts were seen, and no worker was sent after one that hangs. (A second one is lost where the machine is
    # so busy that a tree does not come to its end within the second.)
    assert 1 <= sum("worker.lost" in line and hex_id("bad") in line for line in running.lines) <= 2


@_root
def test_a_large_tree_that_is_audited_holds_up_no_small_one(tmp_path: Path) -> None:
    """However long it takes: here it hangs, and is never given up on."""
    with ExitStack() as stack:
        stack.enter_context(mounted(tmp_path, "-t", "tmpfs", "none"))
        built = graph_root(tmp_path)
        large, web = stack.enter_context(_running(built, "large", "web"))
        for number in range(SMALL_ENTRIES + 1):
            os.mknod(large / f"file{number}")
        running = stack.enter_context(exporter(built.path, "--scan.tree-timeout", "600", "--scan.workers", "1"))
        becomes_as_fresh(running, built.path)
        (large / "inside").mkdir()
        stack.enter_context(hanging(large / "inside"))

        def served(size: int) -> None:
            (web / "w").write_bytes(b"x" * size)
            running.until(lambda figures: _writable(figures, "web") == size)

        for size in (5000, 6000, 7000, 8000):
            served(size)
