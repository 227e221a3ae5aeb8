"""Keeps a scanner fresh: decides what is scanned when, from events, looks and audits.

One thread, and nothing in it waits but its caller: `step` does what is due, `due` says when it wants to be
called next at the latest.
"""

import time
from collections.abc import Iterable
from dataclasses import replace

import structlog

from exporter.config import Config
from exporter.layouts.stores import Dirty, entry_of, stores, watched
from exporter.measured import Tree
from exporter.model import Counters, Snapshot, Trigger, Watching
from exporter.opening import RootError, identify, open_mounted
from exporter.root import DataRoot
from exporter.rounds import Round
from exporter.scanner import Scanner
from exporter.usage.pool import Pool
from exporter.watch.audit import Auditor
from exporter.watch.budget import Budget
from exporter.watch.debounce import Debounce
from exporter.watch.observer import Watcher, held, limit
from exporter.watch.reconcile import Findings, Reconciler, filled_later
from exporter.watch.space import Space

_LOOK_SECONDS = 1.0
#: How long a change that a look found may still be told by an event that is on its way.
_LATE_EVENT_SECONDS = 0.5
_RETRY_WATCHING_SECONDS = 60.0
#: A scan is published without the trees that have not moved for so long.
_PATIENCE_SECONDS = 5.0
_CONTAINER_DEPTH = 2
_AREAS = {"containers": "containers", "volumes": "volumes", "graph": "images", "image": "images"}

_log = structlog.get_logger()


class Keeper:
    """Everything that happens by itself around one scanner. `news` is set when there is something to publish."""

    def __init__(self, config: Config, scanner: Scanner, pool: Pool, counters: Counters) -> None:
        self.news = False
        self.watcher = Watcher()
        self._config = config
        self._scanner = scanner
        self._pool = pool
        self._counters = counters
        self._identity: tuple[int, int] | None = None
        self._budget = Budget(config.duty_cycle)
        self._debounce = Debounce()
        self._reconciler = Reconciler()
        self._auditor = Auditor(config.scan_interval)
        self._space = Space()
        self._stores: tuple[Tree, ...] = ()
        self._trigger = Trigger.EVENT
        self._told: dict[Tree, float] = {}
        self._looked = 0.0
        self._suspects: tuple[float, Findings] | None = None
        self._next_identity = self._next_look = 0.0
        self._retry_watching = 0.0
        self._partial = self._unchecked = False
        self._held: list[int] = []
        self._live = False

    def start(self) -> None:
        """Watch the root and scan it for the first time; one that cannot be read is tried again and again."""
        now = time.monotonic()
        self._identity = identify(self._config.root)
        self._reconciler, self._debounce = Reconciler(), Debounce()
        self._auditor, self._space = Auditor(self._config.scan_interval), Space()
        self._suspects, self._live = None, False
        self._told.clear()
        self._next_identity, self._next_look = now + _LOOK_SECONDS, now + self._config.look_interval
        self.news = True
        try:
            if self._identity is not None:
                with open_mounted(self._config.root) as root:
                    self._stores = stores(root)
                    self._watch(root)
                    self._reconciler.look(root, self._stores, {})
            self._scanner.begin(Trigger.STARTUP, Dirty(everything=True))
        except (RootError, OSError) as error:
            self._scanner.lose(str(error))
            self.watcher.stop()

    def due(self) -> float:
        """When `step` is to be called at the latest."""
        times = [self._next_identity, self._next_look]
        if self._suspects is not None:
            times.append(self._suspects[0])
        if self._live:
            now = time.monotonic()
            if self._debounce.due is not None:
                times.append(max(self._debounce.due, now + self._budget.wait()))
            # While audits are under way, their end is what is waited for.
            if self._auditor.next_due is not None and not self._auditing():
                times.append(max(self._auditor.next_due, now + self._budget.wait(audit=True)))
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
            self._budget.settle(now, time.process_time() + self._pool.cpu)
            allowed = not self._budget.wait()
            if self._debounce.due is not None and now >= self._debounce.due and allowed:
                self._scan(now)
            if self._suspects is not None and now >= self._suspects[0]:
                self._judge(now)
            if now >= self._next_look:
                self._next_look = now + self._config.look_interval
                self._look(now)
            if not self._budget.wait(audit=True):
                self._audit(now)

    def rescan(self) -> None:
        """Scan everything again; during the first scan, and without a root, that is under way anyhow."""
        if self._live:
            self._begin(Trigger.MANUAL, Dirty(everything=True))

    def snapshot(self) -> Snapshot:
        """What is known now, with how it is kept fresh."""
        watching = Watching(not self.watcher.running or self._partial, len(self._held), limit())
        return replace(self._scanner.snapshot(), watching=watching, audited=self._auditor.oldest())

    def _replaced(self) -> bool:
        """Start again when the root is another directory than it was, or has come or gone."""
        identity = identify(self._config.root)
        failed = bool(self._scanner.error)
        # Another directory may have been mounted over the root between a look at it and its scan.
        if identity == self._identity and self._scanner.identity in (identity, None) and not failed:
            return False
        if identity != self._identity and self._identity is not None:
            self._count_restart("root")
        if identity is None and failed and self._identity is None:
            return True
        self.start()
        return True

    def _watch(self, root: DataRoot) -> None:
        """Watch the stores there are now."""
        self._partial, self._unchecked = False, True
        if not self._config.watch:
            return
        error = self.watcher.start(root.path, watched(self._stores))
        self._held = held()
        if error:
            _log.warning("watch.impossible", error=error, fallback=f"a look every {self._config.look_interval:g} s")
            self._retry_watching = time.monotonic() + _RETRY_WATCHING_SECONDS

    def _count_restart(self, reason: str) -> None:
        self._counters.restarts[reason] = self._counters.restarts.get(reason, 0) + 1
        _log.info("watch.restarted", reason=reason)

    def _take_events(self, now: float) -> None:
        """Turn the paths of events into dirty entries."""
        paths, many, overflows = self.watcher.mailbox.take()
        if overflows:
            self._counters.overflows += overflows
            self._trigger = Trigger.OVERFLOW
            self._debounce.add(now, set(), everything=True)
        entries: set[Tree] = set()
        for path in paths:
            tree = self.watcher.tree_of(path)
            if tree is None or (tree[0] == "containers" and len(tree) > 3):
                continue
            area = _AREAS.get(tree[0], "layers" if len(tree) > 1 else "root")
            self._counters.events[area] = self._counters.events.get(area, 0) + 1
            entry = entry_of(tree, self._stores)
            entries.add(entry)
            self._told[entry] = self._told[entry[:-1]] = now
        if entries:
            self._counters.last_event = time.time()
        self._debounce.add(now, entries, everything=many)

    def _scan(self, now: float) -> None:
        """Scan what events have named."""
        trigger, self._trigger = self._trigger, Trigger.EVENT
        dirty = self._debounce.take()
        self._begin(trigger, dirty)
        self._auditor.begun(dirty.entries, now)
        self._note_users(dirty.entries, now)

    def _note_users(self, entries: Iterable[Tree], now: float) -> None:
        changed = [entry[1] for entry in entries if len(entry) == _CONTAINER_DEPTH and entry[0] == "containers"]
        if changed:
            self._auditor.used(changed, self._scanner.inventory, now)

    def _begin(self, trigger: Trigger, dirty: Dirty) -> None:
        try:
            self._scanner.begin(trigger, dirty)
        except (RootError, OSError) as error:
            _log.warning("scan.failed", error=str(error))
            self.start()

    def _look(self, now: float) -> None:
        """Look for what no event has told, at the logs, at the watches, and at the space that is left."""
        try:
            with open_mounted(self._config.root) as root:
                found = stores(root)
                watching = self.watcher.running and not self._partial and not self.watcher.dead()
                findings = self._reconciler.look(root, found, self._scanner.measured, watching=watching)
                self._check_watches(root, found, now, changed=bool(findings) or self._reconciler.thorough)
        except OSError:
            self.start()  # it is gone, or may not be read any more
            return
        self._scanner.refresh()
        self.news = True
        grown = self._scanner.look_at_logs(everything=self._reconciler.thorough)
        if grown:
            self._scanner.audit(grown, 1.0)
        if findings:
            self._suspects = (now + _LATE_EVENT_SECONDS, findings)
        self._look_at_space(now)

    def _look_at_space(self, now: float) -> None:
        below = [one.mountpoint for one in self._scanner.filesystems[1:]]
        if self._space.vanishes(now, self._config.root, below, self._scanner.measured.values()):
            self._auditor.hurry(now)

    def _judge(self, now: float) -> None:
        """Scan what a look has found, and count what no event has told by now."""
        assert self._suspects is not None, "called when there are any"
        _, findings = self._suspects
        self._suspects = None
        told = {key for key, when in self._told.items() if when >= self._looked}
        self._told = {key: when for key, when in self._told.items() if when >= now - self._config.look_interval}
        self._looked = now - _LATE_EVENT_SECONDS
        missed = {key for key in findings.stores | findings.entries if key not in told}
        unwatched = {*self._stores} - {*watched(self._stores)}
        uncounted = {key for key in missed if key in unwatched or key[:-1] in unwatched or filled_later(key[:-1])}
        # Databases are written to in place by a process that keeps them open: no event could have told.
        uncounted |= {key for key in missed if key and key[-1].endswith(".db")}
        self._counters.missed += len(missed - uncounted)
        if missed - uncounted:
            _log.debug("watch.missed", entries=sorted("/".join(key) or "." for key in missed - uncounted))
        if missed or findings.again:
            # What events have told and still waits for quiet is read now as well, and again when it is quiet: a new
            # listing beside old metadata would show images without their names, and it may be half written.
            waiting = self._debounce.waiting
            entries = waiting.entries | ((missed | findings.again) - {*self._stores, ()})
            self._begin(Trigger.RECONCILE, Dirty(frozenset(entries), waiting.everything))
            self._note_users(missed, now)

    def _check_watches(self, root: DataRoot, found: tuple[Tree, ...], now: float, *, changed: bool) -> None:
        """Rebuild the watches where they have become blind, deaf or dead. Where nothing has `changed`, none is deaf."""
        reason = ""
        if not self._config.watch:
            pass
        elif not self.watcher.running:
            reason = "limit" if now >= self._retry_watching else ""
        elif self.watcher.directories != {(), *watched(found)} or self.watcher.moved():
            reason = "directory"
        elif self.watcher.dead():
            reason = "thread"
        elif self._partial and now >= self._retry_watching:
            reason = "limit"
        self._stores = found
        if reason:
            self._count_restart(reason)
            self._watch(root)
        if not (changed or reason or self._partial or self._unchecked):
            return
        self._unchecked = False
        self._held = held()
        measured = self._scanner.measured
        there = ("containers",) in found
        homes = (tree for tree in measured if there and len(tree) == _CONTAINER_DEPTH and tree[0] == "containers")
        inodes = {tree: measured[tree].identity[1] for tree in homes}
        deaf = self.watcher.running and self.watcher.deaf(self._held, inodes)
        if deaf and not self._partial:
            _log.warning("watch.incomplete", advice="raise fs.inotify.max_user_watches")
            self._retry_watching = now + _RETRY_WATCHING_SECONDS
        self._partial = deaf

    def _audit(self, now: float) -> None:
        """Have what is due measured again: the small trees at once, and beside them one large one at a pace."""
        for large in {False, True} - self._auditing():
            batch = self._auditor.take(now, self._scanner.measured, large=large)
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

    def _settle(self, done: Iterable[Round], now: float) -> None:
        """Bring the schedule of audits up to date."""
        date = time.time()
        if any(one.trigger is not Trigger.AUDIT for one in done):
            self._auditor.plan(self._scanner.plan, self._scanner.inventory, self._scanner.failed, now, date)
        audits = [one for one in self._scanner.rounds if one.trigger is Trigger.AUDIT]
        if not any(one.grew for one in (*done, *audits)):
            return
        failed = {*self._scanner.failed}
        for one in (*done, *audits):  # one large tree of a round may take hours
            for tree, grew in one.grew.items():
                # Only audits back off, and only from what was measured wholly: what events are about may be
                # about to grow, and what may not be read now may be readable soon.
                soon = grew or tree in failed or one.trigger is not Trigger.AUDIT
                self._auditor.done(tree, now, date, grew=soon, hangs=tree in one.hung)
            one.grew.clear()
