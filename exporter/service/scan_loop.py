"""The loop of the scanning process: it scans, and publishes the results on its standard output.

Scanning has a process of its own: reading metadata and rendering ten thousand series would hold the interpreter lock
of the process that answers scrapes.
"""

import os
import selectors
import time
from collections.abc import Sequence

from exporter.config.state_paths import is_below
from exporter.core.memory import settle, trim
from exporter.core.model import Snapshot
from exporter.expose.publication import Publisher
from exporter.expose.published import PUBLICATIONS, Publication, View
from exporter.inventory.opening import RootError
from exporter.measure.cache import Cache
from exporter.measure.pool.pool import Pool
from exporter.scan.pace import Pace
from exporter.scan.scan_log import ScanLog
from exporter.scan.scanner import Scanner
from exporter.schedule.rights import NotAllowedError
from exporter.schedule.scheduler import Scheduler
from exporter.service.confinement import Confinement
from exporter.service.ipc import ANOTHER_ROOT, Order, OrderReader, ScanAgain, Show, StartScanning

_PROGRESS_SECONDS = 1.0
_SAVE_SECONDS = 5.0
_TRIM_SECONDS = 60.0
#: The capacity of a pipe (pipe(7)).
_PIPE_BYTES = 1 << 16
#: Not `sys.stdout`: that of a copy is what the process had that was copied.
_STDOUT = 1


class ScanLoop:
    """Runs a scheduler, and publishes when it has news."""

    def __init__(self, start: StartScanning, orders: OrderReader, pool: Pool, confinement: Confinement) -> None:
        config = self._config = start.config
        self._orders = orders
        self._counters = start.counters
        self._pool = pool
        self._confinement = confinement
        self._cache = Cache(
            config.scan.cache_file or None,
            self._is_below_a_root,
            in_place=confinement.in_place,
        )
        scan = config.scan
        self._scanner = Scanner(
            config.root,
            scan.orphaned_after,
            pool,
            self._cache,
            start.counters,
            network=scan.network,
            containerd=config.containerd_root,
            binds=config.binds,
        )
        self._scheduler = Scheduler(config, self._scanner, pool, start.counters, confinement)
        self._log = ScanLog()
        self._publisher = Publisher(config.shown)
        self._output = os.fdopen(_STDOUT, "wb", closefd=False)
        self._published_changes = -1
        self._published = self._saved = self._trimmed = 0.0
        self._settled = False
        self._pace = Pace()

    def run(self) -> None:
        """Scan until the serving process closes the pipe of orders, or another process has to scan."""
        selector = selectors.DefaultSelector()
        selector.register(self._orders, selectors.EVENT_READ)
        selector.register(self._pool.fileno(), selectors.EVENT_READ)
        selector.register(self._scheduler.watcher.mailbox.readable, selectors.EVENT_READ)
        self._publish_first()
        self._scheduler.start()
        while True:
            self._publish_news()
            self._save_cache()
            self._publisher.note_totals(self._counters)
            ready = selector.select(max(0.0, self._scheduler.due() - time.monotonic()))
            if any(key.fileobj is self._orders for key, _ in ready):
                orders = self._orders.read()
                if orders is None:
                    break
                self._follow(orders)
            try:
                while not ready and self._scheduler.rests():
                    ready = selector.select(max(0.0, self._scheduler.wakes - time.monotonic()))
                self._scheduler.step(told=bool(ready))
            except NotAllowedError:
                self._publish(self._scheduler.snapshot(), with_body=False)  # for the counters
                self._end(ANOTHER_ROOT)
        self._end(0)

    def _follow(self, orders: Sequence[Order]) -> None:
        for one in dict.fromkeys(one for one in orders if isinstance(one, Show)):
            view = self._publisher.view(one.kind, self._counters, one.wanted)
            if view is not None:
                self._send(view)
        if any(isinstance(one, ScanAgain) for one in orders):
            self._scheduler.rescan()

    def _is_below_a_root(self, directory: str) -> bool:
        """Whether a directory lies in the data root or in a further root, where nothing is written."""
        further = (top[0] for top in self._scanner.identities if top)
        return any(is_below(directory, root) for root in (self._config.root, *further))

    def _end(self, status: int) -> None:
        self._log.close()
        self._scanner.save_cache()
        self._pool.close()
        os._exit(status)  # without joining threads: one of the watcher may hang

    def _publish_first(self) -> None:
        """Publish, before the first scan, whether the root can be read and its layouts."""
        try:
            layouts = self._scanner.probe()
        except RootError as error:
            self._publish(Snapshot(self._config.root, time.time(), error=str(error)), with_body=True)
        else:
            self._publish(self._scanner.announced(layouts), with_body=True)

    def _publish_news(self) -> None:
        """Publish the state if it is new; of a scan that takes longer than a second, the progress every second.

        What a first scan knows is published at a pace of its own.
        """
        now = time.monotonic()
        news = self._scheduler.news
        begun = min((one.began for one in self._scanner.runs), default=now)
        if not news and now - max(begun, self._published) <= _PROGRESS_SECONDS:
            return
        snapshot = self._scheduler.snapshot()
        due = news or not snapshot.measured or (snapshot.unfinished and self._pace.is_due(now))
        changed = due and self._scanner.changes != self._published_changes
        self._log.log_snapshot(snapshot, changed=changed, news=news)
        self._publish(snapshot, with_body=changed)
        if changed:
            self._published_changes = self._scanner.changes
            self._pace.note(begun, now, time.monotonic() - now)
            if snapshot.complete and not self._settled:
                self._settled = True
                self._trimmed = 0.0
                settle()
            if now - self._trimmed > _TRIM_SECONDS:  # a change leaves little behind, and looking for it takes time
                self._trimmed = now
                trim()
        self._scheduler.news = False
        self._published = now

    def _save_cache(self) -> None:
        now = time.monotonic()
        if self._config.scan.cache_file and now - self._saved > _SAVE_SECONDS:
            self._scanner.save_cache()
            self._saved = now
            self._log.log_cache(self._cache)
            if self._cache.error and self._confinement.has_another_state():
                self._end(ANOTHER_ROOT)

    def _publish(self, snapshot: Snapshot, *, with_body: bool) -> None:
        publication = self._publisher.publish(
            snapshot,
            self._counters,
            processes=self._pool.processes,
            landlock=self._confinement.landlock,
            with_body=with_body,
        )
        self._send(publication)

    def _send(self, message: Publication | View) -> None:
        pieces = PUBLICATIONS.encode([message])
        # What fits into a pipe wakes the reader once, and not at each piece.
        self._output.writelines([b"".join(pieces)] if sum(map(len, pieces)) < _PIPE_BYTES else pieces)
        self._output.flush()
