"""A tree that workers have shared is the sum of its parts, whichever of them ends last."""

from itertools import permutations
from typing import Any, cast

import pytest

from exporter.core.measured import Usage
from exporter.measure.pool.pool import Pool
from exporter.measure.pool.protocol import MeasuredTrees, SharedWork, pack_row
from exporter.measure.pool.task import Task, WorkItem
from exporter.measure.start import WHOLE

_TREE = ("volumes", "data", "_data")


class _Worker:
    """What the pool asks a worker for when an answer has come."""

    def done(self, number: int) -> None:
        """Forget an item."""

    def note_shared(self, *, anything: bool) -> None:
        """Note that it was asked."""


@pytest.mark.parametrize("order", list(permutations((0, 1, 2))))
def test_the_part_that_ends_last_does_not_stand_for_the_whole(order: tuple[int, ...]) -> None:
    pool, task, worker = Pool(1, 30), Task(_TREE), cast("Any", _Worker())
    whole = pool._items[0] = WorkItem(0, task, task.attempt)
    for _ in range(2):
        pool._shared(worker, SharedWork([], whole.number, [WHOLE], paced=False))
    parts = [whole, *pool._waiting.pop_urgent(2)]
    pool._items.update((item.number, item) for item in parts)
    for at in order:
        row = pack_row(parts[at].number, (1, 2, 3), (10**at, 10**at, 10**at, 10**at, 0))
        pool._measured_several(worker, MeasuredTrees(row, 0.0, 0.0))
    (result,) = pool._finished
    assert result.measured is not None
    assert result.measured.usage == Usage(111, 111 * 512, 111)
    pool.close()
