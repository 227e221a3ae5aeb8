"""Starts the watches of a data root, and restarts them when they no longer cover it."""

import time
from collections.abc import Callable, Mapping

from exporter.config.settings import Config
from exporter.core.log import Logger
from exporter.core.measured import Tree
from exporter.core.model import Counters
from exporter.inventory.areas import RootAreas
from exporter.schedule.watcher import Watcher

_RETRY_SECONDS = 60.0

_log = Logger()


class WatchHealth:
    """Checks one watcher and restarts it; every restart is counted by its reason."""

    def __init__(self, config: Config, watcher: Watcher, counters: Counters) -> None:
        self._config = config
        self._watcher = watcher
        self._counters = counters
        self._retry = 0.0

    def start(self, root: str, areas: RootAreas) -> None:
        """Watch these areas of a root. If that fails, it is tried again after a minute."""
        if not self._config.watch.enabled:
            return
        error = self._watcher.start(root, areas.watched, areas.deep, areas.written)
        if error:
            fallback = f"a look every {self._config.watch.look_interval:g} s"
            _log.warning("watch.impossible", error=error, fallback=fallback)
            self._retry = time.monotonic() + _RETRY_SECONDS

    def count(self, reason: str) -> None:
        """Count a restart."""
        self._counters.restarts[reason] = self._counters.restarts.get(reason, 0) + 1
        _log.info("watch.restarted", reason=reason)

    def check(self, root: str, areas: RootAreas, homes: Callable[[], Mapping[Tree, int]], *, changed: bool) -> bool:
        """Restart the watches if they no longer cover these areas. Return whether that was so: events may be lost.

        `homes` returns the directories in deep areas with their inodes. It is called only if a look found changes
        (`changed`), or if some directories had no watch at the last check.
        """
        if not self._config.watch.enabled:
            return False
        watcher, was_deaf = self._watcher, self._watcher.deaf
        reason = watcher.fault(areas.watched) if watcher.running else ""
        if not reason and was_deaf and time.monotonic() >= self._retry:
            reason = "limit"
        if reason:
            self._restart(reason, root, areas)
        if not watcher.running or (watcher.complete and not changed):
            return bool(reason)
        if not watcher.check(homes()) and not (reason or was_deaf):
            reason = "directory"
            self._restart(reason, root, areas)
            watcher.check(homes())
        if watcher.deaf and (reason or not was_deaf):
            _log.warning("watch.incomplete", advice="raise fs.inotify.max_user_watches")
            self._retry = time.monotonic() + _RETRY_SECONDS
        return bool(reason)

    def _restart(self, reason: str, root: str, areas: RootAreas) -> None:
        self.count(reason)
        self.start(root, areas)
