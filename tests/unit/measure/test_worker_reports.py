"""When a worker says how far it is: that is when others may ask it for a part of its work."""

import os
import time
from collections.abc import Iterator

import pytest

from exporter.core.framing import FrameReader
from exporter.measure.pool.protocol import MeasureTree, SharedWork, ShareWork, Working, decode_answers, encode_orders
from exporter.measure.pool.worker_main import Worker


@pytest.fixture
def pipes() -> Iterator[list[tuple[int, int]]]:
    """The pipes of a worker for its orders, its answers, and what it begins."""
    made = [os.pipe() for _ in range(3)]
    yield made
    for both in made:
        for one in both:
            os.close(one)


def test_who_gave_away_little_reports_soon(pipes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a worker that got one small tree would have nothing to do until the next report."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    worker = Worker(pipes[0][0], pipes[1][1], pipes[2][1])
    os.write(pipes[0][1], encode_orders([MeasureTree(7, 1.0, ("small",), None, (), 0), ShareWork()]))
    worker._read_orders(0)
    os.set_blocking(pipes[1][0], False)
    said = [_said(worker, pipes[1][0], now)]
    for seconds in (0.01, 0.03, 0.03, 0.1):
        now += seconds
        said.append(_said(worker, pipes[1][0], now))
    assert said == [[SharedWork], [], [Working], [], []]


def _said(worker: Worker, sink: int, now: float) -> list[type]:
    """The kinds of answers that a worker has given by now."""
    worker._report_progress(now, 5)
    try:
        return [type(one) for one in decode_answers(FrameReader().feed(os.read(sink, 1 << 16)))]
    except BlockingIOError:
        return []
