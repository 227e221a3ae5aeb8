"""The date of the machine is set while the exporter runs."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter.demo.writer import State
from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.product import process_of
from tests.support.roots import GraphRoot, change, hex_id

_CLOCK = """
import os, time
def _shifted(clock, unit):
    def now():
        with open(os.environ["CLOCK"]) as file:
            return clock() + unit(float(file.read()))
    return now
time.time = _shifted(time.time, float)
time.time_ns = _shifted(time.time_ns, lambda seconds: int(seconds * 1e9))
"""


def test_a_clock_that_is_set(built: GraphRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour back, an hour ahead: what all processes are told of the date, by a file."""
    (tmp_path / "shifted").mkdir()
    clock = tmp_path / "shifted/clock"  # where modules are loaded from, all processes may read
    clock.write_text("0")
    (tmp_path / "shifted/sitecustomize.py").write_text(_CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shifted"))
    monkeypatch.setenv("CLOCK", str(clock))
    written = built.path / "aufs/diff" / hex_id("run") / "w"
    with process_of(hex_id("run")) as pid, ExitStack() as stack:
        built.container("run", image="base", state=State(running=True, pid=pid), writable={"w": 4})
        running = stack.enter_context(exporter(built.path))
        taken = becomes_as_fresh(running, built.path)("snapshot_timestamp_seconds")
        for number, shift in enumerate((-3600, 3600, 0)):
            (tmp_path / "new").write_text(str(shift))
            (tmp_path / "new").rename(clock)
            change(built, f"more{number}")
            figures = becomes_as_fresh(running, built.path)
            assert abs(figures("snapshot_timestamp_seconds") - taken - shift) < 600
            written.write_bytes(b"x" * (1000 + number))  # no event tells of this
            becomes_as_fresh(running, built.path)
        figures = becomes_as_fresh(running, built.path)
        assert figures("watch_mode", mode="polling") == 0
        assert figures.sum("scans_total", trigger="event") >= 3
