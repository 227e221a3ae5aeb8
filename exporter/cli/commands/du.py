"""`du`: what takes the space in an object, by directory."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import click

from exporter.cli.commands.columns import ColumnKind, Shape
from exporter.cli.commands.du_entries import DiskEntry
from exporter.cli.commands.du_inodes import Seen
from exporter.cli.commands.du_places import DuPlace, KnownRoot, Target
from exporter.cli.commands.du_walk import DirectoryWalk
from exporter.cli.commands.tables import Answer, AtLeast, Cell, Lines, Table
from exporter.core.data_root import reason_of
from exporter.core.measured import Reason, Tree
from exporter.core.text import escape

_HEADINGS = (">ON DISK", ">SIZE", ">#INODES")
_PATH = Shape("PATH", ColumnKind.PATH, keep=True)
_DELETED = ">#DELETED"
_SHOWN_MOUNTS = 5
_TURN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class DuRow:
    """An entry with its path below the place."""

    path: str
    entry: DiskEntry


@dataclass(slots=True)
class DuResult:
    """What was found in a place. `top` is None where nothing of it could be read, and `errors` say why."""

    place: DuPlace
    top: DiskEntry | None = None
    errors: list[tuple[Reason, str, str]] = field(default_factory=list)
    failed: int = 0
    mounts: list[str] = field(default_factory=list)


def du(known: KnownRoot, wanted: str, path: str, *, depth: int, files: int) -> Answer:
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
    return _answer(wanted, targets[0], names, results)


def below(path: str) -> Tree:
    """The components of a path in an object; raises click.UsageError if it leads out of it."""
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names or "\0" in path:
        raise click.UsageError("PATH has to stay in the object: it cannot contain '..'")
    return names


def places_of(targets: Sequence[Target], names: Tree = ()) -> list[DuPlace]:
    """The places of what is meant, each once; with `names`, what is at that path in each directory of files."""
    found = {(one.tree, one.files, one.key): one for target in targets for one in target.places()}
    places = [*found.values()]
    if not names:
        return places
    inner = [one for one in places if one.key not in ("home", "log")]
    if not inner:
        raise click.UsageError("a log has no PATH")
    return [one if one.tree is None else replace(one, tree=(*one.tree, *names)) for one in inner]


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


# -- measuring -------------------------------------------------------------------------------------------------------


def measure(  # noqa: PLR0913 - what is kept of it
    known: KnownRoot,
    place: DuPlace,
    *,
    depth: int,
    files: int,
    seen: Seen,
    on_step: Callable[[DirectoryWalk], None] = lambda _: None,
) -> DuResult:
    """Measure one place. An inode of `seen` is not counted again."""
    result = DuResult(place)
    if place.why:
        result.errors.append((Reason.NOT_REGULAR, "", place.why))
    elif place.tree is None:
        result.top = _listed(known, place, result, seen)
    else:
        walk = DirectoryWalk(known.root, place.tree, depth=depth, files=files, whiteouts=place.whiteouts, seen=seen)
        walk.on_step = partial(on_step, walk)
        try:
            result.top = walk.measure()
        except OSError as error:
            result.errors.append((reason_of(error), "", _said(error)))
            result.failed = reason_of(error) is not Reason.VANISHED
            return result
        result.failed = walk.failed
        length = len(place.tree)
        where = [known.root.absolute((*place.tree, *names)) for _, names, _ in walk.problems]
        result.errors += [(reason, path, why) for path, (reason, _, why) in zip(where, walk.problems, strict=True)]
        mounts = sorted(one for one in known.root.mounts if one[:length] == place.tree and len(one) > length)
        result.mounts = [escape("/".join(one[length:])) for one in mounts]
    result.failed = result.failed or len(result.errors)
    return result


def _said(error: OSError) -> str:
    reason = reason_of(error)
    if reason is Reason.VANISHED:
        return "nothing is there by that path"
    if reason is Reason.NOT_REGULAR:
        return "a part of the path is no directory, or a symbolic link, which is not followed"
    return error.strerror or reason.value


def _listed(known: KnownRoot, place: DuPlace, result: DuResult, seen: Seen) -> DiskEntry:
    """The files of a log, as if they were in one directory."""
    top = DiskEntry(place.key)
    for number, tree in enumerate(place.files):
        walk = DirectoryWalk(known.root, tree, depth=0, files=0, seen=seen)
        try:
            one = walk.measure()
        except OSError as error:
            if reason_of(error) is not Reason.VANISHED:  # it was rotated away
                result.errors.append((reason_of(error), known.root.absolute(tree), _said(error)))
                top.whole = False
            continue
        one.name = known.root.absolute(tree)
        top.files.append((one.allocated, one.size, number, one))
        top.size, top.allocated, top.inodes = (
            top.size + one.size,
            top.allocated + one.allocated,
            top.inodes + one.inodes,
        )
    return top


class EntryCounter:
    """How far measuring is, on standard error, if that is a terminal."""

    def __init__(self) -> None:
        self._shown, self._next = False, time.monotonic() + _TURN_SECONDS
        self._entries = 0
        self._terminal = sys.stderr.isatty()

    def __call__(self, walk: DirectoryWalk) -> None:
        """Show the number of entries from time to time."""
        if self._terminal and (now := time.monotonic()) >= self._next:
            self._next, self._shown = now + _TURN_SECONDS, True
            click.echo(f"\r{walk.entries:,} entries", err=True, nl=False)

    def finish(self) -> None:
        """Remove what was shown."""
        if self._shown:
            click.echo("\r\x1b[K", err=True, nl=False)


# -- the answer ------------------------------------------------------------------------------------------------------


def rows_of(top: DiskEntry, prefix: str = "") -> Iterator[DuRow]:
    """What is kept of a directory and below it, in no order; paths of directories end in a slash."""
    for one in top.children():
        path = f"{prefix}{escape(one.name)}"
        yield DuRow(f"{path}/" if one.kind == "directory" else path, one)
        if one.kind == "directory":
            yield from rows_of(one, f"{path}/")
    for name in top.gone:
        yield DuRow(f"{prefix}{escape(name)}", DiskEntry(name, "deleted", deleted=1))
    for kind, sums in (("directories", top.more_directories), ("files", top.more_files)):
        if sums.entries:
            more = DiskEntry("", kind, sums.size, sums.allocated, sums.inodes, sums.deleted, whole=top.whole)
            yield DuRow(f"{prefix}({sums.entries} more {kind})", more)


def largest_first(row: DuRow) -> tuple[int, int, str]:
    """The order of rows: by disk blocks, then by size and name."""
    return -row.entry.allocated, -row.entry.size, row.path


def sizes(entry: DiskEntry) -> tuple[int, int, int]:
    """Disk blocks, size and inodes for people: `AtLeast` where a part of it is not known."""
    kind = int if entry.whole else AtLeast
    return kind(entry.allocated), kind(entry.size), kind(entry.inodes)


def _answer(wanted: str, target: Target, names: Tree, results: Sequence[DuResult]) -> Answer:
    failed = any(one.failed or one.top is None for one in results)
    shown = [part for one in results for part in _parts(one)]
    if len(results) > 1:
        shown.append(_total(results))
    data = {
        "object": escape(wanted),
        "kind": target.kind,
        "id": target.name,
        "path": escape("/".join(names)),
        "places": [_place_data(one) for one in results],
        "total": _numbers(_added(results)),
        "problems": [
            {"reason": reason, "path": escape(path) or one.place.title, "detail": escape(why)}
            for one in results
            for reason, path, why in one.errors
        ],
    }
    return Answer(data, shown, failed=failed)


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


def _parts(result: DuResult) -> Iterator[Table | Lines]:
    top, title = result.top, result.place.title
    if top is None:
        yield Lines("", [f"{title}: ? ({'; '.join(why for *_, why in result.errors)})"])
        return
    rows = sorted(rows_of(top), key=largest_first)
    deleted = top.deleted > 0
    headings = (*_HEADINGS, *((_DELETED,) if deleted else ()), _PATH)
    lines = [_line(one, deleted=deleted) for one in rows]
    own = (*sizes(top), *((top.deleted,) if deleted else ()), "in all")
    yield Table(title, headings, lines or [own], footer=own if lines else (), bars=0)
    if top.opaque:
        yield Lines("", ["All that the layers below have in this directory is hidden (opaque)."])
    if result.mounts:
        more = f" and {len(result.mounts) - _SHOWN_MOUNTS} more" if len(result.mounts) > _SHOWN_MOUNTS else ""
        yield Lines("", [f"Mounted below, and not entered: {', '.join(result.mounts[:_SHOWN_MOUNTS])}{more}"])


def _line(row: DuRow, *, deleted: bool) -> tuple[Cell, ...]:
    entry = row.entry
    if entry.kind == "deleted":
        return ("", "", "", "", f"{row.path} (deleted)")
    opaque = " (opaque)" if entry.opaque else ""
    return (*sizes(entry), *((entry.deleted or "",) if deleted else ()), row.path + opaque)


def _total(results: Sequence[DuResult]) -> Table:
    places = [(*(sizes(one.top) if one.top else (None, None, None)), one.place.title) for one in results]
    return Table("Total", (*_HEADINGS, "PLACE"), places, footer=(*sizes(_added(results)), "in all"))


def _numbers(entry: DiskEntry) -> dict[str, Any]:
    """Sizes for programs: None where a part is not known, and then `at_least`."""
    known = {"allocated": entry.allocated, "size": entry.size, "inodes": entry.inodes}
    return known if entry.whole else {**dict.fromkeys(known), "at_least": known}


def _place_data(result: DuResult) -> dict[str, Any]:
    place, top = result.place, result.top
    rows = sorted(rows_of(top), key=largest_first) if top is not None else []
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
            for one in rows
        ],
    }
