"""`df`: the sizes of the top-level entries of the root, and the space that prunes would free."""

import time
from collections.abc import Iterable, Sequence

from msgspec import to_builtins
from msgspec.structs import replace

from exporter.cli.commands.builders import builder_lines
from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList
from exporter.cli.commands.filters import contains
from exporter.cli.commands.habits import PLAIN, Chosen, Habits, choose
from exporter.cli.commands.index import Index
from exporter.cli.commands.remarks import remarks
from exporter.cli.commands.store import store_tables
from exporter.cli.commands.summary import SUMMARY, as_data, summary
from exporter.cli.commands.tables import Answer, AtLeast, Lines, Table, exact_sum, total
from exporter.cli.commands.unexplained import said_of, unexplained
from exporter.core.text import SHORT
from exporter.core.units import age, human
from exporter.expose.linked_parts import linked_parts
from exporter.expose.snapshot_api.rows import DirectoryRow, Document, FilesystemRow, LayerRow, ReclaimableRow

_BY_TYPE = "By type, in disk blocks; reclaimable is what the prunes free one after the other"
_MEASURES = ("size", "allocated", "inodes")


def df(document: Document, habits: Habits = PLAIN) -> Answer:
    """List the types of objects, the entries of each root, the largest first, and the reclaimable space."""
    rows = sorted(document.directories, key=lambda row: (row.root, -(row.allocated or 0), row.name))
    bytes_, objects = ([getattr(row, what) for row in document.reclaimable] for what in ("bytes", "objects"))
    silent, unread = _silent(document), {one.path for one in document.problems}
    shown = [*linked_parts(rows, document.remarks, unread), *(DirectoryRow(name, None, None, None) for name in silent)]
    known, whole = _sums(shown)
    types = summary(document)
    index = Index(document)
    chosen = choose(PARTS, index, shown, habits, hidden=() if document.further else ("root",))
    by_type = choose(SUMMARY, index, types, replace(PLAIN, sort=habits.sort, reverse=habits.reverse))
    data = {
        "directories": [to_builtins(row) for row in choose(PARTS, index, rows, habits).rows],
        "total": dict(zip(_MEASURES, known if whole else (None, None, None), strict=True)),
        "reclaimable": [to_builtins(row) for row in document.reclaimable],
        "reclaimable_total": exact_sum(bytes_),
        "unattributed": document.unattributed,
        "filesystems": [to_builtins(row) for row in document.filesystems],
        "temporary": [to_builtins(row) for row in document.temporary],
        "unexplained": unexplained(document),
        "remarks": [to_builtins(row) for row in document.remarks],
        "content": [to_builtins(row) for row in document.content],
        "namespaces": [to_builtins(row) for row in document.namespaces],
        "history": document.history,
        "summary": as_data(types),
    }
    listed: list[Table | Lines] = [
        *(_directories(document, chosen, root) for root in ("", *document.further)),
        *chosen.said(),
    ]
    if habits.names or habits.filters:  # only these parts are asked for
        return Answer(data, listed, failed=chosen.failed, listings=(chosen, by_type))
    parts: list[Table | Lines] = [
        by_type.table(_BY_TYPE),
        *listed,
        *store_tables(document),
        Table(
            "Reclaimable, each row after the ones above it",
            (">BYTES", ">#OBJECTS", "WHAT", "HOW"),
            [(row.bytes, row.objects, row.what or row.category, row.how) for row in document.reclaimable],
            footer=(total(bytes_), total(objects), "total", ""),
        ),
        *_notes(document),
        *_temporary(document),
        _filesystems(document.filesystems),
        *said_of(unexplained(document)),
        *_unmeasured(document),
        *remarks(document),
    ]
    return Answer(data, parts, failed=chosen.failed, listings=(chosen, by_type))


#: The columns of the parts of a root.
PARTS: ObjectList[DirectoryRow] = ObjectList(
    "part",
    (
        Column("on_disk", "ON DISK", Kind.SIZE, lambda _, row: row.allocated, 95, ("OnDisk",), keep=True),
        Column("size", "SIZE", Kind.SIZE, lambda _, row: row.size, 60),
        Column("inodes", "INODES", Kind.COUNT, lambda _, row: row.inodes, 30),
        Column("part", "PART", Kind.TEXT, lambda _, row: row.name, 90, ("Part", "Name"), keep=True),
        Column("root", "ROOT", Kind.PATH, lambda index, row: row.root or index.document.root, shown=False),
    ),
    names=lambda _, row: (row.name,),
    ids=lambda _, __: (),
    key=lambda _, row: row.name,
    whole=lambda _, row: row.name,
    filters={"name": contains(lambda _, row: (row.name,))},
)


def _directories(document: Document, chosen: Chosen[DirectoryRow], root: str) -> Table:
    """The entries of one root that are to be shown, with their sums."""
    rows = [row for row in chosen.rows if row.root == root]
    known, whole = _sums(rows)
    sums = [one if whole else AtLeast(one) for one in known]
    title = root or f"{document.root}{_when(document)}"
    table = chosen.table(title, rows=rows, bars="on_disk")
    return replace(table, footer=(sums[1], sums[0], sums[2], "total"))


def _sums(rows: Sequence[DirectoryRow]) -> tuple[list[int], bool]:
    """The sums of what is known of these entries, and whether all is known."""
    whole = all(row.allocated is not None for row in rows)
    return [sum(getattr(row, what) or 0 for row in rows) for what in _MEASURES], whole


def _silent(document: Document) -> list[str]:
    """The entries of the root on which a filesystem is mounted that does not answer."""
    known = {row.name for row in document.directories if not row.root}
    silent = [one.directory for one in document.filesystems if one.size is None]
    return [name for name in silent if name and "/" not in name and name not in known]


def _when(document: Document) -> str:
    if document.taken is None or (seconds := time.time() - document.taken) < 2:
        return ""
    return f", {age(seconds)} ago"


def _notes(document: Document) -> list[Lines]:
    """What the table of reclaimable space leaves out: why, and commands that are too long for it."""
    lines = [f"{_names(rows)}: {why}." for why, rows in _by_reason(document.reclaimable).items()]
    lines += _held([row for row in document.layers if row.held])
    lines += builder_lines(document.volumes)
    parts = [Lines("", lines)] if lines else []
    long = [command for row in document.reclaimable for command in row.commands if command not in row.how]
    return [*parts, Lines("Commands", long, commands=True)] if long else parts


def _by_reason(rows: Iterable[ReclaimableRow]) -> dict[str, list[ReclaimableRow]]:
    found: dict[str, list[ReclaimableRow]] = {}
    for row in rows:
        if row.why:
            found.setdefault(row.why, []).append(row)
    return found


def _names(rows: Iterable[ReclaimableRow]) -> str:
    return ", ".join(row.what or row.category for row in rows)


def _temporary(document: Document) -> list[Table | Lines]:
    """The engine's old temporary files, which no prune removes."""
    rows = document.temporary
    if not rows:
        return []
    written = [f"{age(time.time() - row.newest)} ago" for row in rows]
    return [
        Table(
            "Old temporary files: not written to for a day, and removed by no prune",
            (">BYTES", ">#FILES", "NEWEST", "WHERE", "HOW"),
            [
                (row.allocated, row.files, newest, row.path if row.whole else f"{row.path} (and more)", row.how)
                for row, newest in zip(rows, written, strict=True)
            ],
        ),
        Lines("", ["They are leftovers, unless a load, pull or build is going on: a restart of the daemon ends that."]),
    ]


def _held(layers: Sequence[LayerRow]) -> list[str]:
    """Name the layers that no prune frees, because an entry without a container holds them."""
    if not layers:
        return []
    driver, first = layers[0].driver, layers[0].held
    held, others = sum(layer.allocated or 0 for layer in layers), len({layer.held for layer in layers}) - 1
    entries = f"image/{driver}/layerdb/mounts/{first[:SHORT]}..." + (f" and {others} more entries" if others else "")
    what = "1 layer is" if len(layers) == 1 else f"{len(layers)} layers are"
    return [f"No prune frees {human(held)} of layers: {what} held by {entries}, of a container that is gone."]


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
