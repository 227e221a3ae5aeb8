"""Kernel watches that are missing, exhausted or overflow."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.roots import GraphRoot, change, hex_id
from tests.support.waiting import eventually

_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_without_events_everything_is_found_as_well(built: GraphRoot) -> None:
    with exporter(built.path, "--no-watch") as running:
        becomes_as_fresh(running, built.path)
        change(built)
        figures = becomes_as_fresh(running, built.path)
        assert figures("watch_mode", mode="polling") == 1
        assert figures("watch_missed_changes_total") >= 1
        assert figures("watch_events_total", area="images") == 0
        shutil.rmtree(built.path / "containers" / hex_id("web"))
        becomes_as_fresh(running, built.path)


@contextlib.contextmanager
def _sysctl(name: str, value: int) -> Iterator[None]:
    """Change a limit of the whole machine. It is a child that sets it back, also when this process is killed."""
    file = Path("/proc/sys/fs/inotify") / name
    restore = ["sh", "-c", 'cat > /dev/null; echo "$1" > "$2"', "sh", file.read_text().strip(), str(file)]
    guard = subprocess.Popen(restore, stdin=subprocess.PIPE, start_new_session=True)
    try:
        with contextlib.suppress(OSError):
            file.write_text(str(value))
        if file.read_text().strip() != str(value):
            pytest.skip("the kernel's limits may not be changed here")
        yield
    finally:
        guard.communicate()


@pytest.mark.machine
@_root
def test_too_few_watches(built: GraphRoot) -> None:
    for number in range(12):
        built.container(f"c{number}", image="base", writable={"w": 4})
    with exporter(built.path) as running, _sysctl("max_user_watches", 8):
        figures = running.becomes("watch_mode", 0, mode="polling")
    with _sysctl("max_user_watches", 8), exporter(built.path) as running:
        figures = running.becomes("watch_mode", 1, mode="polling")
        assert figures("watches_limit") == 8
        change(built)
        becomes_as_fresh(running, built.path)


@pytest.mark.machine
@_root
def test_no_watch_instance_is_left(built: GraphRoot) -> None:
    with _sysctl("max_user_instances", 0), exporter(built.path) as running:
        if not any("watch.impossible" in line for line in running.lines):
            running.log_line("watch.impossible")
        running.becomes("watch_mode", 1, mode="polling")
        change(built)
        assert becomes_as_fresh(running, built.path)("watches") == 0


@pytest.mark.machine
@_root
def test_a_queue_that_overflows(built: GraphRoot) -> None:
    with _sysctl("max_queued_events", 16), exporter(built.path) as running:
        becomes_as_fresh(running, built.path)

        def overflown() -> bool:
            for number in range(500):
                (built.path / "graph" / f"_{number}").mkdir()
            for number in range(500):
                (built.path / "graph" / f"_{number}").rmdir()
            return bool(running.figures()("watch_overflows_total"))

        eventually(overflown)
        change(built)
        figures = becomes_as_fresh(running, built.path)
        assert figures.sum("scans_total", trigger="overflow") >= 1
