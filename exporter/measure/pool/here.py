"""Measures a few small trees in this process: to start a worker for them would take ten times as long.

Nothing is entered on which something is mounted: it might not answer.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

from exporter.core.data_root import DataRoot
from exporter.measure.pool.protocol import UseRoot
from exporter.measure.pool.task import Result, Task
from exporter.measure.small import MOST_ENTRIES, measure_small
from exporter.measure.total import unlinked

#: A worker for more than these pays.
FEW = 32


def measured_here(use: UseRoot, tasks: Iterable[Task]) -> Iterator[Result]:
    """The results of those of the tasks for trees of a data root that are small, and could be read whole."""
    with suppress(OSError), DataRoot(use.path) as root:
        if root.identities.get(()) != (use.device, use.inode):
            return
        for task in tasks:
            if task.weight > MOST_ENTRIES or (found := measure_small(root, task.tree, task.prune)) is None:
                continue
            measured = unlinked(*found)
            yield Result(task, measured, entries=measured.entries)
