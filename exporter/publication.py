"""What a finished scan hands to those who serve it: rendered pages, and a summary for people."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter import accounting
from exporter.metrics.families import families, image_name
from exporter.metrics.labels import label
from exporter.metrics.render import Page, page
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
class Publication:
    """Everything that the serving process needs of a snapshot, and the counters a new scanner starts from."""

    text: Page
    openmetrics: Page
    summary: Summary
    counters: Counters = field(default_factory=Counters)
    filesystems: tuple[Filesystem, ...] = ()


def publish(snapshot: Snapshot, counters: Counters, *, intermediate: bool) -> Publication:
    """Render a snapshot, once, in both formats."""
    made = list(families(snapshot, counters, intermediate=intermediate))
    return Publication(
        text=page(made, "text"),
        openmetrics=page(made, "openmetrics"),
        summary=summarize(snapshot),
        counters=counters,
        filesystems=snapshot.filesystems,
    )


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
        logs=_top((one.name or one.id[:12], one.log.size) for one in inventory.containers),
        volumes=_top((name, usage.size) for name, usage in accounting.volumes(snapshot).items() if usage),
        problems=tuple(
            (problem.collector, problem.reason, label(f"{problem.path} {problem.detail}".strip()))
            for problem in snapshot.problems[:_PROBLEMS]
        ),
    )


def _top(rows: Iterable[tuple[str, int | None]]) -> tuple[tuple[str, int], ...]:
    known = [(label(name), size) for name, size in rows if size is not None]
    return tuple(sorted(known, key=lambda row: (-row[1], row[0]))[:_TOP])
