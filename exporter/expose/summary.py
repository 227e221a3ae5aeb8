"""What the HTML pages show of a snapshot. `page_summary` makes it; the serving process needs no more."""

from msgspec import Struct

from exporter.core.model import CollectorScan, Problem, Progress
from exporter.expose.snapshot_api.rows import (
    BuildRecordRow,
    ContainerRow,
    DirectoryRow,
    GapRow,
    ImageRow,
    LayerRow,
    MountRow,
    NamespaceRow,
    ReclaimableRow,
    VolumeRow,
)
from exporter.expose.store_parts import StorePart

#: The error of a root before the first look at it.
NOT_YET = "is not looked at yet"


class Summary(Struct, frozen=True):
    """The content of the pages. Names are valid UTF-8, rows are sorted by size, and `counts` is how many there are.

    `further`: the roots that are read with the data root. `advice`: what is said of one that is not read.
    `progress` is that of a first scan that is not done; there is no time `taken` then, and much is None.
    `allocated`: the bytes of disk blocks that are measured on each filesystem, by its path. `unknown`: how many kinds
    of figures are not known. `sizeless`: of how many objects of a list the size is not known, by its name. `store` and
    `store_notes` are those of a containerd image store, `namespaces` its namespaces if they are several.
    """

    root: str
    error: str = ""
    layouts: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    taken: float | None = None
    progress: Progress | None = None
    counts: tuple[tuple[str, int | None], ...] = ()
    directories: tuple[DirectoryRow, ...] = ()
    used: int | None = 0
    reclaimable: tuple[ReclaimableRow, ...] = ()
    images: tuple[ImageRow, ...] = ()
    containers: tuple[ContainerRow, ...] = ()
    mounts: tuple[tuple[str, MountRow], ...] = ()
    volumes: tuple[VolumeRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    records: tuple[BuildRecordRow, ...] = ()
    orphans: tuple[LayerRow, ...] = ()
    missing: int | None = 0
    gaps: tuple[GapRow, ...] = ()
    collectors: tuple[tuple[str, CollectorScan], ...] = ()
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    further: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    store: tuple[StorePart, ...] = ()
    store_notes: tuple[str, ...] = ()
    namespaces: tuple[NamespaceRow, ...] = ()
    allocated: tuple[tuple[str, int], ...] = ()
    unknown: int = 0
    sizeless: tuple[tuple[str, int], ...] = ()

    def count(self, what: str) -> int | None:
        """How many objects of a kind there are; None where that is not known."""
        return dict(self.counts).get(what, 0)
