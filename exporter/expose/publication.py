"""The result of a scan as it is sent to the serving process: rendered pages and a summary; and that of `once`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.config.limits import EVERYTHING, Shown
from exporter.core.measured import Reason
from exporter.core.messages import Messages
from exporter.core.model import Collector, Counters, Filesystem, Snapshot
from exporter.expose.metrics.families import families
from exporter.expose.metrics.further_labels import with_labels
from exporter.expose.metrics.live import clock_families, filesystem_families
from exporter.expose.metrics.render import Format, Page, render, render_both, render_part
from exporter.expose.metrics.status import status_families
from exporter.expose.page_summary import Summary, root_summary, summarize
from exporter.expose.snapshot_api.encode import EncodedSnapshot, describe
from exporter.figures.figures import Figures


@dataclass(frozen=True, slots=True)
class Body:
    """The part that changes only when a figure or an object does: rendered and compressed once."""

    text: Page
    openmetrics: Page
    summary: Summary
    document: EncodedSnapshot
    filesystems: tuple[Filesystem, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything that the serving process serves; without a `body`, the previous one stays.

    `text` and `openmetrics` are the exporter's own families. A new scanning process starts from
    `counters`; `processes` are the process ids of the workers, `landlock` its version in force there, 0 without it.
    """

    text: bytes
    openmetrics: bytes
    taken: float | None
    body: Body | None = None
    counters: Counters = field(default_factory=Counters)
    processes: tuple[int, ...] = ()
    landlock: int = 0


#: How a scanning process sends its publications.
PUBLICATIONS: Messages[Publication] = Messages(Publication)


def publish(  # noqa: PLR0913 - the snapshot, and what the process says of itself
    snapshot: Snapshot,
    counters: Counters,
    *,
    shown: Shown = EVERYTHING,
    processes: Sequence[int] = (),
    landlock: int = 0,
    with_body: bool = True,
) -> Publication:
    """Render a snapshot in both formats; without its body when only the exporter's own families changed."""
    body = _body(snapshot, counters, shown) if with_body else None  # first: what fails there counts
    status = list(status_families(snapshot, counters))
    return Publication(
        text=render_part(status, "text"),
        openmetrics=render_part(status, "openmetrics"),
        taken=snapshot.taken if snapshot.measured else None,
        body=body,
        counters=counters,
        processes=tuple(processes),
        landlock=landlock,
    )


def _body(snapshot: Snapshot, counters: Counters, shown: Shown) -> Body:
    """Render family by family, so that ten thousand samples are never held at once."""
    text: list[bytes] = []
    openmetrics: list[bytes] = []
    figures = Figures(snapshot)
    for family in families(figures, shown):
        as_text, as_openmetrics, samples = render_both(family)
        text += (as_text, samples)
        openmetrics += (as_openmetrics, samples)
    pages = Page.of(text), Page.of(openmetrics)
    summary = figures.barrier.attempt(
        Collector.DIRECTORIES, "pages", lambda: summarize(figures), root_summary(snapshot)
    )
    body = Body(*pages, summary, describe(figures), snapshot.filesystems)
    _count(figures, counters)
    return body


def _count(figures: Figures, counters: Counters) -> None:
    """Count the errors of working out and rendering."""
    for collector, count in figures.barrier.failed.items():
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
    own = list(families(figures, shown))
    _count(figures, counters)
    made = [
        *own,
        *status_families(snapshot, counters),
        *filesystem_families(statuses),
        *clock_families(),
    ]
    return render(with_labels(made, labels) if labels else made, style)
