"""The exporter's own families: the last scans, and how changes are noticed."""

import sys
from collections.abc import Iterator, Mapping

from exporter.core.kept import Edition
from exporter.core.knowledge import Input
from exporter.core.measured import Measured, Reason, Tree
from exporter.core.model import Collector, Counters, Snapshot, Trigger
from exporter.core.snapshot import SKIPPED
from exporter.core.version import REVISION, VERSION
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import MetricFamily, family, single

#: The parts of a root that events are counted by.
AREAS = ("containers", "images", "layers", "root", "volumes")
#: Why watches were made anew: the root or a watched directory is another one, a thread died, or there were too few.
RESTARTS = ("directory", "limit", "root", "thread")
#: Only this layout has a part of its files in a further root.
_FURTHER_LAYOUT = "containerd"
_AUDITED = ("containers", "volumes")
#: The labels of what is counted by two enumerations: they are made at each look.
_SCANS = {(at, trigger): (at.value, trigger.value) for at in Collector for trigger in Trigger}
_ERRORS = {(at, reason): (at.value, reason.value) for at in Collector for reason in Reason}


class SkippedMounts:
    """How many mount points were not entered, from one snapshot to the next."""

    def __init__(self) -> None:
        self._measured: Mapping[Tree, Measured] = Edition()
        self._count = 0

    def count(self, measured: Mapping[Tree, Measured]) -> int:
        """The number in the next snapshot."""
        before, self._measured = self._measured, measured
        changed = measured.since(before) if isinstance(measured, Edition) else None
        if measured is before:
            return self._count
        if changed is None:
            self._count = sum(map(SKIPPED, measured.values()))
        for tree in changed or ():
            self._count += sum(
                sign * of[tree].skipped_mounts for of, sign in ((measured, 1), (before, -1)) if tree in of
            )
        return self._count


def status_families(snapshot: Snapshot, counters: Counters, skipped: int | None = None) -> Iterator[MetricFamily]:
    """Make the families of the exporter; a snapshot with an error, or of a first scan that goes on, has fewer.

    `skipped`: its skipped mount points, where they have been counted.
    """
    yield family(c.BUILD_INFO, [((VERSION, REVISION, sys.version.partition(" ")[0]), 1)])
    yield single(c.UP, not snapshot.error)
    if not snapshot.error:
        rows = [(snapshot.root, layout) for layout in snapshot.inventory.layouts]
        rows += [(one.path, _FURTHER_LAYOUT) for one in snapshot.further]
        yield family(c.ROOT_INFO, ((row, 1) for row in rows))
    if snapshot.complete:
        yield single(c.SNAPSHOT_TIMESTAMP, snapshot.taken)
        scans = snapshot.collectors
        yield family(c.SCAN_SUCCESS, (((at,), scan.success) for at, scan in scans.items()))
        yield family(c.SCAN_DURATION, (((at,), scan.seconds) for at, scan in scans.items()))
        yield family(c.SCAN_ENTRIES, (((at,), scan.entries) for at, scan in scans.items()))
        yield single(c.SKIPPED_MOUNTS, snapshot.skipped_mounts if skipped is None else skipped)
    if snapshot.measured:
        knowledge = snapshot.inventory.knowledge
        yield family(c.KNOWN, (((source,), knowledge.whole((source,))) for source in Input))
    if snapshot.progress is not None:
        yield single(c.INITIAL_TREES, snapshot.progress.trees)
        yield single(c.INITIAL_TREES_DONE, snapshot.progress.trees_done)
        yield single(c.INITIAL_ENTRIES, snapshot.progress.entries)
    yield from _scans(counters)
    yield from _watching(snapshot, counters)


def _scans(counters: Counters) -> Iterator[MetricFamily]:
    yield family(c.SCAN_LAST_SUCCESS, (((at,), when) for at, when in counters.last_success.items()))
    scans, errors = counters.scans.get, counters.errors.get
    yield MetricFamily(c.SCANS, {labels: float(scans(key, 0)) for key, labels in _SCANS.items()})
    yield MetricFamily(c.SCAN_ERRORS, {labels: float(errors(key, 0)) for key, labels in _ERRORS.items()})


def _watching(snapshot: Snapshot, counters: Counters) -> Iterator[MetricFamily]:
    watching = snapshot.watching
    if watching is not None:
        modes = {"inotify": not watching.polling, "polling": watching.polling}
        yield family(c.WATCH_MODE, (((mode,), used) for mode, used in modes.items()))
        yield single(c.WATCHES, watching.watches)
        yield single(c.WATCHES_LIMIT, watching.limit)
    yield family(c.WATCH_EVENTS, (((area,), counters.events.get(area, 0)) for area in AREAS))
    yield single(c.WATCH_OVERFLOWS, counters.overflows)
    yield single(c.WATCH_MISSED, counters.missed)
    yield family(c.WATCH_RESTARTS, (((reason,), counters.restarts.get(reason, 0)) for reason in RESTARTS))
    yield single(c.WATCH_LAST_EVENT, counters.last_event)
    yield family(c.AUDIT_OLDEST, (((area,), snapshot.audited.get(area)) for area in _AUDITED))
