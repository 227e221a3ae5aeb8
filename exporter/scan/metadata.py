"""What the metadata of a data root says: its objects, which containers run, and how large their logs are."""

import time
from collections.abc import Iterable
from dataclasses import replace

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.model import Collector, Container, ContainerId, Inventory, Problem
from exporter.inventory.areas import CONTAINERS
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.reader import Problems
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.liveness import Liveness
from exporter.inventory.opening import note_silent
from exporter.inventory.read import read_inventory
from exporter.measure.logs import log_sizes
from exporter.scan.scan_run import ScanStats


class Metadata:
    """What was read of one root. `changes` goes up whenever that may have changed."""

    def __init__(self, grace: Grace, proc: str = "/proc") -> None:
        """`grace` is kept by the caller: it holds on when another root takes the place of this one.

        `proc` is where the processes of containers are looked for.
        """
        self.inventory = Inventory()
        #: The sizes of the containers' logs in bytes.
        self.logs: dict[ContainerId, int] = {}
        #: What could not be read, as far as it is kept.
        self.problems: list[Problem] = []
        self.changes = 0
        self._grace = grace
        self._memo = Memo()
        self._liveness = Liveness(proc)
        self._written: tuple[Container, ...] = ()
        self._found = Problems()

    def read(self, root: DataRoot, dirty: Dirty, stats: ScanStats) -> None:
        """Read what is dirty of the objects."""
        start = time.perf_counter()
        self._found = Problems()
        self._memo.begin(dirty)
        inventory, touched = read_inventory(root, self.inventory, self._grace, self._found, self._memo)
        self._memo.end()
        self._written = inventory.containers
        self._replace(replace(inventory, containers=self._liveness.judge(self._written)))
        for collector, count in touched.items():
            stats.spend(collector, time.perf_counter() - start, count)

    def finish_reading(self, root: DataRoot, stats: ScanStats) -> None:
        """Look at the logs, and count everything that could not be read."""
        self.logs = _log_sizes(root, self.inventory.containers, self._found)
        note_silent(root, self._found)
        for (collector, reason), count in self._found.counts.items():
            stats.fail(collector, reason, count)
        self.changes += self.problems != self._found.kept
        self.problems = self._found.kept

    def look_at_logs(self, root: DataRoot, *, everything: bool) -> set[Tree]:
        """Look at the logs of what may run, or at `everything`; return the directories of those that have changed."""
        before = self.logs
        ran = {one.id for one in self.inventory.containers if everything or one.runs is not False}
        # Without a daemon no file tells of a container that ends.
        self._replace(replace(self.inventory, containers=self._liveness.judge(self._written)))
        containers = [one for one in self.inventory.containers if one.id in ran or one.runs is not False]
        found = _log_sizes(root, containers, Problems())
        self.logs = found if everything else {**before, **found}
        changed = {key for key, size in self.logs.items() if before.get(key) != size}
        self.changes += bool(changed)
        return {(*CONTAINERS.path, key) for key in changed}

    def _replace(self, inventory: Inventory) -> None:
        if inventory != self.inventory:
            self.inventory = inventory
            self.changes += 1


def _log_sizes(root: DataRoot, containers: Iterable[Container], problems: Problems) -> dict[ContainerId, int]:
    known = {one.id: one.log.files for one in containers if one.log.driver or one.log.files}
    return log_sizes(root, CONTAINERS.path, known, lambda why, at: problems.add(Collector.CONTAINERS, why, at))
