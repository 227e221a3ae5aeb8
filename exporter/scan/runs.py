"""The scans that are under way, and the scan to which each task of the pool belongs."""

from collections.abc import Collection

from exporter.core.measured import Tree
from exporter.core.model import LayerKey
from exporter.measure.pool.task import Lot, Task
from exporter.scan.scan_run import ScanRun


class Runs:
    """Keeps the runs in the order in which they began. Two runs may have a task for the same tree."""

    def __init__(self) -> None:
        self.under_way: list[ScanRun] = []
        #: The last task for each tree; None as long as there was one run alone, which has no two for the same.
        self._newest: dict[tuple[Tree, LayerKey], Task] | None = None

    def add(self, run: ScanRun, tasks: Collection[Task]) -> None:
        """Add a run with its tasks."""
        if self.under_way:
            if self._newest is None:
                self._newest = {key: task for one in self.under_way for task in one.pending for key in task.keys}
            self._newest.update({key: task for task in tasks for key in task.keys})
        self.under_way.append(run)

    def finish(self, task: Task) -> ScanRun | None:
        """Note that a task is done; return the run to which its figure belongs.

        None where the figure is out of date: its run was forgotten, or a later task measures the same again. Of a lot,
        only the trees are wanted then of which that is not so.
        """
        for run in self.under_way:
            if task in run.pending:
                break
        else:
            return None
        run.pending.remove(task)
        run.trees -= len(task.measures)
        if self._newest is None:
            return run
        mine = [key for key in task.keys if self._newest.get(key) is task]
        for key in mine:
            del self._newest[key]
        if isinstance(task, Lot):
            task.wanted = {tree for tree, _ in mine}
        return run if mine else None

    def go_on(self, run: ScanRun, tasks: Collection[Task]) -> None:
        """Add tasks to a run: what is left of one that is done."""
        run.pending.update(tasks)
        run.trees += sum(len(task.measures) for task in tasks)
        if self._newest is not None:
            self._newest.update({key: task for task in tasks for key in task.keys})

    def remove_done(self) -> list[ScanRun]:
        """Remove the runs without pending tasks, and return them."""
        done = [one for one in self.under_way if not one.pending]
        self.under_way = [one for one in self.under_way if one.pending]
        if done and not self.under_way:
            self.forget()  # a dict keeps the memory of its largest size
        return done

    def forget(self) -> None:
        """Forget all runs."""
        self.under_way, self._newest = [], None
