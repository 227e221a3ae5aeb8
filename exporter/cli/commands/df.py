"""`df`: the sizes of the top-level entries of the root, and the space that prunes would free."""

import posixpath
import time
from dataclasses import asdict

from exporter.cli.commands.remarks import remarks
from exporter.cli.commands.tables import Answer, Lines, Table
from exporter.core.units import age
from exporter.expose.advice import FREEING
from exporter.expose.snapshot_api.rows import Document, FilesystemRow


def df(document: Document) -> Answer:
    """List the top-level entries of the root, the largest first, and the reclaimable space."""
    rows = sorted(document.directories, key=lambda row: (-(row.allocated or 0), row.name))
    whole = all(row.allocated is not None for row in rows)
    total = [sum(getattr(row, what) for row in rows) if whole else None for what in ("size", "allocated", "inodes")]
    freed = sum(row.bytes or 0 for row in document.reclaimable)
    data = {
        "directories": [asdict(row) for row in rows],
        "total": dict(zip(("size", "allocated", "inodes"), total, strict=True)),
        "reclaimable": [asdict(row) for row in document.reclaimable],
        "reclaimable_total": freed,
        "unattributed": document.unattributed,
        "filesystems": [asdict(row) for row in document.filesystems],
        "remarks": [asdict(row) for row in document.remarks],
    }
    parts = [
        Table(
            f"{document.root}{_when(document)}",
            (">ON DISK", ">SIZE", ">#INODES", "PART"),
            [
                *((row.allocated, row.size, row.inodes, row.name) for row in rows),
                *((None, None, None, name) for name in _silent(document)),
            ],
            footer=(total[1], total[0], total[2], "total"),
            bars=0,
        ),
        Table(
            "Reclaimable, each after the ones above it",
            (">BYTES", ">#OBJECTS", "WHAT", "HOW"),
            [(row.bytes, row.objects, *FREEING.get(row.category, (row.category, ""))) for row in document.reclaimable],
            footer=(freed, sum(row.objects for row in document.reclaimable), "total", ""),
        ),
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
