"""Logs the state and the problems of a data root that an operator can act on, each problem once."""

import time
from collections.abc import Iterable

from exporter.core.log import Logger
from exporter.core.measured import Reason
from exporter.core.model import Problem, Remark, RemarkKind, Snapshot
from exporter.core.shell import quote
from exporter.core.text import escape
from exporter.measure.cache import Cache
from exporter.scan.progress_bar import Bar, on_terminal

_LOGGED_PROBLEMS = 20
_MOST_LOGGED = 20_000
_PROGRESS_SECONDS = 5.0
#: No bar is drawn for a first scan that takes no longer.
_QUICK_SECONDS = 2.0
#: A problem is logged only if it lasts so long: an engine under load needs some seconds to remove a container.
_LASTING_SECONDS = 10.0

_log = Logger()


class ScanLog:
    """Logs each event once: it remembers those that were logged."""

    def __init__(self) -> None:
        self._error: str | None = None
        self._logged: set[str] = set()
        self._seen: dict[Problem, float] = {}
        self._began = self._progress = time.monotonic()
        self._complete = False
        self._cache_off = False
        self._done, self._moved = 0, self._began
        self._bar = Bar() if on_terminal() else None

    def log_snapshot(self, snapshot: Snapshot, *, changed: bool, news: bool) -> None:
        """Log that the root became readable or unreadable, the progress of the first scan, and new problems."""
        if self._bar is not None and (snapshot.error or snapshot.complete):
            self._bar.finish()
        if snapshot.error:
            if snapshot.error != self._error:
                _log.error("root.unreadable", root=snapshot.root, error=snapshot.error)
            self._error = snapshot.error
            self._complete = False
            return
        if self._error is not None:
            _log.info("root.readable", root=snapshot.root)
            self._began = self._progress = time.monotonic()
        self._error = None
        for layout in snapshot.inventory.unmeasured:
            self._once("layout.unmeasured", layout=layout, advice="only its directories are measured")
        for name in snapshot.inventory.nested:
            advice = f"run another exporter with --root {quote(escape(f'{snapshot.root}/{name}'))}"
            self._once("root.nested", directory=name, layout="userns-remap", advice=advice)
        self._log_containerd(snapshot.inventory.remarks)
        for problem in self._lasting(snapshot)[:_LOGGED_PROBLEMS]:
            self._once(
                "scan.problem",
                collector=problem.collector.value,
                reason=problem.reason.value,
                path=problem.path,
                detail=problem.detail,
            )
        if not snapshot.complete:
            self._log_progress(snapshot)
        elif changed and news:
            self._log_scan(snapshot)

    def _log_containerd(self, remarks: Iterable[Remark]) -> None:
        """Log the directories that are not read as the root of the containerd that has the images."""
        for remark in remarks:
            if remark.kind is RemarkKind.CONTAINERD:
                path = escape("/".join(remark.path)) or "unknown"
                advice = f"pass --containerd.root {quote(escape(remark.where)) if remark.where else 'DIRECTORY'}"
                self._once("containerd.not_read", path=path, why=escape(remark.target), advice=advice)

    def _lasting(self, snapshot: Snapshot) -> list[Problem]:
        """The problems to log. A file that was half written or half removed is no problem at the next look.

        Files that vanished while they were read are counted but not logged.
        """
        now = time.monotonic()
        there = [one for one in snapshot.problems if one.reason is not Reason.VANISHED]
        self._seen = {one: self._seen.get(one, now) for one in there}
        return [one for one, since in self._seen.items() if not self._complete or now - since >= _LASTING_SECONDS]

    def log_cache(self, cache: Cache) -> None:
        """Log once for each reason that the cache cannot be written, and then that it can."""
        if cache.error:
            advice = "it is tried again each minute; set --cache.file to where it can be written"
            self._cache_off = self._once("cache.off", error=cache.error, advice=advice) or self._cache_off
        elif self._cache_off:
            self._cache_off = False
            _log.info("cache.on")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.finish()

    def _log_progress(self, snapshot: Snapshot) -> None:
        """Log the progress of the first scan every few seconds; on a terminal, show it as a bar."""
        now = time.monotonic()
        progress = snapshot.progress
        if progress is None:
            return
        if progress.trees_done != self._done:
            self._done, self._moved = progress.trees_done, now
        if self._bar is not None:
            if now - self._began > _QUICK_SECONDS:
                self._bar.show(progress)
            return
        if now - self._progress < _PROGRESS_SECONDS:
            return
        self._progress = now
        spent = now - self._began
        left = spent * (progress.trees - progress.trees_done) / progress.trees_done if progress.trees_done else None
        if left is not None and left < now - self._moved:
            left = None  # the trees left are larger than those done: no estimate
        _log.info(
            "scan.progress",
            entries=progress.entries,
            trees=progress.trees,
            trees_done=progress.trees_done,
            seconds=round(spent),
            seconds_left=None if left is None else round(left),
        )

    def _log_scan(self, snapshot: Snapshot) -> None:
        inventory = snapshot.inventory
        say = _log.debug if self._complete else _log.info
        self._complete = True
        say(
            "scan.done",
            seconds=round(max((scan.seconds for scan in snapshot.collectors.values()), default=0.0), 3),
            entries=sum(scan.entries for scan in snapshot.collectors.values()),
            layers=len(inventory.layers),
            images=len(inventory.images),
            containers=len(inventory.containers),
            volumes=len(inventory.volumes),
            problems=len(snapshot.problems),
        )

    def _once(self, event: str, **fields: str) -> bool:
        """Log a warning, unless it was logged before; say whether it was logged now."""
        key = repr((event, fields))
        if key in self._logged or len(self._logged) >= _MOST_LOGGED:
            return False
        self._logged.add(key)
        _log.warning(event, **fields)
        return True
