"""Keeps a scanner fresh: decides what is scanned when, from events, looks and audits.

One thread, and nothing in it waits but its caller: `step` does what is due, `due` says when it wants to be
called next at the latest.
"""

import math
import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from exporter.config.settings import Config
from exporter.core.log import Logger
from exporter.core.measured import Tree
from exporter.core.model import Counters, Snapshot, Trigger, Watching
from exporter.inventory.opening import RootError, identify, open_mounted
from exporter.inventory.stores import Dirty, entry_of, stores, watched
from exporter.measure.pool.pool import Pool
from exporter.scan.scan_run import ScanRun
from exporter.scan.scanner import Scanner
from exporter.schedule.cpu_budget import Budget
from exporter.schedule.debounce import Debounce
from exporter.schedule.disk_pressure import DiskPressure
from exporter.schedule.reconcile import Findings, Reconciler, filled_later, told
from exporter.schedule.remeasure import RemeasureSchedule
from exporter.schedule.watch_health import WatchHealth
from exporter.schedule.watcher import Watcher, limit

_LOOK_SECONDS = 1.0
#: How long a change that a look found may still be told by an event that is on its way.
_LATE_EVENT_SECONDS = 0.5
#: A scan is published without the trees that have not moved for so long.
_PATIENCE_SECONDS = 5.0
_CONTAINER_DEPTH = 2
_AREAS = {"containers": "containers", "volumes": "volumes", "graph": "images", "image": "images"}

_log = Logger()


class Scheduler:
    """Everything that happens by itself around one scanner. `news` is set when there is something to publish."""

    def __init__(self, config: Config, scanner: Scanner, pool: Pool, counters: Counters) -> None:
        self.news = False
        self.watcher = Watcher()
        self.reconciler = Reconciler()
        self._watch_health = WatchHealth(config, self.watcher, counters)
        self._config = config
        self._scanner = scanner
        self._pool = pool
        self._counters = counters
        self._identity: tuple[int, int] | None = None
        self._budget = Budget(config.scan.duty_cycle)
        self._debounce = Debounce()
        self._remeasure = RemeasureSchedule(config.scan.interval)
        self._space = DiskPressure()
        self._stores: tuple[Tree, ...] = ()
        self._trigger = Trigger.EVENT
        #: What was scanned since the last look because events told of it.
        self._lately: list[Dirty] = []
        self._suspects: tuple[float, Findings] | None = None
        self._next_identity = self._next_look = self._audited = 0.0
        self._live = False

    def start(self) -> None:
        """Watch the root and scan it for the first time; one that cannot be read is tried again and again."""
        now = time.monotonic()
        self._identity = identify(self._config.root)
        self.reconciler, self._debounce = Reconciler(), Debounce()
        self._remeasure, self._space = RemeasureSchedule(self._config.scan.interval), DiskPressure()
        self._suspects, self._live = None, False
        self._lately.clear()
        self._next_identity, self._next_look = now + _LOOK_SECONDS, now + self._config.watch.look_interval
        self.news = True
        try:
            if self._identity is not None:
                with open_mounted(self._config.root) as root:
                    self._stores = stores(root)
                    self._watch_health.start(root.path, self._stores)
                    self.reconciler.look(root, self._stores, {})
            self._scanner.begin(Trigger.STARTUP, Dirty(everything=True))
        except (RootError, OSError) as error:
            self._scanner.lose(str(error))
            self.watcher.stop()

    def due(self) -> float:
        """When `step` is to be called at the latest."""
        times = [self._next_identity]
        if (collected := self.watcher.mailbox.due) > time.monotonic():
            times.append(collected)
        if self._live:
            times.append(self._next_look)
            if self._suspects is not None:
                times.append(self._suspects[0])
            now = time.monotonic()
            times.append(self._scan_at(now))
            # While audits are under way, their end is what is waited for.
            if not self._auditing():
                times.append(self._audit_at(now))
        if self._scanner.rounds:
            times.append(time.monotonic() + _LATE_EVENT_SECONDS)
        return min(times)

    def step(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if now >= self._next_identity:
            self._next_identity = now + _LOOK_SECONDS
            if self._replaced():
                return
        self._collect(now)
        self._take_events(now)
        if self._live:
            # Without what watchdog's threads take: that can be put off by nobody.
            self._budget.settle(now, time.thread_time() + self._pool.cpu)
            if now >= self._scan_at(now):
                self._scan(now)
            if self._suspects is not None and now >= self._suspects[0]:
                self._judge(now)
            if now >= self._next_look:
                self._next_look = now + self._config.watch.look_interval
                self._look(now)
            if now >= self._audit_at(now):
                self._audit(now)

    def rescan(self) -> None:
        """Scan everything again; during the first scan, and without a root, that is under way anyhow."""
        if self._live:
            self._begin(Trigger.MANUAL, Dirty(everything=True))

    def snapshot(self) -> Snapshot:
        """What is known now, with how it is kept fresh."""
        watching = Watching(self.watcher.deaf, self.watcher.held, limit())
        return replace(self._scanner.snapshot(), watching=watching, audited=self._remeasure.oldest())

    def _replaced(self) -> bool:
        """Start again when the root is another directory than it was, or has come or gone."""
        identity = identify(self._config.root)
        failed = bool(self._scanner.error)
        # Another directory may have been mounted over the root between a look at it and its scan.
        if identity == self._identity and self._scanner.identity in (identity, None) and not failed:
            return False
        if identity != self._identity and self._identity is not None:
            self._watch_health.count("root")
        if identity is None and failed and self._identity is None:
            return True
        self.start()
        return True

    def _take_events(self, now: float) -> None:
        """Turn the paths of events into dirty entries."""
        paths, many, overflows = self.watcher.mailbox.take()
        if overflows:
            self._counters.overflows += overflows
            self._trigger = Trigger.OVERFLOW
            self._debounce.add(now, set(), everything=True)
        entries: set[Tree] = set()
        for path, count in Counter(paths).items():
            tree = self.watcher.tree_of(path)
            if tree is None or (tree[0] == "containers" and len(tree) > 3):
                continue
            area = _AREAS.get(tree[0], "layers" if len(tree) > 1 else "root")
            self._counters.events[area] = self._counters.events.get(area, 0) + count
            entries.add(entry_of(tree, self._stores))
        if entries:
            self._counters.last_event = time.time()
        self._debounce.add(now, entries, everything=many)

    def _scan_at(self, now: float) -> float:
        """When to scan what events have told: the budget stretches a storm, but not beyond a look more."""
        due = self._debounce.due
        if due is None:
            return math.inf
        return min(max(due, now + self._budget.wait()), due + self._config.watch.look_interval)

    def _scan(self, now: float) -> None:
        """Scan what events have named."""
        trigger, self._trigger = self._trigger, Trigger.EVENT
        dirty = self._debounce.take()
        self._lately.append(dirty)
        self._begin(trigger, dirty)
        self._remeasure.begun(dirty.entries, now)
        self._note_users(dirty.entries, now)

    def _note_users(self, entries: Iterable[Tree], now: float) -> None:
        changed = [entry[1] for entry in entries if len(entry) == _CONTAINER_DEPTH and entry[0] == "containers"]
        if changed:
            self._remeasure.used(changed, self._scanner.inventory, now)

    def _begin(self, trigger: Trigger, dirty: Dirty, listings: Collection[Tree] = ()) -> None:
        """Scan what is dirty; that, and the `listings` of stores, need not be found by the next look."""
        try:
            with open_mounted(self._config.root) as root:
                found = stores(root)
                self.reconciler.settle(root, found, dirty, listings)
            self._scanner.begin(trigger, dirty)
        except (RootError, OSError) as error:
            _log.warning("scan.failed", error=str(error))
            self.start()
            return
        if found != self._stores:
            self._next_look = time.monotonic()  # what comes and goes in a new one is to be watched, too

    def _look(self, now: float) -> None:
        """Look for what no event has told, at the logs, at the watches, and at the space that is left."""
        try:
            with open_mounted(self._config.root) as root:
                found = stores(root)
                watching = not self.watcher.deaf and not self.watcher.dead()
                known, fixed = self._scanner.measured, self._scanner.plan.immutable
                findings = self.reconciler.look(root, found, known, immutable=fixed, watching=watching)
                self._stores = found
                changed = bool(findings) or self.reconciler.thorough
                self._watch_health.look(root.path, found, self._homes, changed=changed)
        except OSError:
            self.start()  # it is gone, or may not be read any more
            return
        self._lately.clear()
        self._scanner.refresh()
        self.news = True
        grown = self._scanner.look_at_logs(everything=self.reconciler.thorough)
        if grown:
            self._scanner.audit(grown, 1.0)
        if findings:
            self._suspects = (now + _LATE_EVENT_SECONDS, findings)
        self._look_at_space(now)

    def _look_at_space(self, now: float) -> None:
        below = [one.mountpoint for one in self._scanner.filesystems[1:]]
        if self._space.vanishes(now, self._config.root, below, self._scanner.measured.values()):
            self._remeasure.hurry(now)

    def _judge(self, now: float) -> None:
        """Scan what a look has found, and count what no event has told by now."""
        assert self._suspects is not None, "called when there are any"
        _, findings = self._suspects
        self._suspects = None
        waiting = self._debounce.waiting
        scans = (waiting, *self._lately)
        if any(one.everything for one in scans):
            return
        missed = (findings.stores | findings.entries).difference(*map(told, scans))
        seen = {(), *watched(self._stores)}
        unwatched = {*self._stores} - seen
        uncounted = {key for key in missed if key in unwatched or key[:-1] in unwatched or filled_later(key[:-1])}
        # Databases are written to in place by a process that keeps them open: no event could have told.
        uncounted |= {key for key in missed if key and key[-1].endswith(".db")}
        uncounted |= missed & self._scanner.plan.immutable
        uncounted |= {key for key in findings.new if key[:-1] not in seen}
        self._counters.missed += len(missed - uncounted)
        if missed - uncounted:
            _log.debug("watch.missed", entries=sorted("/".join(key) or "." for key in missed - uncounted))
        if missed or findings.again:
            # What events have told and still waits for quiet is read now as well, and again when it is quiet: a new
            # listing beside old metadata would show images without their names, and it may be half written.
            found = missed | findings.again
            listings = found & {*self._stores, ()}
            dirty = Dirty(waiting.entries | (found - listings))
            self._begin(Trigger.RECONCILE, dirty, listings)
            self._note_users(missed, now)

    def _homes(self) -> dict[Tree, int]:
        """The directories of containers, with their inodes: each has a watch of its own."""
        if ("containers",) not in self._stores:
            return {}
        measured = self._scanner.measured
        homes = (tree for tree in measured if len(tree) == _CONTAINER_DEPTH and tree[0] == "containers")
        return {tree: measured[tree].identity[1] for tree in homes}

    def _audit_at(self, now: float) -> float:
        """When to audit what is due: the budget stretches that as well, but not beyond some small trees each look."""
        due = self._remeasure.next_due
        if due is None:
            return math.inf
        return min(
            max(due, now + self._budget.wait(audit=True)), max(due, self._audited) + self._config.watch.look_interval
        )

    def _audit(self, now: float) -> None:
        """Have what is due measured again: the small trees at once, and beside them one large one at a pace."""
        self._audited = now
        sizes = {False} if self._budget.wait(audit=True) else {False, True}
        for large in sizes - self._auditing():
            batch = self._remeasure.take(now, self._scanner.measured, large=large)
            if batch:
                self._scanner.audit(batch, self._budget.pace)

    def _auditing(self) -> set[bool]:
        """Whether large trees, and whether small ones, are being audited."""
        rounds = [one for one in self._scanner.rounds if one.trigger is Trigger.AUDIT]
        return {task.large for one in rounds for task in one.pending}

    def _collect(self, now: float) -> None:
        """Take what has been measured, and tell when a scan is done."""
        done = self._scanner.collect(0.0)
        for one in self._scanner.rounds:
            if one.reported or one.trigger is Trigger.AUDIT:
                continue
            overdue = now - one.began > _PATIENCE_SECONDS and one.trigger is not Trigger.STARTUP
            if one.pending and (overdue or self._pool.stalled > _PATIENCE_SECONDS):
                self._scanner.give_up_on(one)
                done.append(one)
        self._settle(done, now)
        if done and not self._live:
            self._live = True
            self._look_at_space(now)
        foreground = [one for one in self._scanner.rounds if one.trigger is not Trigger.AUDIT and not one.reported]
        self.news = self.news or (bool(done) and not foreground)

    def _settle(self, done: Iterable[ScanRun], now: float) -> None:
        """Bring the schedule of audits up to date."""
        date = time.time()
        if any(one.trigger is not Trigger.AUDIT for one in done):
            self._remeasure.plan(self._scanner.plan, self._scanner.inventory, self._scanner.failed, now, date)
        if any(one.doubtful for one in done):
            self._remeasure.recheck(now)
        audits = [one for one in self._scanner.rounds if one.trigger is Trigger.AUDIT]
        if not any(one.grew for one in (*done, *audits)):
            return
        failed = {*self._scanner.failed}
        for one in (*done, *audits):  # one large tree of a round may take hours
            for tree, grew in one.grew.items():
                # Only audits back off, and only from what was measured wholly: what events are about may be
                # about to grow, and what may not be read now may be readable soon.
                soon = grew or tree in failed or one.trigger is not Trigger.AUDIT
                self._remeasure.done(tree, now, date, grew=soon, hangs=tree in one.hung)
            one.grew.clear()
