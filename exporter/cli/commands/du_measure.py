"""Measures what `du` shows: the places of an object, each with the sums of its directories."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import click
from msgspec import Struct, field
from msgspec.structs import replace

from exporter.cli.commands.du_entries import DiskEntry
from exporter.cli.commands.du_inodes import Seen
from exporter.cli.commands.du_places import DuPlace, KnownRoot, Target
from exporter.cli.commands.du_walk import DirectoryWalk
from exporter.core.data_root import reason_of
from exporter.core.measured import Reason, Tree
from exporter.core.text import escape

_TURN_SECONDS = 0.2


class DuRow(Struct, frozen=True):
    """An entry with its path below the place, of which it has the name."""

    path: str
    entry: DiskEntry
    place: str = ""


class DuResult(Struct):
    """What was found in a place. `top` is None where nothing of it could be read, and `errors` say why."""

    place: DuPlace
    top: DiskEntry | None = None
    errors: list[tuple[Reason, str, str]] = field(default_factory=list)
    failed: int = 0
    mounts: list[str] = field(default_factory=list)


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


def rows_of(top: DiskEntry, prefix: str = "", place: str = "") -> Iterator[DuRow]:
    """What is kept of a directory and below it, in no order; paths of directories end in a slash."""
    for one in top.children():
        path = f"{prefix}{escape(one.name)}"
        yield DuRow(f"{path}/" if one.kind == "directory" else path, one, place)
        if one.kind == "directory":
            yield from rows_of(one, f"{path}/", place)
    for name in top.gone:
        yield DuRow(f"{prefix}{escape(name)}", DiskEntry(name, "deleted", deleted=1), place)
    for kind, sums in (("directories", top.more_directories), ("files", top.more_files)):
        if sums.entries:
            more = DiskEntry("", kind, sums.size, sums.allocated, sums.inodes, sums.deleted, whole=top.whole)
            yield DuRow(f"{prefix}({sums.entries} more {kind})", more, place)
