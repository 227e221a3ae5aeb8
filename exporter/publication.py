"""What a finished scan hands to those who serve it: rendered pages, and a summary for people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from exporter import accounting
from exporter.describe import Described, describe
from exporter.metrics.families import families, image_name
from exporter.metrics.labels import label
from exporter.metrics.render import Page, render_both, render_part
from exporter.metrics.status import status_families
from exporter.model import Counters, Filesystem, Snapshot

_TOP = 10
_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Summary:
    """What the landing page says. Names are presentable, sizes are bytes, largest first."""

    root: str
    error: str = ""
    layouts: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    taken: float | None = None
    used: int = 0
    counts: tuple[tuple[str, int], ...] = ()
    directories: tuple[tuple[str, int], ...] = ()
    images: tuple[tuple[str, int], ...] = ()
    containers: tuple[tuple[str, int], ...] = ()
    logs: tuple[tuple[str, int], ...] = ()
    volumes: tuple[tuple[str, int], ...] = ()
    problems: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Body:
    """What changes only when a figure or an object does: rendered and compressed once."""

    text: Page
    openmetrics: Page
    summary: Summary
    document: Described
    filesystems: tuple[Filesystem, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything that the serving process needs to know; without a `body`, the one before still stands.

    `text` and `openmetrics` are the exporter's own families. `counters` are what a new scanner starts from,
    `processes` those that measure.
    """

    text: bytes
    openmetrics: bytes
    taken: float | None
    body: Body | None = None
    counters: Counters = field(default_factory=Counters)
    processes: tuple[int, ...] = ()


def publish(
    snapshot: Snapshot,
    counters: Counters,
    *,
    intermediate: bool,
    processes: Sequence[int] = (),
    with_body: bool = True,
) -> Publication:
    """Render a snapshot in both formats; without its body when only the exporter's own families changed."""
    status = list(status_families(snapshot, counters))
    return Publication(
        text=render_part(status, "text"),
        openmetrics=render_part(status, "openmetrics"),
        taken=snapshot.taken if snapshot.measured else None,
        body=_body(snapshot, intermediate=intermediate) if with_body else None,
        counters=counters,
        processes=tuple(processes),
    )


def _body(snapshot: Snapshot, *, intermediate: bool) -> Body:
    """Render family by family, so that ten thousand samples are never held at once."""
    text, openmetrics = bytearray(), bytearray()
    for family in families(snapshot, intermediate=intermediate):
        as_text, as_openmetrics = render_both(family)
        text += as_text
        openmetrics += as_openmetrics
    pages = Page.of(bytes(text)), Page.of(bytes(openmetrics))
    return Body(*pages, summarize(snapshot), describe(snapshot), snapshot.filesystems)


def summarize(snapshot: Snapshot) -> Summary:
    """Say what is largest in a snapshot, in names that can be shown."""
    inventory = snapshot.inventory
    if not snapshot.measured:
        return Summary(label(snapshot.root), snapshot.error, inventory.layouts, inventory.unmeasured)
    directories = accounting.directories(snapshot)
    images = accounting.images(snapshot)
    containers = accounting.containers(snapshot)
    return Summary(
        root=label(snapshot.root),
        layouts=inventory.layouts,
        unmeasured=inventory.unmeasured,
        drivers=inventory.drivers,
        taken=snapshot.taken,
        used=sum(usage.allocated for usage in directories.values()),
        counts=(
            ("layers", len(inventory.layers)),
            ("images", sum(image.listed for image in inventory.images)),
            ("containers", len(inventory.containers)),
            ("volumes", len(inventory.volumes)),
        ),
        directories=_top((name, usage.allocated) for name, usage in directories.items()),
        images=_top(
            (image_name(image), images[image.driver, image.id].virtual) for image in inventory.images if image.listed
        ),
        containers=_top((one.name or one.id[:12], containers[one.id].writable_size) for one in inventory.containers),
        logs=_top((one.name or one.id[:12], snapshot.logs.get(one.id)) for one in inventory.containers),
        volumes=_top((name, usage.size) for name, usage in accounting.volumes(snapshot).items() if usage),
        problems=tuple(
            (problem.collector, problem.reason, label(f"{problem.path} {problem.detail}".strip()))
            for problem in snapshot.problems[:_PROBLEMS]
        ),
    )


def _top(rows: Iterable[tuple[str, int | None]]) -> tuple[tuple[str, int], ...]:
    known = [(label(name), size) for name, size in rows if size is not None]
    return tuple(sorted(known, key=lambda row: (-row[1], row[0]))[:_TOP])
