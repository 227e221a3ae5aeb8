"""An error inside of a worker, with one tree: it is an answer like any other, and the next tree is measured."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.framing import FrameReader
from exporter.core.measured import Reason
from exporter.measure.pool.protocol import (
    Answer,
    FailedWork,
    MeasuredTrees,
    MeasureTree,
    Order,
    UseRoot,
    decode_answers,
    encode_orders,
    unpack_rows,
)
from exporter.measure.pool.worker_main import Worker
from exporter.measure.walk import Walk


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Answer]]:
    """What a worker answers that measures the trees `a`, with which it fails, and `b`."""
    for name in "ab":
        for number in range(64):  # the walk measures a tree with so many
            (tmp_path / name / str(number)).mkdir(parents=True)
        (tmp_path / name / "file").write_bytes(bytes(10))
    with DataRoot(str(tmp_path)) as root:
        use = UseRoot(str(tmp_path), root.device, root.inode, [])
    real = Walk.run

    def fails(walk: Walk, *starts: object) -> object:
        if walk._tree == ("a",):
            message = "what nobody has foreseen"
            raise ZeroDivisionError(message)
        return real(walk, *starts)  # type: ignore[arg-type]

    monkeypatch.setattr(Walk, "run", fails)
    pipes = [os.pipe() for _ in range(3)]
    orders: list[Order] = [use, *(MeasureTree(at, 1.0, (name,), None, (), 0) for at, name in enumerate("ab"))]
    os.write(pipes[0][1], encode_orders(orders))
    worker = Worker(pipes[0][0], pipes[1][1], pipes[2][1])
    worker._read_orders(0)
    while worker._queue:
        worker._work(worker._queue.popleft())
    worker._flush()
    yield decode_answers(FrameReader().feed(os.read(pipes[1][0], 1 << 16)))
    for both in pipes:
        for one in both:
            os.close(one)


def test_a_fault_is_the_answer_for_its_tree_and_the_next_is_measured(answers: list[Answer]) -> None:
    failed = next(one for one in answers if isinstance(one, FailedWork))
    assert (failed.number, failed.reason, failed.tree) == (0, Reason.INTERNAL, ("a",))
    assert failed.detail.startswith("ZeroDivisionError at test_worker_faults.py:")
    assert "what nobody has foreseen" in failed.traceback
    rows = [row for one in answers if isinstance(one, MeasuredTrees) for row in unpack_rows(one.rows)]
    assert [row[0] for row in rows] == [1]
