"""Makes what the scanning process sends to the serving one: rendered pages, and what somebody asks for.

`Publisher` goes from one snapshot to the next, and does again what has changed. `exposition` is for `once`.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from exporter.config.limits import EVERYTHING, Shown
from exporter.core.measured import Reason
from exporter.core.model import Collector, Counters, Filesystem, Snapshot, ViewKind
from exporter.core.wanted import Wanted
from exporter.expose.growing import Growth
from exporter.expose.growth import TotalsRing
from exporter.expose.listing import ListPage
from exporter.expose.metrics.families import families
from exporter.expose.metrics.further_labels import with_labels
from exporter.expose.metrics.kept import KeptExposition
from exporter.expose.metrics.live import clock_families, filesystem_families
from exporter.expose.metrics.render import Format, KeptRendering, render
from exporter.expose.metrics.rendered import rendered
from exporter.expose.metrics.status import SkippedMounts, status_families
from exporter.expose.published import Body, Publication, View
from exporter.figures.figures import Figures


class Publisher:
    """Renders one snapshot after the other. What stays the same is not rendered again."""

    def __init__(self, shown: Shown = EVERYTHING) -> None:
        self._shown = shown
        self._kept = KeptExposition(shown)
        self._status = KeptRendering()
        self._skipped = SkippedMounts()
        self._figures: Figures | None = None
        self._number = 0
        self._ring = TotalsRing()

    def publish(
        self,
        snapshot: Snapshot,
        counters: Counters,
        *,
        processes: Sequence[int] = (),
        landlock: int = 0,
        with_body: bool = True,
    ) -> Publication:
        """Render a snapshot in both formats; without its body when only the exporter's own families changed."""
        body = self._body(snapshot, counters) if with_body else None  # first: what fails there counts
        status = self._status.render(status_families(snapshot, counters, self._skipped.count(snapshot.measured)))
        return Publication(
            text=status.text,
            openmetrics=status.openmetrics,
            taken=snapshot.taken if snapshot.complete else None,
            body=body,
            counters=counters,
            processes=tuple(processes),
            landlock=landlock,
        )

    def note_totals(self, counters: Counters) -> None:
        """Keep the totals of what is served now, if it is time: growth is worked out from them."""
        figures, now = self._figures, time.monotonic()
        if figures is None or not figures.snapshot.complete or not self._ring.is_due(now):
            return
        failed = figures.barrier.failed.copy()
        figures.barrier.attempt(Collector.DIRECTORIES, "totals", lambda: self._ring.note(now, figures), None)
        _count(figures.barrier.failed - failed, counters)

    def view(self, kind: ViewKind, counters: Counters, wanted: Wanted | None = None) -> View | None:
        """What somebody asks for, of the last snapshot that was published with its body."""
        figures = self._figures
        if figures is None:
            return None
        failed = figures.barrier.failed.copy()
        taken = figures.snapshot.taken if figures.snapshot.complete else None
        view = self._viewed(figures, View(self._number, kind, taken, wanted=wanted))
        _count(figures.barrier.failed - failed, counters)
        return view

    def _viewed(self, figures: Figures, view: View) -> View:
        """A view with its content."""
        attempt, wanted = figures.barrier.attempt, view.wanted
        if view.kind is ViewKind.DOCUMENT:
            from exporter.expose.snapshot_api.encode import describe  # noqa: PLC0415 - most never need it

            return replace(view, document=describe(figures))
        if view.kind is ViewKind.GROWTH:
            now = time.monotonic()
            work = partial(self._ring.growth, now, figures)
            return replace(view, growth=attempt(Collector.DIRECTORIES, "growth", work, Growth()))
        if wanted is not None:
            from exporter.expose.lists import listing  # noqa: PLC0415 - as above

            failed = ListPage(wanted, read=False, why="the exporter failed to work it out, see its log")
            made = attempt(Collector.DIRECTORIES, "a list", lambda: listing(figures, wanted), failed)
            return replace(view, listing=made)
        from exporter.expose.page_summary import root_summary, summarize  # noqa: PLC0415 - as above

        instead = root_summary(figures.snapshot)
        return replace(view, summary=attempt(Collector.DIRECTORIES, "pages", lambda: summarize(figures), instead))

    def _body(self, snapshot: Snapshot, counters: Counters) -> Body:
        figures = self._figures = Figures(snapshot, self._figures)
        pages = self._kept.render(figures)
        figures.forget_before()
        if figures.barrier.failed:  # what has failed is tried again as a whole
            self._kept = KeptExposition(self._shown)
        _count(figures.barrier.failed, counters)
        self._number = time.monotonic_ns()
        return Body(self._number, *pages, snapshot.error, snapshot.filesystems)


def _count(failed: Mapping[Collector, int], counters: Counters) -> None:
    """Count the errors of working out and rendering."""
    for collector, count in failed.items():
        key = collector, Reason.INTERNAL
        counters.errors[key] = counters.errors.get(key, 0) + count


def exposition(  # noqa: PLR0913 - what is known, and how it is to be shown
    snapshot: Snapshot,
    counters: Counters,
    statuses: Iterable[tuple[Filesystem, os.statvfs_result]],
    shown: Shown,
    style: Format,
    labels: Mapping[str, str],
) -> bytes:
    """Render the whole exposition of one scan, for `once`, with further `labels` on all series."""
    figures = Figures(snapshot)
    # With further labels, each series has to be taken apart.
    own = [*families(figures, shown)] if labels else []
    objects = b"" if labels else rendered(figures, shown, style)
    _count(figures.barrier.failed, counters)
    made = [*own, *status_families(snapshot, counters), *filesystem_families(statuses), *clock_families()]
    return objects + render(with_labels(made, labels) if labels else made, style)
