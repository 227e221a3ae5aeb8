"""What the pages for people say of a snapshot: the largest of everything, bounded however large the root is."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from exporter.core.model import CollectorScan, Problem, Use
from exporter.core.text import label, shorten
from exporter.expose.snapshot_api import encode
from exporter.expose.snapshot_api.rows import (
    ContainerRow,
    DirectoryRow,
    ImageRow,
    LayerRow,
    MountRow,
    ReclaimableRow,
    VolumeRow,
)
from exporter.figures.figures import Figures

#: So many rows of a table are shown on /status, the largest first.
ROWS = 50
_REFERENCES = 20
#: The error of a root before the first look at it.
NOT_YET = "is not looked at yet"


@dataclass(frozen=True, slots=True)
class Summary:
    """What the pages say. Names are presentable, rows are the largest first and `counts` says of how many."""

    root: str
    error: str = ""
    layouts: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    taken: float | None = None
    counts: tuple[tuple[str, int], ...] = ()
    directories: tuple[DirectoryRow, ...] = ()
    used: int = 0
    reclaimable: tuple[ReclaimableRow, ...] = ()
    images: tuple[ImageRow, ...] = ()
    containers: tuple[ContainerRow, ...] = ()
    logs: tuple[ContainerRow, ...] = ()
    mounts: tuple[tuple[str, MountRow], ...] = ()
    volumes: tuple[VolumeRow, ...] = ()
    orphans: tuple[LayerRow, ...] = ()
    missing: int = 0
    collectors: tuple[tuple[str, CollectorScan], ...] = ()
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0

    def count(self, what: str) -> int:
        """How many there are of what `counts` counts."""
        return dict(self.counts).get(what, 0)


_Row = TypeVar("_Row", DirectoryRow, ImageRow, ContainerRow, VolumeRow, LayerRow)


def summarize(account: Figures) -> Summary:
    """Say what is largest in a snapshot, in names that can be shown."""
    snapshot = account.snapshot
    inventory = snapshot.inventory
    begun = Summary(
        label(snapshot.root),
        snapshot.error,
        inventory.layouts,
        inventory.unmeasured,
        inventory.drivers,
        problems=tuple(map(_presentable, snapshot.problems[:ROWS])),
        problem_count=len(snapshot.problems),
    )
    if not snapshot.measured:
        return begun
    directories = tuple(encode.directories(account))
    images = [row for row in encode.images(account) if row.listed]
    containers = list(encode.containers(account))
    mounts = [(shorten(row.name or row.id[:12]), mount) for row in containers for mount in row.mounts]
    orphans = [row for row in encode.layers(account) if row.use is Use.ORPHANED]
    return replace(
        begun,
        taken=snapshot.taken,
        counts=(
            ("layers", len(inventory.layers)),
            ("images", len(images)),
            ("containers", len(containers)),
            ("volumes", len(inventory.volumes)),
            ("orphaned layers", len(orphans)),
            ("directories", len(directories)),
            ("mounts", len(mounts)),
        ),
        directories=_largest((row.allocated, row.name, row) for row in directories),
        used=sum(row.allocated for row in directories),
        reclaimable=tuple(encode.reclaimable(account.reclaim)),
        images=tuple(map(_short_image, _largest((row.virtual, row.id, row) for row in images))),
        containers=tuple(map(_short_container, _largest((row.writable, row.id, row) for row in containers))),
        logs=tuple(map(_short_container, _largest((row.log, row.id, row) for row in containers))),
        mounts=tuple(mounts[:ROWS]),
        volumes=_largest((row.size, row.name, row) for row in encode.volumes(account)),
        orphans=_largest((row.allocated, row.id, row) for row in orphans),
        missing=sum(map(len, inventory.missing.values())),
        collectors=tuple((collector, scan) for collector, scan in snapshot.collectors.items()),
    )


def _largest(rows: Iterable[tuple[int | None, str, _Row]]) -> tuple[_Row, ...]:
    """The first of the rows by size; those of unknown size come last, but they come."""
    ordered = sorted(rows, key=lambda row: (row[0] is None, -(row[0] or 0), row[1]))
    return tuple(row for _, _, row in ordered[:ROWS])


def _short_image(row: ImageRow) -> ImageRow:
    return replace(row, references=tuple(map(shorten, row.references[:_REFERENCES])), digests=row.digests[:1])


def _short_container(row: ContainerRow) -> ContainerRow:
    return replace(row, name=shorten(row.name), image=shorten(row.image), mounts=())


def _presentable(problem: Problem) -> Problem:
    return replace(problem, path=label(problem.path), detail=label(problem.detail))
