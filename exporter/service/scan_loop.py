"""What the scanning process does: it publishes what it finds on its standard output.

Scanning has a process of its own so that nothing it does, be it reading metadata or rendering ten thousand
series, holds the interpreter lock of the one that answers scrapes.
"""

import os
import selectors
import sys
import time

from exporter.core.memory import give_back
from exporter.core.model import Snapshot
from exporter.expose.publication import publish
from exporter.inventory.opening import RootError
from exporter.measure.cache import Cache
from exporter.measure.pool.pool import Pool
from exporter.scan.scan_log import ScanLog
from exporter.scan.scanner import Scanner
from exporter.schedule.scheduler import Scheduler
from exporter.service.ipc import Order, frame

_PROGRESS_SECONDS = 1.0
_SAVE_SECONDS = 5.0


class ScanProcess:
    """Runs a keeper, and publishes when it has news."""

    def __init__(self, order: Order, pool: Pool) -> None:
        config = self._config = order.config
        self._counters = order.counters
        self._pool = pool
        self._cache = Cache(config.cache_file or None)
        self._scanner = Scanner(config.root, config.orphaned_after, self._pool, self._cache, order.counters)
        self._scheduler = Scheduler(config, self._scanner, self._pool, order.counters)
        self._report = ScanLog()
        self._output = sys.stdout.buffer
        self._published = -1
        self._spoke = self._saved = 0.0

    def run(self) -> None:
        """Scan until the serving process goes away."""
        selector = selectors.DefaultSelector()
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "parent")
        selector.register(self._pool.fileno(), selectors.EVENT_READ, "pool")
        selector.register(self._scheduler.watcher.mailbox.readable, selectors.EVENT_READ, "events")
        self._announce()
        self._scheduler.start()
        while True:
            self._speak()
            wait = max(0.0, self._scheduler.due() - time.monotonic())
            if any(key.data == "parent" for key, _ in selector.select(wait)):
                if not os.read(sys.stdin.fileno(), 4096):
                    break
                self._scheduler.rescan()
            self._scheduler.step()
        self._report.close()
        self._scanner.save_cache()
        self._pool.close()
        os._exit(0)  # a thread of the watcher's may hang

    def _announce(self) -> None:
        """Say before the first scan whether there is a root to scan."""
        try:
            layouts = self._scanner.probe()
        except RootError as error:
            self._send(Snapshot(self._config.root, time.time(), error=str(error)), with_body=True)
        else:
            self._send(self._scanner.announced(layouts), with_body=True)

    def _speak(self) -> None:
        """Publish what is new; during the first scan, how far it is."""
        now = time.monotonic()
        snapshot = None
        if self._scheduler.news or (self._scanner.runs and now - self._spoke > _PROGRESS_SECONDS):
            snapshot = self._scheduler.snapshot()
            changed = self._scanner.changes != self._published and (self._scheduler.news or not snapshot.measured)
            self._report.tell(snapshot, changed=changed, news=self._scheduler.news)
            self._send(snapshot, with_body=changed)
            if changed:
                self._published = self._scanner.changes
                give_back()
            self._scheduler.news = False
            self._spoke = now
        if self._config.cache_file and now - self._saved > _SAVE_SECONDS:
            self._scanner.save_cache()
            self._saved = now
            self._report.cache(self._cache)

    def _send(self, snapshot: Snapshot, *, with_body: bool) -> None:
        message = publish(
            snapshot,
            self._counters,
            shown=self._config.shown,
            processes=self._pool.processes,
            with_body=with_body,
        )
        self._output.write(frame(message))
        self._output.flush()
