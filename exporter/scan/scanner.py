"""Holds what is known of a data root. A scan reads what is dirty, has it measured and makes the next `Snapshot`.

`begin` reads metadata and gives trees to the pool, `collect` receives what has been measured, `snapshot` returns
what is known at any time. None of them waits for a filesystem that hangs.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Measured, Reason, Tree
from exporter.core.model import (
    Collector,
    Counters,
    Filesystem,
    Inventory,
    Problem,
    Progress,
    Snapshot,
    Trigger,
)
from exporter.core.mountinfo import filesystems
from exporter.inventory.areas import RootAreas, find_areas
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.opening import RootError, open_root, root_entry
from exporter.inventory.read import detect
from exporter.measure.cache import Cache
from exporter.measure.pool.pool import Pool
from exporter.measure.pool.task import Result, Task
from exporter.scan.hard_links import gained_links
from exporter.scan.measurements import Measurements
from exporter.scan.metadata import Metadata
from exporter.scan.outcomes import Outcomes
from exporter.scan.plan import Plan, make_plan
from exporter.scan.runs import Runs
from exporter.scan.scan_run import ScanRun, ScanStats


class Scanner:
    """Knows one data root."""

    def __init__(  # noqa: PLR0913 - what is known of a root comes from here
        self,
        path: str,
        orphaned_after: float,
        pool: Pool,
        cache: Cache | None = None,
        counters: Counters | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        proc: str = "/proc",
    ) -> None:
        self.path = path
        self.counters = counters or Counters()
        #: (st_dev, st_ino) of the directory that was read last; None where nothing is known.
        self.identity: tuple[int, int] | None = None
        self._clock = clock
        self._proc = proc
        self._pool = pool
        self._cache = Cache(None) if cache is None else cache
        self._grace = Grace(orphaned_after, clock)
        self._known = Snapshot(path, self._clock.now())
        self._metadata = Metadata(self._grace, self._proc)
        self._measurements = Measurements()
        self._changes = 0
        self._outcomes = Outcomes(self.counters, clock)
        self._runs = Runs()
        self._complete = False
        self._progress = Progress()

    @property
    def error(self) -> str:
        """Why the root cannot be read, or ""."""
        return self._known.error

    @property
    def inventory(self) -> Inventory:
        """The objects that are there."""
        return self._metadata.inventory

    @property
    def filesystems(self) -> tuple[Filesystem, ...]:
        """The root's filesystem, and those of what is known to have one of its own."""
        return self._known.filesystems

    @property
    def changes(self) -> int:
        """Goes up whenever a figure or an object may have changed."""
        return self._changes + self._metadata.changes + self._measurements.changes

    @property
    def plan(self) -> Plan:
        """The trees that the root is measured as."""
        return self._measurements.plan

    @property
    def measured(self) -> dict[Tree, Measured]:
        """What is known of the trees of the plan."""
        return self._measurements.measured

    @property
    def _problems(self) -> list[Problem]:
        return [*self._metadata.problems, *self._measurements.problems]

    @property
    def runs(self) -> list[ScanRun]:
        """The scans under way."""
        return self._runs.under_way

    @property
    def failed(self) -> list[Tree]:
        """The trees that could not be measured, or not all of them."""
        return self._measurements.failed

    def probe(self) -> tuple[str, ...]:
        """Name the layouts of the root without scanning it; raises RootError when it cannot be read."""
        with open_root(self.path) as root:
            return detect(root)

    def announced(self, layouts: tuple[str, ...]) -> Snapshot:
        """What there is to say before anything is read."""
        return Snapshot(self.path, self._clock.now(), inventory=Inventory(layouts=layouts))

    def scan(self, trigger: Trigger = Trigger.STARTUP) -> Snapshot:
        """Read and measure everything, and wait for it. A root that cannot be read gives one that says why."""
        try:
            self.begin(trigger, Dirty(everything=True))
        except RootError:
            return self.snapshot()
        while self.runs:
            self.collect(1.0)
        return self.snapshot()

    def open_root(self) -> DataRoot:
        """Open the root. Raises RootError when it cannot be read: then nothing of it is known any more."""
        try:
            return open_root(self.path)
        except RootError as error:
            self.lose(str(error))
            raise

    def begin(
        self, trigger: Trigger, dirty: Dirty, root: DataRoot | None = None, areas: RootAreas | None = None
    ) -> None:
        """Read the metadata that is dirty and have all that is new or dirty measured.

        `root` and its `areas` are those that the caller has open and found; else raises as `open_root`.
        """
        if root is None:
            with self.open_root() as opened:
                self.begin(trigger, dirty, opened)
            return
        stats = ScanStats()
        if self._known.error or self.identity not in (None, (root.device, root.inode)):
            self.lose("")
        self.identity = root.device, root.inode
        self._pool.use(root.path, root.device, root.inode)
        self._metadata.read(root, dirty, stats)
        plan = make_plan(root, self.inventory, areas or find_areas(root))
        wanted = self._measurements.adopt(plan, root_entry(root), dirty)
        if len(self._cache) and not (dirty.everything and self._complete):
            wanted -= self._measurements.recall(root, wanted - self.measured.keys(), self._cache)
        linked = self._measurements.linked(wanted)
        self._metadata.finish_reading(root, stats)
        self._note_filesystems(root)
        comparisons = self._measurements.comparisons(wanted, unknown=True)
        tasks = self._measurements.tasks(wanted | linked, comparisons, pace=1.0)
        self._start(trigger, stats, tasks, whole=dirty.everything)

    def _note_filesystems(self, root: DataRoot) -> None:
        layers = [one.trees for one in self.inventory.layers]
        found = filesystems(root.path, self.inventory.directories, layers, root.mountinfo, root.device)
        self._changes += found != self._known.filesystems
        self._known = Snapshot(self.path, self._clock.now(), device=root.device, filesystems=found)

    def remeasure(self, trees: Iterable[Tree], pace: float) -> None:
        """Measure trees again without reading metadata. `pace` is the fraction of a core that large ones may use."""
        wanted = {tree for tree in trees if tree in self.plan.trees}
        comparisons = self._measurements.comparisons(wanted, unknown=False)
        self._start(Trigger.AUDIT, ScanStats(), self._measurements.tasks(wanted, comparisons, pace))

    def collect(self, timeout: float) -> list[ScanRun]:
        """Receive what has been measured, waiting up to `timeout` seconds for it; return the runs now done."""
        for result in self._pool.results(timeout):
            self._note_result(result)
        done = self._runs.remove_done()
        for one in done:
            self._note_outcome(one, one.stats.collectors if one.reported else self._count_run(one))
        return done

    def stop_waiting(self, run: ScanRun) -> None:
        """Count a run as done although trees of it are not: one that hangs must not hold up the others."""
        looked = self._count_run(run)
        run.reported = True
        self._note_outcome(run, looked)
        run.stats = ScanStats()  # of what is still to come

    def refresh(self) -> None:
        """Note that the root was looked at and is as it was."""
        self._known = replace(self._known, taken=self._clock.now())

    def look_at_logs(self, root: DataRoot, *, everything: bool) -> set[Tree]:
        """Look at the logs of what may run, or at `everything`; return the directories of those that have changed."""
        return self._metadata.look_at_logs(root, everything=everything)

    def lose(self, error: str) -> None:
        """Forget all: the root is gone, or another one stands there."""
        self._pool.forget()
        self._changes = self.changes + 1
        self._measurements = Measurements()
        self._metadata = Metadata(self._grace, self._proc)
        self._outcomes.collectors.clear()
        self.identity = None
        self._runs.forget()
        self._complete = False
        self._known = Snapshot(self.path, self._clock.now(), error=error)

    def snapshot(self) -> Snapshot:
        """Say what is known now; without figures as long as the first scan is not done."""
        if self._known.error:
            return self._known
        known = replace(self._known, inventory=self.inventory, problems=tuple(self._problems))
        if not self._complete:
            return replace(known, progress=self._progress_now())
        return replace(
            known,
            measured=self._measurements.for_sums,
            differences=dict(self._measurements.differences),
            logs=dict(self._metadata.logs),
            collectors=dict(self._outcomes.collectors),
            progress=self._progress,
        )

    def save_cache(self) -> None:
        """Keep what is measured of image layers, for the next start."""
        self._measurements.store_in(self._cache)

    def _start(self, trigger: Trigger, stats: ScanStats, tasks: list[Task], *, whole: bool = False) -> None:
        current = ScanRun(trigger, stats, pending=set(tasks), whole=whole)
        if not self._complete:
            self._progress = Progress(trees=len(self.plan.trees))
        self._runs.add(current, tasks)
        self._pool.submit(tasks)

    def _note_result(self, result: Result) -> None:
        """Note one figure, unless its tree is gone or is being measured once more."""
        task = result.task
        run = self._runs.finish(task)
        collector = self.plan.trees.get(task.tree)
        if run is None or collector is None:
            return
        run.note(collector, task, result.entries)
        if gained_links(self.measured.get(task.tree), result.measured):
            run.linked.add(task.tree)
        grew = self._measurements.note_result(result, collector)
        if grew is not None:
            run.grew[task.tree] = grew

    def _count_run(self, run: ScanRun) -> Collection[Collector]:
        """Count a run, once; return the collectors that had anything to do."""
        looked: Collection[Collector] = run.stats.collectors
        if not self._complete and run.trigger is not Trigger.AUDIT:
            self._complete = True
            self._progress = Progress(len(self.plan.trees), len(self.plan.trees), self._pool.entries)
            self._changes += 1
            looked = tuple(Collector)  # in the first scan also those that found nothing
        self._outcomes.count_run(run, looked)
        return looked

    def _note_outcome(self, run: ScanRun, looked: Collection[Collector]) -> None:
        run.doubtful = not run.whole and self._measurements.doubtful(run.linked)
        self._outcomes.note_end(run, looked, self._failing())

    def _failing(self) -> set[Collector]:
        """The collectors with anything that could not be read or measured, but for what vanished."""
        failing = {one.collector for one in self._problems if one.reason is not Reason.VANISHED}
        hanging = (task.tree for one in self.runs if one.reported for task in one.pending)
        return failing | {self.plan.trees[tree] for tree in hanging if tree in self.plan.trees}

    def _progress_now(self) -> Progress:
        waiting = sum(len(one.pending) for one in self.runs)
        total = len(self.plan.trees)
        return Progress(total, max(0, total - waiting), self._pool.entries)
