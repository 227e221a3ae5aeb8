"""`du`: what takes the space in an object, by directory."""

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace

from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList
from exporter.cli.commands.du_entries import DiskEntry
from exporter.cli.commands.du_inodes import Seen
from exporter.cli.commands.du_measure import DuResult, DuRow, EntryCounter, below, measure, places_of, rows_of
from exporter.cli.commands.du_places import KnownRoot, Target
from exporter.cli.commands.filters import contains, equals
from exporter.cli.commands.habits import PLAIN, Chosen, Habits, choose
from exporter.cli.commands.tables import Answer, AtLeast, Cell, Lines, Table
from exporter.core.measured import Tree
from exporter.core.text import escape

_SHOWN_MOUNTS = 5


def du(  # noqa: PLR0913 - what is shown of it
    known: KnownRoot, wanted: str, path: str, *, depth: int, files: int, habits: Habits = PLAIN
) -> Answer:
    """Measure an object, or what is at `path` in it, with the sums of its directories down to `depth`.

    Raises click.UsageError for a path that leads out of the object.
    """
    names = below(path)
    targets = known.meant(wanted)
    if len({one.identity for one in targets}) != 1:
        return _not_one(wanted, targets)
    places = places_of(targets, names)
    seen, progress = Seen(), EntryCounter()
    results = [measure(known, one, depth=depth, files=files, seen=seen, on_step=progress) for one in places]
    if names and len(results) > 1:  # of an image: the layers that have it
        there = [one for one in results if one.top is not None or one.failed]
        results = there or results[:1]
    progress.finish()
    rows = [row for one in results if one.top is not None for row in rows_of(one.top, place=one.place.title)]
    hidden = () if any(one.top is not None and one.top.deleted for one in results) else ("deleted",)
    chosen = choose(ENTRIES, known.index, sorted(rows, key=_largest_first), habits, hidden=hidden)
    return _answer(wanted, targets[0], names, results, chosen)


def _not_one(wanted: str, targets: Sequence[Target]) -> Answer:
    matches = [{"kind": one.kind, "id": one.name, "name": f"{one.kind}:{one.name}"} for one in targets]
    if not targets:
        known = "a container, image, layer, volume or part of this root"
        lines = [Lines("", [f"{escape(wanted)} is no name and no beginning of an id of {known}."])]
    else:
        lines = [Lines(f"{escape(wanted)} can mean:", [candidate(one) for one in targets])]
    return Answer({"object": escape(wanted), "matches": matches, "places": []}, lines, failed=True)


def candidate(one: Target) -> str:
    """How to name this object and no other one."""
    return f"  {one.kind}:{one.name}{f'  ({one.about})' if one.about else ''}"


def _largest_first(row: DuRow) -> tuple[int, int, str]:
    """The order of rows: by disk blocks, then by size and name."""
    return -row.entry.allocated, -row.entry.size, row.path


def _answer(wanted: str, target: Target, names: Tree, results: Sequence[DuResult], chosen: Chosen[DuRow]) -> Answer:
    shown = [part for one in results for part in _parts(one, chosen)] + chosen.said()
    if len(results) > 1:
        shown.append(_total(results))
    data = {
        "object": escape(wanted),
        "kind": target.kind,
        "id": target.name,
        "path": escape("/".join(names)),
        "places": [_place_data(one, chosen) for one in results],
        "total": _numbers(_added(results)),
        "problems": [
            {"reason": reason, "path": escape(path) or one.place.title, "detail": escape(why)}
            for one in results
            for reason, path, why in one.errors
        ],
    }
    failed = chosen.failed or any(one.failed or one.top is None for one in results)
    return Answer(data, shown, failed=failed, listings=(chosen,))


def _added(results: Sequence[DuResult]) -> DiskEntry:
    """The sum of all places. It is not whole where one of them is not."""
    added = DiskEntry("total", whole=all(one.top is not None and one.top.whole for one in results))
    for one in results:
        if one.top is not None:
            added.size += one.top.size
            added.allocated += one.top.allocated
            added.inodes += one.top.inodes
            added.deleted += one.top.deleted
    return added


def _rows(result: DuResult, chosen: Chosen[DuRow]) -> list[DuRow]:
    return [one for one in chosen.rows if one.place == result.place.title]


def _parts(result: DuResult, chosen: Chosen[DuRow]) -> Iterator[Table | Lines]:
    top, title = result.top, result.place.title
    if top is None:
        yield Lines("", [f"{title}: ? ({'; '.join(why for *_, why in result.errors)})"])
        return
    table = chosen.table(title, rows=_rows(result, chosen))
    (own,) = chosen.table(rows=[DuRow("in all", top)]).rows
    yield replace(table, rows=table.rows or [own], footer=own if table.rows else ())
    if top.opaque:
        yield Lines("", ["All that the layers below have in this directory is hidden (opaque)."])
    if result.mounts:
        more = f" and {len(result.mounts) - _SHOWN_MOUNTS} more" if len(result.mounts) > _SHOWN_MOUNTS else ""
        yield Lines("", [f"Mounted below, and not entered: {', '.join(result.mounts[:_SHOWN_MOUNTS])}{more}"])


def _total(results: Sequence[DuResult]) -> Table:
    places = [(*(_sizes(one.top) if one.top else (None, None, None)), one.place.name) for one in results]
    sums = (*_sizes(_added(results)), "in all")
    return Table("Total", (">ON DISK", ">SIZE", ">#INODES", "PLACE"), places, footer=sums)


def _sizes(entry: DiskEntry) -> tuple[int, int, int]:
    """Disk blocks, size and inodes for people: `AtLeast` where a part of it is not known."""
    kind = int if entry.whole else AtLeast
    return kind(entry.allocated), kind(entry.size), kind(entry.inodes)


def _numbers(entry: DiskEntry) -> dict[str, Any]:
    """Sizes for programs: None where a part is not known, and then `at_least`."""
    known = {"allocated": entry.allocated, "size": entry.size, "inodes": entry.inodes}
    return known if entry.whole else {**dict.fromkeys(known), "at_least": known}


def _place_data(result: DuResult, chosen: Chosen[DuRow]) -> dict[str, Any]:
    place, top = result.place, result.top
    return {
        "title": place.title,
        "key": place.key,
        **(_numbers(top) if top is not None else {"allocated": None, "size": None, "inodes": None}),
        "deleted": top.deleted if top is not None else None,
        "opaque": top.opaque if top is not None else None,
        "mounts": result.mounts,
        "entries": [
            {
                "path": one.path,
                "kind": one.entry.kind,
                **_numbers(one.entry),
                "deleted": one.entry.deleted,
                "opaque": one.entry.opaque,
            }
            for one in _rows(result, chosen)
        ],
    }


# -- the list --------------------------------------------------------------------------------------------------------


def _number(name: str, heading: str, kind: Kind, worth: int) -> Column[DuRow]:
    """A column of sizes. An entry that is deleted has none in the table."""

    def value(_: object, row: DuRow) -> int:
        number: int = getattr(row.entry, name)
        return number if row.entry.whole else AtLeast(number)

    def cell(index: object, row: DuRow) -> Cell:
        return "" if row.entry.kind == "deleted" else value(index, row)

    return Column(name, heading, kind, value, worth, cell=cell, keep=name == "allocated")


def _deleted(_: object, row: DuRow) -> Cell:
    return "" if row.entry.kind == "deleted" else row.entry.deleted or ""


def _path(_: object, row: DuRow) -> str:
    """A path with what a layer has done to it."""
    return row.path + (" (deleted)" if row.entry.kind == "deleted" else " (opaque)" if row.entry.opaque else "")


_KINDS = ("directory", "file", "link", "other", "deleted", "directories", "files")
#: The columns of the list, and what --quiet prints.
ENTRIES: ObjectList[DuRow] = ObjectList(
    "entry",
    (
        _number("allocated", "ON DISK", Kind.SIZE, 92),
        _number("size", "SIZE", Kind.SIZE, 92),
        _number("inodes", "INODES", Kind.COUNT, 25),
        Column("deleted", "DELETED", Kind.COUNT, lambda _, one: one.entry.deleted, 25, cell=_deleted),
        Column("path", "PATH", Kind.PATH, lambda _, one: one.path, cell=_path, keep=True),
        Column("kind", "KIND", Kind.WORD, lambda _, one: one.entry.kind, shown=False),
        Column("place", "PLACE", Kind.TEXT, lambda _, one: one.place, shown=False),
    ),
    names=lambda _, one: (one.path,),
    ids=lambda _, __: (),
    key=lambda _, one: one.path,
    whole=lambda _, one: one.path,
    filters={
        "kind": equals(lambda _, one: (one.entry.kind,), _KINDS),
        "path": contains(lambda _, one: (one.path,)),
    },
)
