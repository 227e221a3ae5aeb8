"""The metadata of a data root: its objects, which containers run, and the sizes of their logs."""

import time
from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.fault_log import FAULT_LOG
from exporter.core.kept import Edition, with_changes
from exporter.core.knowledge import Gap, Input, Knowledge
from exporter.core.measured import Reason, Tree
from exporter.core.model import Collector, Container, ContainerId, ContainerState, Inventory, Problem
from exporter.core.splices import change
from exporter.inventory.areas import CONTAINERS
from exporter.inventory.files import reader
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.problems import Problems
from exporter.inventory.gaps import unfinished_objects
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.liveness import Liveness
from exporter.inventory.opening import note_silent
from exporter.inventory.read import read_inventory
from exporter.measure.logs import log_sizes
from exporter.scan.identity import with_known_objects
from exporter.scan.scan_run import ScanStats

#: How often what was being written is read again, with a pause before each time.
_TRIES = 4
_WHY = "an error in the exporter: "


class Metadata:
    """The metadata of one root. `changes` goes up whenever it may have changed."""

    def __init__(self, grace: Grace, proc: str = "/proc") -> None:
        """`grace` belongs to the caller: it outlives this root. `proc`: the mount point of procfs."""
        self.inventory = Inventory()
        #: The sizes of the containers' logs in bytes.
        self.logs: Mapping[ContainerId, int] = Edition()
        #: The problems of reading, as far as they are kept.
        self.problems: list[Problem] = []
        self.changes = 0
        self._grace = grace
        self._memo = Memo()
        self._liveness = Liveness(proc)
        self._written: tuple[Container, ...] = ()
        #: What was judged last: all containers, with their actual states.
        self._judgement: tuple[Container, ...] = ()
        #: The containers among which those that may run were looked for last, and these.
        self._sought: tuple[Container, ...] = ()
        self._may_run: tuple[Container, ...] = ()
        self._found = Problems()
        #: The containers whose logs were read last.
        self._asked: tuple[Container, ...] = ()
        #: The containers whose logs could not be read when they were asked for last. Each look and scan asks again.
        self._unread: Collection[ContainerId] = ()

    def read(self, root: DataRoot, dirty: Dirty, stats: ScanStats) -> None:
        """Read the dirty objects."""
        start = time.perf_counter()
        inventory, touched = self._read(root, dirty)
        tries = _TRIES
        while tries and (unfinished := unfinished_objects(root, self._found.unread)):
            tries -= 1
            reader.wait_for_writer()
            root.forget_listings()
            inventory, touched = self._read(root, Dirty(unfinished))
        self._memo.end()
        self._written = inventory.containers
        self._replace(self._judged(inventory, self._found))
        for collector, count in touched.items():
            stats.spend(collector, time.perf_counter() - start, count)

    def _read(self, root: DataRoot, dirty: Dirty) -> tuple[Inventory, dict[Collector, int]]:
        self._found = Problems()
        self._memo.begin(dirty)
        try:
            return read_inventory(root, self.inventory, self._grace, self._found, self._memo)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen: the directories are measured all the same
            return _nothing_known(root, self._found, FAULT_LOG.note(error, "metadata")), {}

    def _judged(self, inventory: Inventory, found: Problems) -> Inventory:
        """The inventory with the actual states of containers. Where that fails, none is known, as `found` then says."""
        try:
            self._judgement = self._liveness.judge(self._written)
            return replace(inventory, containers=self._judgement)
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            kind = FAULT_LOG.note(error, "states of containers")
            found.add(Collector.CONTAINERS, Reason.INTERNAL, CONTAINERS.path, kind)
            gap = Gap(Input.CONTAINER_CONFIGS, "containers", _WHY + kind)
            unknown = tuple(replace(one, state=ContainerState.UNKNOWN) for one in self._written)
            self._judgement = unknown
            known = Knowledge.of((*inventory.knowledge.gaps, gap))
            return replace(inventory, containers=unknown, knowledge=known)

    def _with_news(self, dirty: Dirty) -> list[Container]:
        """The containers whose logs may have changed, or could not be read the last time."""
        if dirty.everything:
            return [*self.inventory.containers]
        names = {entry[-1] for entry in dirty.entries if entry[:-1] == CONTAINERS.path}.union(self._unread)
        new = change(self._asked, self.inventory.containers).added
        names.update(one.id for one in (*self._running(), *new))
        if len(names) == len(new):
            return [*new]
        return [one for one in self.inventory.containers if one.id in names]

    def finish_reading(self, root: DataRoot, dirty: Dirty, stats: ScanStats) -> None:
        """Read the sizes of logs that may have changed, and count all problems of this scan.

        Those of other containers are read at every look that compares everything.
        """
        asked = self._with_news(dirty)
        gone = {one.id for one in (*change(self._asked, self.inventory.containers).removed, *asked)}
        self._note_logs(self._log_sizes(root, asked, self._found), gone)
        self._asked = self.inventory.containers
        note_silent(root, self._found)
        for (collector, reason), count in self._found.counts.items():
            stats.fail(collector, reason, count)
        self.changes += self.problems != self._found.kept
        self.problems = self._found.kept

    def read_log_sizes(self, root: DataRoot, *, everything: bool) -> set[Tree]:
        """Read the sizes of logs: of containers that may run and of those not read before, or all (`everything`).

        Returns the directories of the containers whose log has changed.
        """
        before, ran = self.logs, self._running()
        # If no daemon runs, no file changes when a container ends.
        self._judge_again()
        asked = self._running()
        if everything:
            asked = self.inventory.containers
        elif asked is not ran or self._unread:
            ids = {one.id for one in (*ran, *asked)}.union(self._unread)
            asked = tuple(one for one in self.inventory.containers if one.id in ids)
        found = self._log_sizes(root, asked, Problems())
        among = before.keys() | found.keys() if everything else {one.id for one in asked}
        changed = {key for key in among if before.get(key) != found.get(key)}
        if changed:
            self._note_logs({key: found[key] for key in changed if key in found}, changed)
            self.changes += 1
        return {(*CONTAINERS.path, key) for key in changed}

    def _log_sizes(self, root: DataRoot, containers: Iterable[Container], problems: Problems) -> dict[ContainerId, int]:
        logs = ((one, one.log.files) for one in containers if not one.log_deleted)
        known = {one.id: files for one, files in logs if files or (files is not None and one.log.driver)}
        found = log_sizes(root, CONTAINERS.path, known, lambda why, at: problems.add(Collector.CONTAINERS, why, at))
        self._unread = () if len(found) == len(known) else known.keys() - found.keys()
        return found

    def _note_logs(self, found: Mapping[ContainerId, int], gone: Collection[ContainerId]) -> None:
        """Note the sizes of some logs. Those of others that are `gone` are forgotten."""
        known = self.logs
        put = {key: size for key, size in found.items() if known.get(key) != size}
        self.logs = with_changes(known, put, (key for key in gone if key not in found))

    def _running(self) -> tuple[Container, ...]:
        """The containers that may run. They are looked for once in each tuple of containers, and kept in any order."""
        before, now = self._sought, self.inventory.containers
        if now is not before:
            changed = change(before, now)
            if changed:
                removed = {one.id for one in changed.removed}
                kept = (one for one in self._may_run if one.id not in removed)
                self._may_run = (*kept, *(one for one in changed.added if one.runs is not False))
            self._sought = now
        return self._may_run

    def _judge_again(self) -> None:
        """Find the actual states of containers again. Most often, none has another one."""
        before = self._judgement
        found = self._judged(self.inventory, Problems())
        if self._judgement is not before:
            self._replace(found)

    def _replace(self, found: Inventory) -> None:
        inventory = with_known_objects(found, self.inventory)
        if inventory != self.inventory:
            self.inventory = inventory
            self.changes += 1


def _nothing_known(root: DataRoot, found: Problems, kind: str) -> Inventory:
    """The inventory of a root whose metadata could not be read at all: its directories, and a gap in every input."""
    found.add(Collector.DIRECTORIES, Reason.INTERNAL, (), kind)
    try:
        directories = tuple(root.names(()))
    except OSError:
        directories = ()
    return Inventory(directories=directories, knowledge=Knowledge(tuple(Gap(one, ".", _WHY + kind) for one in Input)))
