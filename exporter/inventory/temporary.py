"""Old temporary files of the engine: what loads, pulls and builds that were cut off have left behind.

Docker 1.0 (docker/docker.go) to 28 (daemon/daemon.go) keep them in `tmp` of the root, unless DOCKER_TMPDIR names
another directory: `GetImageBlob*` (distribution/pull_v2.go), `docker-import-*`, `docker-export-*` (image/tarexport),
`docker-builder*` (builder/remotecontext). No prune removes them. From 17.06 on the engine renames `tmp` to `tmp-old`
when it starts, and removes that (daemon/daemon.go, prepareTempDir); 17.05 leaves `tmp-old`, and older ones leave `tmp`
as it is. Where a `tmp-old` with files is there already, newer engines remove `tmp` and leave `tmp-old`.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import islice

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.core.model import Temporary
from exporter.inventory.files.reader import Reader
from exporter.measure.cursor import Cursor
from exporter.measure.exclusions import NOTHING, Exclusions

HOMES: tuple[Tree, ...] = (("tmp",), ("tmp-old",))
#: A file that was written to within this time may be in use.
OLD_SECONDS = 24 * 3600
_AGAIN_SECONDS = 3600
#: So many entries are looked at. A build context can hold any number of files.
_MOST_ENTRIES = 2000


def read_temporary(reader: Reader, now: float) -> tuple[Temporary, ...]:
    """Sum up the regular files of each directory that were not written to in the last day. `now`: Unix seconds.

    They are looked at once in an hour, or when the directory is scanned again: a file becomes old without an event.

    Only modification times count: a file that came out of an archive just now can have an old one. What cannot be read
    is left out; the walk of the tree counts it as an error.
    """
    kind = f"temporary {now // _AGAIN_SECONDS:.0f}"
    before = now - OLD_SECONDS
    found = [
        reader.once(kind, home, partial(_sum_up, reader.root, home, before), Temporary(home, 0, 0, 0.0))
        for home in HOMES
    ]
    return tuple(one for one in found if one.files)


def _sum_up(root: DataRoot, home: Tree, before: float) -> Temporary:
    files: dict[tuple[int, int], os.stat_result] = {}
    entries = 0
    for status in islice(_entries(root, home), _MOST_ENTRIES):
        entries += 1
        if stat.S_ISREG(status.st_mode) and status.st_mtime < before:
            files[status.st_dev, status.st_ino] = status
    return Temporary(
        home,
        files=len(files),
        allocated=sum(one.st_blocks * 512 for one in files.values()),
        newest=max((one.st_mtime for one in files.values()), default=0.0),
        whole=entries < _MOST_ENTRIES,
    )


def _entries(root: DataRoot, home: Tree) -> Iterator[os.stat_result]:
    """All entries below a directory. What is mounted there is not entered: builds mount layers in `tmp`."""
    mounts = Exclusions()
    for mount in root.mounts:
        mounts.add(mount, mount=True)
    with suppress(OSError), closing(Cursor(root.open(home))) as cursor:
        yield from _descend(cursor, mounts.at(home))


def _descend(cursor: Cursor, mounts: Exclusions) -> Iterator[os.stat_result]:
    """Go through the directories depth first. Each is opened relative to the one above: they may be nested deeply."""
    below: list[str] = []
    yield from _look_into(cursor, mounts, below)
    levels = [(0, below, mounts)]
    while levels:
        depth, names, here = levels[-1]
        if not names:
            levels.pop()
            continue
        while cursor.depth > depth:
            cursor.leave()
        name = names.pop()
        try:
            cursor.enter(name)
        except OSError:
            continue
        inner, below = here.below.get(name, NOTHING), []
        yield from _look_into(cursor, inner, below)
        levels.append((cursor.depth, below, inner))


def _look_into(cursor: Cursor, mounts: Exclusions, directories: list[str]) -> Iterator[os.stat_result]:
    """The entries of one directory; the names of the directories among them are added to `directories`."""
    with suppress(OSError), os.scandir(cursor.descriptor) as listing:
        for entry in listing:
            if entry.name in mounts.below and mounts.below[entry.name].leaf:
                continue
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    directories.append(entry.name)
                yield status
