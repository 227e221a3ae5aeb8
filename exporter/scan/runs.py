"""The scans that are under way, and the scan to which each task of the pool belongs."""

from collections.abc import Collection

from exporter.core.measured import Tree
from exporter.core.model import LayerKey
from exporter.measure.pool.task import Task
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
                self._newest = {(task.tree, task.key): task for one in self.under_way for task in one.pending}
            self._newest.update({(task.tree, task.key): task for task in tasks})
        self.under_way.append(run)

    def finish(self, task: Task) -> ScanRun | None:
        """Note that a task is done; return the run to which its figure belongs.

        None where the figure is out of date: its run was forgotten, or a later task measures the same again.
        """
        for run in self.under_way:
            if task in run.pending:
                break
        else:
            return None
        run.pending.remove(task)
        run.trees -= task.changes is None
        if self._newest is None:
            return run
        key = task.tree, task.key
        newest = self._newest.pop(key, None)
        if newest is task:
            return run
        if newest is not None:
            self._newest[key] = newest
        return None

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
