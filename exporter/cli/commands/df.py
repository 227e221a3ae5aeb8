"""`df`: the sizes of the top-level entries of the root, and the space that prunes would free."""

import posixpath
import time
from dataclasses import asdict

from exporter.cli.commands.remarks import remarks
from exporter.cli.commands.tables import Answer, AtLeast, Lines, Table, exact_sum, not_known, total
from exporter.core.units import age
from exporter.expose.advice import FREEING
from exporter.expose.snapshot_api.rows import Document, FilesystemRow


def df(document: Document) -> Answer:
    """List the top-level entries of the root, the largest first, and the reclaimable space."""
    rows = sorted(document.directories, key=lambda row: (-row.allocated, row.name))
    sums = [sum(getattr(row, what) for row in rows) for what in ("size", "allocated", "inodes")]
    bytes_, objects = ([getattr(row, what) for row in document.reclaimable] for what in ("bytes", "objects"))
    data = {
        "directories": [asdict(row) for row in rows],
        "total": dict(zip(("size", "allocated", "inodes"), sums, strict=True)),
        "reclaimable": [asdict(row) for row in document.reclaimable],
        "reclaimable_total": exact_sum(bytes_),
        "unattributed": document.unattributed,
        "filesystems": [asdict(row) for row in document.filesystems],
        "remarks": [asdict(row) for row in document.remarks],
    }
    silent = _silent(document)
    parts: list[Table | Lines] = [
        Table(
            f"{document.root}{_when(document)}",
            (">ON DISK", ">SIZE", ">#INODES", "PART"),
            [
                *((row.allocated, row.size, row.inodes, row.name) for row in rows),
                *((None, None, None, name) for name in silent),
            ],
            footer=(*((AtLeast(one) if silent else one) for one in (sums[1], sums[0], sums[2])), "total"),
            bars=0,
        ),
        Table(
            "Reclaimable, each after the ones above it",
            (">BYTES", ">#OBJECTS", "WHAT", "HOW"),
            [(row.bytes, row.objects, *FREEING.get(row.category, (row.category, ""))) for row in document.reclaimable],
            footer=(total(bytes_), total(objects), "total", ""),
        ),
        *not_known(document, *(row.category for row in document.reclaimable)),
        _filesystems(document.filesystems),
    ]
    return Answer(data, [*parts, *_unmeasured(document), *remarks(document)])


def _silent(document: Document) -> list[str]:
    """The entries of the root on which a filesystem is mounted that does not answer."""
    known = {row.name for row in document.directories}
    tops = ((posixpath.split(one.mountpoint), one.size) for one in document.filesystems)
    return [name for (parent, name), size in tops if size is None and parent == document.root and name not in known]


def _when(document: Document) -> str:
    if document.taken is None or (seconds := time.time() - document.taken) < 2:
        return ""
    return f", {age(seconds)} ago"


def _filesystems(rows: tuple[FilesystemRow, ...]) -> Table:
    return Table(
        "",
        (">SIZE", ">AVAILABLE", "TYPE", "MOUNTED ON"),
        [(row.size, row.available, row.fstype, row.mountpoint) for row in rows],
    )


def _unmeasured(document: Document) -> list[Lines]:
    """Name the layouts whose objects are not listed."""
    return [
        Lines("", [f"The layout {name} is measured by directory only: its objects are not listed."])
        for name in document.unmeasured
    ]
