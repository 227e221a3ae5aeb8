"""Keeps the state of a data root: its metadata and its measurements.

`begin` starts a scan: it reads the dirty metadata and submits trees to the pool. `collect` receives the results.
`snapshot` returns the state at any time. Measuring happens in the pool, so a filesystem that hangs there blocks none
of them.
"""

from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress

from msgspec.structs import replace

from exporter.config.settings import NO_CONTAINERD, BindSettings
from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.data_root import DataRoot, Untaken
from exporter.core.dirty import Dirty
from exporter.core.listings import Listings
from exporter.core.measured import Measured, Reason, Tree, is_within, root_of
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
from exporter.inventory.areas import RootAreas, find_areas
from exporter.inventory.containerd_root import ContainerdRoot
from exporter.inventory.layout_parts import detect
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.opening import RootError, open_mounted, open_root, root_entry
from exporter.measure.cache import Cache
from exporter.measure.pool.here import FEW
from exporter.measure.pool.pool import Pool
from exporter.measure.pool.task import Lot, LotResult, Result, Task
from exporter.scan.binds import Binds
from exporter.scan.disks import LayerHomes, disks_of, further_roots, has_subvolumes
from exporter.scan.early import EarlyTrees, early_trees
from exporter.scan.hard_links import gained_links
from exporter.scan.in_use import written_now
from exporter.scan.measurements import Measurements
from exporter.scan.metadata import Metadata
from exporter.scan.outcomes import Outcomes
from exporter.scan.plan import Plan
from exporter.scan.planner import Planner
from exporter.scan.runs import Runs
from exporter.scan.scan_run import ScanRun, ScanStats

NO_BINDS = BindSettings()


class Scanner:
    """The state of one data root, and the scans of it."""

    def __init__(  # noqa: PLR0913 - settings, and what tests replace
        self,
        path: str,
        orphaned_after: float,
        pool: Pool,
        cache: Cache | None = None,
        counters: Counters | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        proc: str = "/proc",
        network: bool = False,
        containerd: str = NO_CONTAINERD,
        binds: BindSettings = NO_BINDS,
    ) -> None:
        """`network`: measure volumes on network filesystems, too. `containerd`: see `Config.containerd_root`."""
        self.path = path
        self.containerd = ContainerdRoot(containerd)
        self.counters = counters or Counters()
        #: (st_dev, st_ino) of the directories that were scanned, by root; empty before a scan.
        self.identities: dict[Tree, tuple[int, int]] = {}
        #: The directories that are not read as the root of a containerd.
        self.untaken: tuple[Untaken, ...] = ()
        self._clock = clock
        self._proc = proc
        self._network = network
        self._pool = pool
        self._cache = Cache(None) if cache is None else cache
        self._grace = Grace(orphaned_after, clock)
        self._known = Snapshot(path, self._clock.now())
        self._metadata = Metadata(self._grace, self._proc)
        self._measurements, self._planner = Measurements(), Planner()
        self._homes = LayerHomes()
        self._binds = Binds(replace(binds, network=binds.network or network))
        self._opened: dict[Tree, tuple[int, int]] = {}
        #: The further roots, and where filesystems with parts of all roots are mounted, below these. Others are behind
        #: links: nothing of them is measured.
        self.mounted_below: list[str] = []
        self._listings = Listings()
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
    def unable(self) -> str:
        """Why nothing can be measured: no worker can be started; "" otherwise."""
        return self._pool.unable

    @property
    def inventory(self) -> Inventory:
        """The objects of the root."""
        return self._metadata.inventory

    @property
    def filesystems(self) -> tuple[Filesystem, ...]:
        """The filesystem of the root, and those of directories and layers on other filesystems."""
        return self._known.filesystems

    @property
    def changes(self) -> int:
        """Goes up whenever a figure or an object may have changed."""
        return self._changes + self._metadata.changes + self._measurements.changes + self._binds.changes

    @property
    def plan(self) -> Plan:
        """The trees into which the root is divided."""
        return self._measurements.plan

    @property
    def measured(self) -> dict[Tree, Measured]:
        """The figures of the trees of the plan."""
        return self._measurements.measured

    @property
    def allocated(self) -> Mapping[int, int]:
        """The bytes on the disk of all these trees, by device number."""
        return self._measurements.allocated

    @property
    def growing_binds(self) -> dict[Tree, bool]:
        """The sources of bind mounts that are measured, and whether something that runs may write to each."""
        return self._binds.growing

    @property
    def known(self) -> Mapping[Tree, Measured]:
        """All that is measured: the trees of the plan, and sources of bind mounts."""
        return ChainMap(self.measured, self._binds.measured) if self._binds.measured else self.measured

    @property
    def _problems(self) -> list[Problem]:
        return [*self._metadata.problems, *self._measurements.problems, *self._binds.problems]

    @property
    def runs(self) -> list[ScanRun]:
        """The scans under way."""
        return self._runs.under_way

    @property
    def failed(self) -> list[Tree]:
        """The trees that could not be measured completely."""
        return self._measurements.failed

    @property
    def next_orphan(self) -> float:
        """When the grace time of a layer ends next, on the monotonic clock: a scan after that calls it orphaned."""
        return self._grace.next_end()

    def probe(self) -> tuple[str, ...]:
        """Detect the layouts of the root without a scan; raises RootError if it cannot be read."""
        with open_root(self.path, network=self._network) as root:
            return detect(root)

    def announced(self, layouts: tuple[str, ...]) -> Snapshot:
        """The snapshot before the first scan: it has the layouts only."""
        return Snapshot(self.path, self._clock.now(), inventory=Inventory(layouts=layouts))

    def scan(self, trigger: Trigger = Trigger.STARTUP) -> Snapshot:
        """Scan everything and wait for it. If the root cannot be read, the snapshot has the error."""
        try:
            self.begin(trigger, Dirty(everything=True))
        except RootError:
            return self.snapshot()
        while self.runs:
            self.collect(1.0)
        return self.snapshot()

    def open_root(self) -> DataRoot:
        """Open the root. If it cannot be read, forget its state and raise RootError.

        What is known stays if it cannot be read only because this process has no descriptors or memory.
        """
        try:
            root = open_root(self.path, network=self._network, listings=self._listings)
        except RootError as error:
            if not (error.shortage and self._complete):
                self.lose(str(error))
            raise
        try:
            self._attach(root)
        except OSError as error:
            raise RootError(f"cannot be opened: {error.strerror}", shortage=True) from None
        return root

    def follow(self, told: Mapping[Tree, Collection[str]]) -> None:
        """In the next scan, take it that these names, by directory, are all that has come or gone, see `Listings`."""
        self._listings.follow(told)

    def not_as_told(self, root: DataRoot, *, everything: bool) -> set[Tree]:
        """The directories in which something else was found than had been told; `everything`: all are looked at."""
        for tree in self._listings.followed if everything else ():
            with suppress(OSError):
                root.names(tree)
        return self._listings.take_corrected()

    def look(self) -> DataRoot:
        """Open the root for a look, without a check of its layouts; raises OSError."""
        self._listings.follow({})
        root = open_mounted(self.path, listings=self._listings)
        self._attach(root)
        return root

    def _attach(self, root: DataRoot) -> None:
        """Open the further root with a root, which is closed where that fails; raises OSError."""
        try:
            self.containerd.attach(root)
        except OSError:
            root.close()
            raise
        # What was listed until now is older than the watches and signatures that are made next: a change in between
        # would be in neither.
        root.forget_listings()

    def begin(
        self,
        trigger: Trigger,
        dirty: Dirty,
        root: DataRoot | None = None,
        areas: RootAreas | None = None,
        *,
        whole: bool = False,
    ) -> None:
        """Read the dirty metadata, and submit the new and the dirty trees to the pool.

        `root` and `areas`: if the caller has the root open. Without them the root is opened; raises RootError.
        `whole`: nobody asks for a figure before all are there, so that trees need not wait for the metadata.
        """
        if root is None:
            with self.open_root() as opened:
                self.begin(trigger, dirty, opened, whole=whole)
            return
        stats = ScanStats()
        identities = {**root.identities, **self._binds.identify()}
        if self._known.error or (self.identities and self._opened != identities):
            self.lose("")
        self.identities, self.untaken, self._opened = root.identities, root.untaken, identities
        self._pool.use(root.path, identities)
        if dirty.everything:
            self._listings.clear()
        early = EarlyTrees()
        if whole and not len(self._cache):
            early = early_trees(root, find_areas(root), self._pool.submit)
        with self._pool.attended() if early.lots else nullcontext():
            self._metadata.read(root, dirty, stats)
            plan = self._planner.make(root, self.inventory, areas or find_areas(root))
        wanted = self._measurements.adopt(plan, {top: root_entry(root, top) for top in root.tops}, dirty)
        if len(self._cache) and not (dirty.everything and self._complete):
            wanted -= self._measurements.recall(root, wanted - self.measured.keys(), self._cache)
        linked = self._measurements.linked(wanted)
        binds = self._find_binds(root, dirty, stats)
        self._metadata.finish_reading(root, dirty, stats)
        self._note_filesystems(root)
        self._listings.end()
        comparisons = self._measurements.comparisons(wanted, unknown=True)
        first = () if self._complete else written_now(self.inventory)
        for lot in (begun := early.begun(root)):
            lot.claim(wanted, plan.exclusions)
        left = (wanted | linked).difference(*(lot.wanted for lot in begun))
        tasks = self._measurements.tasks(left, comparisons, pace=1.0, first=first)
        self._start(trigger, stats, tasks, whole=dirty.everything, begun=begun)
        if binds:  # no sum waits for them: a source may be all of the host
            self._start(Trigger.AUDIT, ScanStats(), binds)

    def _find_binds(self, root: DataRoot, dirty: Dirty, stats: ScanStats) -> list[Task]:
        """Find the sources of bind mounts; return the tasks for those that are to be measured."""
        unknown = self._binds.find(self.inventory, root.mountinfo)
        for problem in self._binds.unfound:
            stats.fail(problem.collector, problem.reason, 1)
        return self._binds.tasks(self._binds.trees if dirty.everything else unknown, pace=1.0)

    def _note_filesystems(self, root: DataRoot) -> None:
        disks = disks_of(root, self.inventory, self._homes)
        found = disks.filesystems
        tops = tuple(root.absolute(top).rstrip("/") + "/" for top in root.tops)
        below = [one.mountpoint for one in found[1:] if one.mountpoint.startswith(tops)]
        self.mounted_below = [*root.further, *below]
        self._changes += found != self._known.filesystems
        self._known = Snapshot(
            self.path,
            self._clock.now(),
            device=root.device,
            mounts=root.mounts,
            subvolumes=has_subvolumes(root),
            further=further_roots(root),
            filesystems=found,
            places=disks.places,
        )

    def remeasure(self, trees: Iterable[Tree], pace: float) -> None:
        """Measure trees again without reading metadata. `pace` is the fraction of a core that large ones may use."""
        asked = {*trees}
        wanted = {tree for tree in asked if tree in self.plan.trees}
        comparisons = self._measurements.comparisons(wanted, unknown=False)
        tasks = [*self._measurements.tasks(wanted, comparisons, pace), *self._binds.tasks(asked, pace)]
        self._start(Trigger.AUDIT, ScanStats(), tasks)

    def collect(self, timeout: float) -> list[ScanRun]:
        """Receive results, after waiting up to `timeout` seconds for one; return the runs that are now done."""
        for result in self._pool.results(timeout):
            self._note_result(result)
        done = self._runs.remove_done()
        for one in done:
            self._note_outcome(one, one.stats.collectors if one.reported else self._count_run(one))
        return done

    def stop_waiting(self, run: ScanRun) -> None:
        """Count a run as done although trees are pending: a tree that hangs must not delay the others."""
        collectors = self._count_run(run)
        run.reported = True
        self._note_outcome(run, collectors)
        run.stats = ScanStats()  # for the pending trees

    def refresh(self) -> None:
        """Note that a look found no changes: the snapshot gets the present time."""
        self._known = replace(self._known, taken=self._clock.now())

    def read_log_sizes(self, root: DataRoot, *, everything: bool) -> set[Tree]:
        """Read the sizes of logs, see `Metadata.read_log_sizes`."""
        return self._metadata.read_log_sizes(root, everything=everything)

    def lose(self, error: str) -> None:
        """Forget the state: the root is gone, or it is another directory now."""
        self._pool.forget()
        self._changes = self.changes + 1
        self._measurements, self._planner = Measurements(), Planner()
        self._binds.forget()
        self._metadata = Metadata(self._grace, self._proc)
        self._outcomes.collectors.clear()
        self.identities = {}
        self._runs.forget()
        self._complete = False
        self._known = Snapshot(self.path, self._clock.now(), error=error)

    def snapshot(self) -> Snapshot:
        """The present state. Before the end of the first scan it has what is known until now."""
        if self._known.error:
            return self._known
        measured = self._measurements.for_sums()
        return replace(
            self._known,
            inventory=self.inventory,
            problems=tuple(self._problems),
            measured=measured,
            incomplete=self._measurements.incomplete.union(self._missing()),
            unfinished=not self._complete,
            differences=dict(self._measurements.differences),
            logs=self._metadata.logs,
            collectors=dict(self._outcomes.collectors),
            progress=self.progress,
            binds=self._binds.usages,
        )

    def _missing(self) -> Collection[Tree]:
        """The trees of which a first scan knows nothing yet, or not enough; those, too, that it has not waited for."""
        known = self._measurements
        if not self._complete:
            return known.unmeasured | known.provisional
        hanging = {
            tree
            for one in self.runs
            if one.reported and one.trigger is Trigger.STARTUP
            for task in one.pending
            for tree, _ in task.keys
        }
        return {tree for tree in hanging if tree in self.plan.trees and tree not in known.measured}

    def save_cache(self) -> None:
        """Save the figures of image layers for the next start."""
        self._measurements.store_in(self._cache)

    def _start(
        self,
        trigger: Trigger,
        stats: ScanStats,
        tasks: list[Task],
        *,
        whole: bool = False,
        begun: Sequence[Lot] = (),
    ) -> None:
        """Start a run of these tasks, and of lots that the pool has `begun`."""
        everything = [*begun, *tasks]
        trees = sum(len(task.measures) for task in everything)
        current = ScanRun(trigger, stats, pending={*everything}, trees=trees, whole=whole)
        if not self._complete:
            self._progress = Progress(trees=len(self.plan.trees))
        self._runs.add(current, everything)
        self._pool.submit(tasks, () if trigger is Trigger.AUDIT else self._near(tasks))

    def _near(self, tasks: Sequence[Task]) -> list[Task]:
        """The tasks of a later scan that need no worker: few, for trees that can be read and are on no mount.

        Where something is mounted has just been read.
        """
        if not self._complete or len(tasks) > FEW:
            return []
        doubtful, mounts = {*self._measurements.failed}, self._known.mounts
        return [
            task
            for task in tasks
            if task.changes is None
            and task.tree not in doubtful
            and not root_of(task.tree)
            and not is_within(task.tree, mounts)
        ]

    def _note_result(self, result: Result) -> None:
        """Note one result, unless its tree is gone or is being measured once more."""
        task, measurements = result.task, self._measurements
        run = self._runs.finish(task)
        if run is None:
            return
        if isinstance(task, Lot) and result.of_lot is not None:
            self._note_lot(run, task, result.of_lot)
            return
        if task.tree in self._binds.trees:
            run.grew[task.tree] = self._binds.note(result)
            run.note(Collector.VOLUMES, task, result.entries)
            return
        collector = measurements.plan.trees.get(task.tree)
        if collector is None:
            return
        if result.measured is not None and result.measured.links.blocks:
            measurements.refuse_excess(result)
            if gained_links(measurements.measured.get(task.tree), result.measured):
                run.linked.add(task.tree)
        run.note(collector, task, result.entries)
        grew = measurements.note_result(result, collector)
        if grew is not None:
            run.grew[task.tree] = grew

    def _note_lot(self, run: ScanRun, lot: Lot, result: LotResult) -> None:
        """Note what was found of a lot, where it is wanted; its run goes on with what is left."""
        collectors, wanted, found = self.plan.trees, lot.wanted, result.found
        if not (found.keys() <= wanted and found.keys() <= collectors.keys()):
            found = {tree: known for tree, known in found.items() if tree in wanted and tree in collectors}
        for collector in {collectors[tree] for tree in found}:  # one, most often
            run.spend(collector, sum(known.entries for tree, known in found.items() if collectors[tree] is collector))
        run.grew.update(self._measurements.note_found(found))
        self._runs.go_on(run, [task for task in result.left if task.tree in wanted])

    def _count_run(self, run: ScanRun) -> Collection[Collector]:
        """Count a run; return the collectors for which it is counted."""
        collectors: Collection[Collector] = run.stats.collectors
        if not self._complete and run.trigger is not Trigger.AUDIT:
            self._complete = True
            self._progress = Progress(len(self.plan.trees), len(self.plan.trees), self._pool.entries)
            self._changes += 1
            collectors = tuple(Collector)  # the first scan also counts for collectors without objects
        self._outcomes.count_run(run, collectors)
        return collectors

    def _note_outcome(self, run: ScanRun, collectors: Collection[Collector]) -> None:
        run.doubtful = not run.whole and self._measurements.doubtful(run.linked)
        self._outcomes.note_end(run, collectors, self._failing())

    def _failing(self) -> set[Collector]:
        """The collectors with problems other than vanished files, or with trees that hang."""
        failing = {one.collector for one in self._problems if one.reason is not Reason.VANISHED}
        hanging = (tree for one in self.runs if one.reported for task in one.pending for tree, _ in task.keys)
        return failing | {self.plan.trees[tree] for tree in hanging if tree in self.plan.trees}

    @property
    def progress(self) -> Progress:
        """The progress of the first scan, and what it was at its end."""
        if self._complete:
            return self._progress
        waiting = sum(one.trees for one in self.runs if one.trigger is not Trigger.AUDIT)
        total = len(self.plan.trees)
        return Progress(total, max(0, total - waiting), self._pool.entries)
