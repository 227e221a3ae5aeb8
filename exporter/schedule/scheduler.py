"""Decides which parts of a data root are scanned, and when: after events, after looks, and in audits.

All of it runs in the caller's thread and nothing here waits: `step` does the work that is due, `due` returns when
`step` must be called next.
"""

import errno
import math
import time
from collections.abc import Collection
from contextlib import suppress

from msgspec.structs import replace

from exporter.config.settings import Config
from exporter.core.dirty import Dirty
from exporter.core.log import Logger
from exporter.core.measured import Tree
from exporter.core.model import Counters, Snapshot, Trigger, Watching
from exporter.core.mountinfo import is_local
from exporter.inventory.areas import RootAreas, find_areas, table
from exporter.inventory.opening import RootError, for_shortage, identify
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from exporter.schedule.audits import Audits
from exporter.schedule.cpu_budget import Budget
from exporter.schedule.debounce import Debounce
from exporter.schedule.events import changed_entries, just_made, told_names
from exporter.schedule.findings import Findings, missed_events, not_scanned, without_events
from exporter.schedule.reconcile import Reconciler
from exporter.schedule.rights import AllRights, NotAllowedError, Rights
from exporter.schedule.watch_health import WatchHealth
from exporter.schedule.watcher import Watcher, limit

_IDENTITY_SECONDS = 1.0
#: A change that a look finds counts as missed by the watches if no event for it comes within this time.
_LATE_EVENT_SECONDS = 0.5
#: For so long at most a look waits for a scan that would find the same.
_LATE_LOOK_SECONDS = 5.0
#: After so long without progress, a scan is published without the trees that are still being measured.
_STALLED_SECONDS = 5.0

_log = Logger()


class Scheduler:
    """Runs the scans of one scanner. `news` is set when there are changes to publish."""

    def __init__(
        self,
        config: Config,
        scanner: Scanner,
        pool: Pool,
        counters: Counters,
        rights: Rights | None = None,
    ) -> None:
        """`rights`: what this process may read; everything without them."""
        self.news = False
        self.watcher = Watcher()
        self.reconciler = Reconciler()
        self._watch_health = WatchHealth(config, self.watcher, counters)
        self._config = config
        self._scanner = scanner
        self._pool = pool
        self._counters = counters
        self._rights = rights or AllRights()
        self._identity: tuple[int, int] | None = None
        self._budget = Budget(config.scan.duty_cycle)
        self._debounce = Debounce()
        self._audits = Audits(config, scanner, self._budget)
        self._areas = RootAreas()
        self._trigger = Trigger.EVENT
        #: The scans after events since the last look.
        self._scanned: list[Dirty] = []
        #: The findings of the last look, and until when their events may still arrive.
        self._unconfirmed: tuple[float, Findings] | None = None
        self._next_identity = self._next_comparison = 0.0
        #: When anything else than the identity of the root is due, as `due` found last.
        self._others_due = 0.0
        #: When the first grace time of a layer ends, as far as the last scan knows.
        self._next_orphan = math.inf
        self._live = False
        #: Whether all is to be scanned again.
        self._asked = False
        #: Whether a scan was postponed for want of descriptors or memory.
        self._short = False

    def start(self) -> None:
        """Watch the root and begin its first scan. A root that cannot be read is tried again every second."""
        now = time.monotonic()
        self._identity = identify(self._config.root)
        self.reconciler, self._debounce = Reconciler(), Debounce()
        self._audits.reset()
        self._unconfirmed, self._live, self._asked, self._next_orphan = None, False, False, math.inf
        self._scanned.clear()
        self._next_identity, self._next_comparison = now + _IDENTITY_SECONDS, now + self._config.watch.look_interval
        self.news = True
        try:
            with self._scanner.open_root() as root:
                self._areas = find_areas(root)
                self._watch_health.start(root.path, self._areas)
                root.forget_listings()  # they are older than the watches and the signatures
                self.reconciler.compare_signatures(root, self._areas, {})
                self._audits.note_young(just_made(root, self._areas, time.time()))
                self._scanner.begin(Trigger.STARTUP, Dirty(everything=True), root, self._areas)
                self._next_orphan = self._scanner.next_orphan
        except (RootError, OSError) as error:
            self._scanner.lose(str(error))
            self.watcher.stop()

    def rests(self) -> bool:
        """Look whether the root is still there, if that is all that is due; return whether it was, and is as before.

        That is due every second, and for most of the time nothing else is. Raises NotAllowedError.
        """
        now = time.monotonic()
        if now >= self._others_due or self._scanner.runs or not self._pool.idle:
            return False
        if now < self._next_identity or self._rights.is_outdated(self._scanner.containerd.search.denied):
            return False
        self._next_identity = now + _IDENTITY_SECONDS
        return not self._replaced()

    @property
    def wakes(self) -> float:
        """When `rests` or `step` is to be called, as long as there are no news."""
        return min(self._next_identity, self._others_due)

    def due(self) -> float:
        """When `step` is to be called at the latest."""
        self._others_due = self._due_apart()
        return self.wakes

    def _due_apart(self) -> float:
        """When there is more to do than to look whether the root is still there."""
        times = [math.inf]
        if self._live:
            times.append(-math.inf if self._asked else self._look_at)
            if self._unconfirmed is not None:
                times.append(self._unconfirmed[0])
            now = time.monotonic()
            times += self._scan_at(now), self._classify_at(now)
            if not self._audits.sizes_under_way():  # else `step` is called when they are done
                times.append(self._audits.next_time(now))
        if self._scanner.runs:
            times.append(time.monotonic() + (0.0 if self._pool.has_results else _LATE_EVENT_SECONDS))
        return min(times)

    def step(self, *, told: bool = True) -> None:
        """Do the work that is due. Raises NotAllowedError.

        `told`: an event or a result of the pool may have come. Most steps only look whether the root is still there.
        """
        now = time.monotonic()
        if self._rights.is_outdated(self._scanner.containerd.search.denied):
            raise NotAllowedError
        if now >= self._next_identity:
            self._next_identity = now + _IDENTITY_SECONDS
            if self._replaced():
                return
        live = self._live  # what a first scan has found is published before there is more to do
        self._collect(now, told=told)
        if live:
            self._go_on(now)

    def _go_on(self, now: float) -> None:
        """Scan, look and audit, as far as that is due."""
        # The CPU time of watchdog's threads is not counted: it cannot be postponed.
        self._budget.update(now, time.thread_time() + self._pool.cpu)
        if self._asked:
            self._asked = False
            self._begin(Trigger.MANUAL, Dirty(everything=True))
        if now >= self._scan_at(now):
            self._scan(now)
        if self._unconfirmed is not None and now >= self._unconfirmed[0]:
            self._scan_findings(now)
        if now >= self._classify_at(now):
            self._begin(Trigger.RECONCILE, Dirty())
        if now >= self._look_at:
            self._next_comparison = now + self._config.watch.look_interval
            self._find_changes(now)
        if now >= self._audits.next_time(now):
            self._audits.begin_due(now)

    def _collect(self, now: float, *, told: bool) -> None:
        """Collect what events and the pool have told. The pool also ends workers that have told nothing for long."""
        if told or self._scanner.runs or not self._pool.idle:
            self._collect_results(now)
        if told:
            self._collect_events(now)

    def rescan(self) -> None:
        """Scan everything again: after the first scan, if that is under way, which may have read what has changed."""
        self._asked = True

    def snapshot(self) -> Snapshot:
        """The known state of the root, with the state of watches and audits."""
        watching = Watching(self.watcher.deaf, self.watcher.held, limit())
        return replace(self._scanner.snapshot(), watching=watching, audited=self._audits.oldest())

    def _replaced(self) -> bool:
        """Start anew if the root is another directory than before, has appeared or has gone."""
        identity = identify(self._config.root)
        failed = bool(self._scanner.error)
        if not failed and identity == self._identity and self._scanner.containerd.changed:
            self._watch_health.count("root")
            self.start()
            return True
        # Another directory may have been mounted over the root between a look at it and its scan.
        if identity == self._identity and self._scanner.identities.get((), identity) == identity and not failed:
            return False
        if identity != self._identity and self._identity is not None:
            self._watch_health.count("root")
        if identity is not None and not self._rights.allows(identity):
            if identity == self._identity:
                self._watch_health.count("root")
            raise NotAllowedError
        if identity is None and failed and self._identity is None:
            return True
        self.start()
        return True

    def _collect_events(self, now: float) -> None:
        """Note the changes that events have reported since the last call."""
        paths, many, overflows = self.watcher.mailbox.take()
        if overflows:
            self._counters.overflows += overflows
            self._trigger = Trigger.OVERFLOW
            self._debounce.add(now, set(), everything=True)
        entries = changed_entries(paths, self._areas, self._counters)
        if entries:
            self._counters.last_event = time.time()
        # An engine goes on to write to its databases when a command has ended.
        postpones = any(not table().of(entry).written for entry in entries)
        self._debounce.add(now, entries, everything=many, postpones=postpones)

    def _scan_at(self, now: float) -> float:
        """When to scan after events: later if the CPU budget is spent, but by one look interval at most."""
        due = self._debounce.due
        if due is None:
            return math.inf
        return min(max(due, now + self._budget.wait()), due + self._config.watch.look_interval)

    def _classify_at(self, now: float) -> float:
        """When to scan because the grace time of a layer is over, which no event tells. Postponed like other scans."""
        due = self._next_orphan
        return min(max(due, now + self._budget.wait()), due + self._config.watch.look_interval)

    @property
    def _look_at(self) -> float:
        """When to look for changes without an event.

        Later where a scan is about to read, or to measure, what events have told: a look would go through it as well,
        and a scan of which only a part is measured would be published.
        """
        late = self._debounce.due is not None or self._unfinished
        return self._next_comparison + (_LATE_LOOK_SECONDS if late else 0)

    def _scan(self, now: float) -> None:
        """Scan the entries that events have reported."""
        trigger, self._trigger = self._trigger, Trigger.EVENT
        dirty = self._debounce.take_dirty()
        self._scanned.append(dirty)
        self._begin(trigger, dirty)
        self._audits.note_scan(dirty.entries, now)
        self._audits.note_changes(dirty.entries, now)

    def _begin(self, trigger: Trigger, dirty: Dirty, listings: Collection[Tree] = ()) -> None:
        """Begin a scan of `dirty`. The next look does not find that again, nor these `listings` of stores."""
        watching = trigger is Trigger.EVENT and not (self.watcher.deaf or self.watcher.dead())
        self._scanner.follow(told_names(dirty, self._areas) if watching else {})
        try:
            with self._scanner.open_root() as root:
                found = find_areas(root)
                root.forget_listings()  # as above
                self.reconciler.mark_seen(root, found, dirty, listings)
                self._scanner.begin(trigger, dirty, root, found)
                self._next_orphan = self._scanner.next_orphan
        except (RootError, OSError) as error:
            if for_shortage(error) and self._live:
                self._scan_later(error)
                return
            if not self._replaced():
                _log.warning("scan.failed", error=str(error))
                self.start()
            return
        self._short = False
        if found != self._areas:
            self._next_comparison = -math.inf  # a new area is to be watched, before the end of the scan

    def _scan_later(self, error: Exception) -> None:
        """Keep what is known, and scan everything as soon as this process can: it had no descriptors or memory."""
        if not self._short:
            _log.warning("scan.postponed", error=getattr(error, "strerror", None) or str(error))
        self._short = True
        self._debounce.add(time.monotonic(), set(), everything=True)

    def _find_changes(self, now: float) -> None:
        """Find changes without an event; check the logs, the watches and the free space."""
        try:
            with self._scanner.look() as root:
                if root.identities != self._scanner.identities:
                    raise FileNotFoundError(errno.ENOENT, "another root of a containerd")
                found = find_areas(root)
                root.forget_listings()
                watching = not self.watcher.deaf and not self.watcher.dead()
                known, fixed = self._scanner.measured, self._scanner.plan.immutable
                local = all(is_local(one.fstype) for one in self._scanner.filesystems)
                findings = self.reconciler.compare_signatures(
                    root, found, known, immutable=fixed, watching=watching, local=local
                )
                findings.again |= self._scanner.not_as_told(root, everything=self.reconciler.thorough)
                self._areas = found
                changed = bool(findings) or self.reconciler.thorough
                if self._watch_health.check(root.path, found, self._homes, changed=changed):
                    self.reconciler.doubt()
                grown = self._scanner.read_log_sizes(root, everything=self.reconciler.thorough)
        except OSError as error:
            if for_shortage(error):
                self._scan_later(error)
            elif not self._replaced():
                self.start()  # the root of a containerd is gone or has come, or a root may no longer be read
            return
        if root.untaken != self._scanner.untaken:
            self._begin(Trigger.RECONCILE, Dirty())
        self._scanned.clear()
        self._scanner.refresh()
        self.news = True
        if grown:
            self._scanner.remeasure(grown, 1.0)
        if findings:
            self._unconfirmed = (now + _LATE_EVENT_SECONDS, findings)
        self._audits.check_free_space(now)

    def _scan_findings(self, now: float) -> None:
        """Scan and count the findings of a look for which no event has arrived."""
        assert self._unconfirmed is not None, "called when there are any"
        _, findings = self._unconfirmed
        self._unconfirmed = None
        waiting = self._debounce.waiting
        scans = (waiting, *self._scanned)
        if any(one.everything for one in scans):
            return
        left = not_scanned(findings, scans)
        if waiting.entries:
            left = without_events(left)
        left |= self._replaced_in(left & findings.unread)
        missed = missed_events(left, findings, self._areas, self._scanner.plan.immutable)
        self._counters.missed += len(missed)
        if missed:
            _log.debug("watch.missed", entries=sorted("/".join(key) or "." for key in missed))
        if left or findings.again:
            # Entries that events have reported and that are still debounced are read now as well: a new listing beside
            # old metadata would show images without their names. They may be half written, so they stay dirty.
            found = left | findings.again
            listings = found & {*self._areas.stores, *self._areas.tops}
            dirty = Dirty(waiting.entries | (found - listings))
            self._begin(Trigger.RECONCILE, dirty, listings)
            self._audits.note_changes(left, now)

    def _replaced_in(self, stores: Collection[Tree]) -> set[Tree]:
        """The entries that are not what was measured, of stores that have changed without an event."""
        if stores:
            with suppress(OSError), self._scanner.look() as root:
                known, fixed = self._scanner.measured, self._scanner.plan.immutable
                return self.reconciler.replaced(root, stores, known, fixed)
        return set()

    def _homes(self) -> dict[Tree, int]:
        """The directories in deep areas, with their inodes. Each has a watch of its own."""
        deep, measured = self._areas.deep, self._scanner.measured
        first = {tree[0] for tree in deep}  # of a hundred thousand trees, few are looked at any further
        return {
            tree: known.identity[1]
            for tree, known in measured.items()
            if tree and tree[0] in first and tree[:-1] in deep
        }

    def _collect_results(self, now: float) -> None:
        """Collect results of the pool, and note which scans are done."""
        done = self._scanner.collect(0.0)
        for one in self._scanner.runs:
            if one.reported or one.trigger is Trigger.AUDIT:
                continue
            overdue = now - one.began > _STALLED_SECONDS and one.trigger is not Trigger.STARTUP
            if one.pending and (overdue or self._pool.stalled > _STALLED_SECONDS):
                self._scanner.stop_waiting(one)
                done.append(one)
        self._audits.update(done, now)
        if not self._live and any(one.trigger is not Trigger.AUDIT for one in done):
            self._live = True
            self._audits.check_free_space(now)
        self.news = self.news or (bool(done) and not self._unfinished)

    @property
    def _unfinished(self) -> bool:
        """Whether a scan is under way that is published when it is done. Audits are none."""
        return any(one.trigger is not Trigger.AUDIT and not one.reported for one in self._scanner.runs)
