"""Decides when to measure trees again that can grow without an event: writable layers, volumes, directories.

Each tree has a time when it is due. A tree that grew is due again soon, others after longer and longer pauses. Image
layers, and areas of small files that are written once, are never due.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from exporter.core.area import AreaTable
from exporter.core.measured import Measured, Tree
from exporter.core.model import Inventory, Layer, LayerKey, Trigger, Use
from exporter.inventory.areas import CONTAINERS, VOLUMES, table
from exporter.inventory.drivers import INIT
from exporter.inventory.files.reader import is_id
from exporter.measure.pool.task import SMALL_ENTRIES
from exporter.scan.plan import Plan
from exporter.scan.scan_run import ScanRun

_LONGEST_SECONDS = 900.0
_STOPPED_SECONDS = 3600.0
_BATCH_ENTRIES = 20_000
_NO_BINDS: Mapping[Tree, bool] = {}


@dataclass(slots=True)
class _DueTree:
    """One tree. `dated`: when it was measured (Unix seconds). `due`: when it is due (monotonic clock).

    `area`: the label with which its age is served; "" for none. `active`: something that runs may write to it.
    `hangs`: the last measurement failed because its filesystem did not answer.
    """

    area: str
    active: bool
    interval: float
    dated: float
    due: float
    hangs: bool = False


class RemeasureSchedule:
    """The schedule of the growing trees of one root. `now` is of the monotonic clock, `date` is Unix time."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        #: The plan that was planned last, and its trees that can grow, as far as the table of areas tells.
        self._plan = Plan()
        self._growing: set[Tree] = set()
        self._layers = _GrowingLayers()
        self._entries: dict[Tree, _DueTree] = {}
        self._next: float | None = None
        self._next_recheck = 0.0

    def plan(  # noqa: PLR0913 - what there is, and both clocks
        self,
        plan: Plan,
        inventory: Inventory,
        failed: Iterable[Tree],
        now: float,
        date: float,
        binds: Mapping[Tree, bool] = _NO_BINDS,
    ) -> None:
        """Add new trees and drop those that are gone. `failed`: trees that could not be measured; they get due too.

        `binds`: further trees that can grow, and whether something running may write to each.
        """
        self._note_plan(plan)
        wanted = (
            dict.fromkeys((*failed, *self._growing), ("", True))
            | dict(_growing(inventory))
            | self._layers.update(inventory)
        )
        wanted = {tree: how for tree, how in wanted.items() if tree in plan.trees}
        wanted.update((tree, ("", active)) for tree, active in binds.items())
        self._next = None
        for gone in self._entries.keys() - wanted.keys():
            del self._entries[gone]
        for tree, (area, active) in wanted.items():
            entry = self._entries.get(tree)
            if entry is None:
                pause = self._interval if active else _STOPPED_SECONDS
                self._entries[tree] = _DueTree(area, active, pause, date, now + pause)
            elif (entry.area, entry.active) != (area, active):
                # A container that is gone, too, may have written just before, and its layer may stay.
                entry.area, entry.active = area, active
                entry.interval = self._interval if active else _STOPPED_SECONDS
                entry.due = now  # the last writes may be newer than the measurement

    def _note_plan(self, plan: Plan) -> None:
        """Find the trees of a plan that can grow without an event."""
        known, change = table(), plan.since(self._plan)
        self._growing -= {*change.lost, *change.settled}
        loose = (tree for tree in (*change.gained, *(self._plan.immutable - plan.immutable)) if tree in plan.trees)
        self._growing.update(tree for tree in loose if tree not in plan.immutable and _may_grow(known, tree))
        self._plan = plan

    def due(self, now: float) -> list[Tree]:
        """The trees that are due, the longest overdue first."""
        if (self.next_due or now) > now:
            return []
        late = [(entry.due, tree) for tree, entry in self._entries.items() if entry.due <= now]
        return [tree for _, tree in sorted(late)]

    def next_batch(self, now: float, measured: Mapping[Tree, Measured], *, large: bool) -> list[Tree]:
        """The trees to measure now: small ones together, or one `large` one."""
        batch: list[Tree] = []
        weight = 0
        for tree in self.due(now):
            known = measured.get(tree)
            size = known.entries if known is not None else 0
            if large != (size > SMALL_ENTRIES):
                continue
            batch.append(tree)
            weight += size
            if large or weight > _BATCH_ENTRIES:
                break
        self.begun(batch, now)
        return batch

    @property
    def next_due(self) -> float | None:
        """When the next tree is due."""
        if self._next is None:
            self._next = min((entry.due for entry in self._entries.values()), default=None)
        return self._next

    def begun(self, trees: Iterable[Tree], now: float) -> None:
        """Note that trees are being measured: they are not due meanwhile."""
        self._next = None
        for tree in trees:
            if (entry := self._entries.get(tree)) is not None:
                entry.due = now + _STOPPED_SECONDS

    def done(self, tree: Tree, now: float, date: float, *, grew: bool, hangs: bool = False) -> None:
        """Note that a tree was measured. If it `grew`, it is due again soon.

        If it `hangs`, it was not measured; the pauses get longer as for a tree that did not grow.
        """
        entry = self._entries.get(tree)
        self._next = None
        if entry is None:
            return
        if entry.active:
            soon = grew and not hangs
            entry.interval = self._interval if soon else min(2 * entry.interval, max(_LONGEST_SECONDS, self._interval))
        entry.hangs = hangs
        if not hangs:
            entry.dated = date
        entry.due = now + entry.interval

    def note_runs(self, runs: Iterable[ScanRun], failed: Collection[Tree], now: float, date: float) -> None:
        """Note the trees that these runs have measured so far: a large tree may keep a run going for hours.

        The pause of a tree gets longer only after an audit that measured all of it. A tree with events may continue to
        grow, and one that `failed` may soon be readable.
        """
        for run in runs:
            for tree, grew in run.grew.items():
                soon = grew or tree in failed or run.trigger is not Trigger.AUDIT
                self.done(tree, now, date, grew=soon, hangs=tree in run.hung)
            run.grew.clear()

    def used(self, containers: Iterable[str], inventory: Inventory, now: float) -> None:
        """Make the trees due that these containers write to: a container may start and end between two looks."""
        changed = {*containers}
        users = [one for one in inventory.containers if one.id in changed]
        layers = {LayerKey(one.driver, one.layer) for one in users if one.layer is not None}
        names = {mount.source for one in users for mount in one.mounts if mount.kind == "volume"}
        trees = [tree for key in layers for tree in self._layers.trees_of(key)]
        trees += [volume.tree for volume in inventory.volumes if volume.tree and volume.name in names]
        self._next = None
        for tree in trees:
            if (entry := self._entries.get(tree)) is not None:
                entry.due = min(entry.due, now)

    def hurry(self, now: float) -> None:
        """Make all trees due that a running container may write to: the disk lost space without an explanation."""
        self._next = None
        for entry in self._entries.values():
            if entry.active and not entry.hangs:
                entry.due = min(entry.due, now)

    def recheck(self, now: float) -> None:
        """Make all trees due, at most every 15 minutes: one has hard links to files of an unknown tree."""
        at = max(now, self._next_recheck)
        if at == now:
            self._next_recheck = now + _LONGEST_SECONDS
        self._next = None
        for entry in self._entries.values():
            if not entry.hangs:
                entry.due = min(entry.due, at)

    def oldest(self) -> Mapping[str, float]:
        """When the least recently measured tree of each area was measured."""
        dates: dict[str, float] = {}
        for entry in self._entries.values():
            if entry.area:
                dates[entry.area] = min(dates.get(entry.area, entry.dated), entry.dated)
        return dates


def _may_grow(table: AreaTable, tree: Tree) -> bool:
    """Whether a tree can grow without an event, according to the table of areas."""
    area = table.around(tree)
    return area.audited and not (area.immutable and is_id(tree[len(area.path)]))


def _growing(inventory: Inventory) -> Iterator[tuple[Tree, tuple[str, bool]]]:
    """The trees of objects that can grow, each with its area and whether something running may write to it."""
    running = [one for one in inventory.containers if one.runs is not False]
    awake = {one.id for one in running}
    mounted = {mount.source for one in running for mount in one.mounts if mount.kind == "volume"}
    for one in inventory.containers:
        yield (*CONTAINERS.path, one.id), ("", one.id in awake)
        if one.checkpoints is not None:
            yield one.checkpoints, ("", one.id in awake)
    for volume in inventory.volumes:
        yield (*VOLUMES.path, volume.name), ("", False)
        if volume.tree is not None:
            yield volume.tree, ("volumes", volume.name in mounted)


class _GrowingLayers:
    """The trees of layers that can grow, each with its area and whether something running may write to it."""

    def __init__(self) -> None:
        self._layers: tuple[Layer, ...] = ()
        self._live: set[LayerKey] = set()
        self._by_key: dict[LayerKey, Layer] = {}
        self._trees: dict[Tree, tuple[str, bool]] = {}

    def update(self, inventory: Inventory) -> dict[Tree, tuple[str, bool]]:
        """Go on to another inventory, in which a layer that has not changed is the same object."""
        running = (one for one in inventory.containers if one.runs is not False and one.layer is not None)
        live = {LayerKey(one.driver, one.layer) for one in running if one.layer is not None}
        before, now = set(map(id, self._layers)), set(map(id, inventory.layers))
        gone = [one for one in self._layers if id(one) not in now]
        come = [one for one in inventory.layers if id(one) not in before]
        for layer in gone:
            self._by_key.pop(layer.key, None)
            for tree in layer.trees:
                self._trees.pop(tree, None)
        grow = [one for one in come if not (one.use is Use.IMAGE or one.chain or one.committed)]
        self._by_key.update((one.key, one) for one in grow)
        moved = [self._by_key[key] for key in live ^ self._live if key in self._by_key]
        for layer in (*grow, *moved):
            active = layer.key in live or layer.use in (Use.PENDING, Use.BUILD_CACHE)
            area = "containers" if layer.use is Use.CONTAINER and not (layer.name or layer.id).endswith(INIT) else ""
            self._trees.update((tree, (area, active)) for tree in layer.trees)
        self._layers, self._live = inventory.layers, live
        return self._trees

    def trees_of(self, key: LayerKey) -> tuple[Tree, ...]:
        """The trees of a layer that can grow."""
        layer = self._by_key.get(key)
        return () if layer is None else layer.trees
