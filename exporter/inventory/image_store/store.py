"""The files of one containerd image store, read together: databases, blobs and the directories of snapshots.

Facts: containerd 2.1 plugins (the names of the directories), plugins/content/local/store.go (`blobs`, `ingest`).
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from sys import intern
from typing import TypeVar

from msgspec import Struct, field

from exporter.core.content import WALKABLE, Ingest
from exporter.core.data_root import DataRoot
from exporter.core.kept import Edition, Last, with_changes
from exporter.core.knowledge import Input
from exporter.core.listings import Names
from exporter.core.measured import Tree
from exporter.inventory.files.bolt import Bucket
from exporter.inventory.files.reader import Reader
from exporter.inventory.image_store.meta import NamespaceEntry, read_meta
from exporter.inventory.image_store.snapshotter import Kind, Row, read_rows

#: Where dockerd has the root of a containerd that it starts itself.
DAEMON: Tree = ("containerd", "daemon")
METADATA = "io.containerd.metadata.v1.bolt"
CONTENT = "io.containerd.content.v1.content"
BLOBS: Tree = (CONTENT, "blobs", "sha256")
SNAPSHOTTER = "io.containerd.snapshotter.v1."
META_FILE = "meta.db"
ROWS_FILE = "metadata.db"
SNAPSHOTS = "snapshots"
#: The namespace that Docker takes.
DEFAULT_NAMESPACE = "moby"
_TRIES = 3
#: While a snapshot is committed, which lasts as long as the disk takes to write the main database.
_TRIES_OF_COMMIT = 20
_YOUNG_SECONDS = 2.0

T = TypeVar("T")


def homes(root: DataRoot) -> Iterator[Tree]:
    """Where image stores are: in further roots, in the data root, or where that is a containerd's own root."""
    for home in (*((path,) for path in root.further), DAEMON, ()):
        if root.is_directory((*home, METADATA)):
            yield home


def entries(root: DataRoot, tree: Tree) -> list[str]:
    """The names in a directory; none where it cannot be listed."""
    try:
        return root.names(tree)
    except OSError:
        return []


def is_containerd_root(root: DataRoot) -> bool:
    """Whether a root is that of a containerd itself: there is no Docker in it."""
    return root.is_directory((METADATA,))


class SnapshotterFiles(Struct, frozen=True):
    """What one snapshotter has. `rows` is None where its database could not be read or is not in this root.

    `directories`: the names in its directory of snapshots, None where it has none or cannot be listed.
    """

    name: str
    home: Tree | None
    rows: Mapping[str, Row] | None
    directories: frozenset[str] | None

    @property
    def walkable(self) -> bool:
        """Whether each snapshot is a directory with its files."""
        return self.name in WALKABLE and self.home is not None

    def lacks(self, names: Collection[str]) -> bool:
        """Whether it does not know one of these snapshots, or one has no directory."""
        if self.rows is None:
            return False
        if not self.rows.keys() >= {*names}:
            return True
        # Most have one: each is only looked at where that is not so.
        everything = self.directories is None or self.directories.issuperset(
            [one.directory for one in self.rows.values() if one.kind is not Kind.VIEW]
        )
        return not everything and any(map(self.lacks_directory, names))

    def lacks_directory(self, name: str) -> bool:
        """Whether a snapshot has no directory that must have one. native makes none for a view."""
        row = (self.rows or {}).get(name)
        if row is None or row.kind is Kind.VIEW or not self.walkable or self.directories is None:
            return False
        return row.directory not in self.directories


class StoreFiles(Struct, frozen=True):
    """All that was read of a store at one moment. `blobs` are the files by digest, None where these are not known."""

    home: Tree
    namespaces: Mapping[str, NamespaceEntry]
    snapshotters: Mapping[str, SnapshotterFiles]
    blobs: Mapping[str, Tree] | None
    ingests: tuple[Ingest, ...]
    #: When the main database had last been written to as the reading began, Unix seconds.
    written: float = 0.0

    def is_moving(self, root: DataRoot) -> bool:
        """Whether the store changes: its main database was written to just now, or since it was read."""
        file = (*self.home, METADATA, META_FILE)
        return root.modified(file) != self.written or is_young(root, file)

    def place(self, digest: str) -> Tree | None:
        """The file of a blob; None where there is none."""
        return (self.blobs or {}).get(digest)

    def lacks_something(self) -> bool:
        """Whether the main database names what its neighbours have not."""
        for space in self.namespaces.values():
            for snapshotter, entries in space.snapshots.items():
                of = self.snapshotters.get(snapshotter)
                if of is not None and of.lacks([entry.name for entry in entries.values()]):
                    return True
            if self.blobs is not None and not self.blobs.keys() >= space.blobs.keys():
                return True
        return False

    def is_committing(self) -> bool:
        """Whether a snapshot may have a new name that the main database does not have yet."""
        for name, of in self.snapshotters.items():
            spaces = self.namespaces.values()
            known = {entry.name for space in spaces for entry in space.snapshots.get(name, {}).values()}
            rows: Mapping[str, Row] = of.rows or {}
            fresh = (row for key, row in rows.items() if row.kind is Kind.COMMITTED and key not in known)
            if not rows.keys() >= known and any(fresh):
                return True
        return False


def read_store(reader: Reader, home: Tree) -> StoreFiles | None:
    """Read a store; None where its main database cannot be read, which is a problem then.

    Each database is read whole, but two are two moments. containerd adds a snapshot or a blob to its neighbours before
    it adds it to the main database, and removes it from there first. So what is in the main database only was removed
    in between: then all is read again. One that is committed gets its new name in the snapshotter before the main
    database is written (core/metadata/snapshot.go, Commit): then there is more time. What stays is damage.
    """
    found = _read(reader, home)
    for number in range(1, _TRIES_OF_COMMIT):
        if found is None or not found.lacks_something() or not found.is_moving(reader.root):
            break
        if number >= _TRIES and not found.is_committing():
            break
        reader.wait()
        found = _read(reader, home)
    return found


def is_young(root: DataRoot, tree: Tree) -> bool:
    """Whether a file was written to just now."""
    return abs(time.time() - root.modified(tree)) < _YOUNG_SECONDS


def _read(reader: Reader, home: Tree) -> StoreFiles | None:
    file = (*home, METADATA, META_FILE)
    written = reader.root.modified(file)
    reader.expect(file)
    namespaces = _rows(reader, file, read_meta)
    if namespaces is None:
        return None
    found = StoreFiles(
        home,
        namespaces,
        _snapshotters(reader, home, namespaces),
        _blobs(reader, (*home, CONTENT, "blobs")),
        tuple(_ingests(reader, (*home, CONTENT, "ingest"))),
        written,
    )
    if not found.blobs and any(space.blobs for space in namespaces.values()):
        reader.gap(Input.IMAGE_STORE, (*home, CONTENT), "it is missing or empty, and there are blobs")
    if not namespaces and (found.blobs or any(one.rows or one.directories for one in found.snapshotters.values())):
        for source in (Input.IMAGE_STORE, Input.NAMES):
            reader.gap(source, file, "it is empty, and what belongs to it is not")
    return found


def _rows(
    reader: Reader, file: Tree, read: Callable[[Bucket, Mapping[str, T]], Mapping[str, T]]
) -> Mapping[str, T] | None:
    """What a database has, each as the same object for as long as it is equal; None where it cannot be read."""
    last: Last[str, T] = reader.lasting("rows", file, Last)
    found = reader.database(file, "v1", lambda bucket: read(bucket, last.value))
    return None if found is None else last.or_next(found)


def _snapshotters(reader: Reader, home: Tree, namespaces: Mapping[str, NamespaceEntry]) -> dict[str, SnapshotterFiles]:
    named = {name for space in namespaces.values() for name, entries in space.snapshots.items() if entries}
    here = {name.removeprefix(SNAPSHOTTER) for name in reader.listing(home) or () if name.startswith(SNAPSHOTTER)}
    return {
        name: _snapshotter(reader, home, name, here=name in here, named=name in named) for name in sorted(here | named)
    }


def _snapshotter(reader: Reader, home: Tree, name: str, *, here: bool, named: bool) -> SnapshotterFiles:
    """Read one snapshotter. That of a program of its own (a proxy plugin) has its files elsewhere.

    `here`: it has a directory in the store. `named`: the main database has snapshots of it.
    """
    own = (*home, SNAPSHOTTER + name)
    if not here:
        if name in WALKABLE:
            reader.gap(Input.LAYER_STORES, own, "it is missing, and there are snapshots", driver=name)
        return SnapshotterFiles(name, None, None, None)
    file, place = (*own, ROWS_FILE), (*own, SNAPSHOTS)
    listed = reader.listing(place) if name in WALKABLE else None
    if (named or listed) and (not reader.exists(file) or reader.is_empty(file)):
        reader.gap(Input.LAYER_STORES, file, "it is missing or empty, and there are snapshots", driver=name)
        return SnapshotterFiles(name, own, None, None if listed is None else listed.as_set)
    rows = _rows(reader, file, read_rows)
    if rows is None:
        reader.gap(Input.LAYER_STORES, file, "it cannot be read", driver=name)
    if rows and name in WALKABLE and not listed:
        reader.gap(Input.LAYER_STORES, place, "it is missing or empty, and there are snapshots", driver=name)
        listed = None
    return SnapshotterFiles(name, own, rows, None if listed is None else listed.as_set)


def _blobs(reader: Reader, tree: Tree) -> Mapping[str, Tree] | None:
    """The files of blobs by digest."""
    algorithms = reader.listing(tree)
    if algorithms is None:
        return None
    found: Mapping[str, Tree] = {}
    for algorithm in algorithms:
        names = reader.listing((*tree, algorithm))
        if names is None:
            return None
        files = reader.lasting("blobs", (*tree, algorithm), _Files)
        files.update((*tree, algorithm), names)
        found = {**found, **files.by_digest} if len(algorithms) > 1 else files.by_digest
    return found


class _Files(Struct):
    """The files of blobs in one directory; the mapping is another one where they have changed."""

    names: Names = field(default_factory=Names)
    by_digest: Mapping[str, Tree] = field(default_factory=Edition)

    def update(self, directory: Tree, names: Names) -> None:
        changed = {name: f"{directory[-1]}:{name}" for name in names.since(self.names)}
        gone = {digest for digest in changed.values() if digest in self.by_digest}
        put = {intern(digest): (*directory, name) for name, digest in changed.items() if digest not in gone}
        self.by_digest = with_changes(self.by_digest, put, gone)
        self.names = names


def _ingests(reader: Reader, tree: Tree) -> Iterator[Ingest]:
    for name in reader.listing(tree) or ():
        own = (*tree, name)
        yield reader.once("ingest", own, partial(_ingest, reader, own), Ingest(own), lasts=_is_described)


def _is_described(ingest: Ingest) -> bool:
    """Whether its files are there: the directory of an ingest is made before them."""
    return bool(ingest.reference)


def _ingest(reader: Reader, tree: Tree) -> Ingest:
    reference, total = reader.line((*tree, "ref")), reader.line((*tree, "total"))
    return Ingest(tree, reference, int(total) if total.isascii() and total.isdecimal() and len(total) < 19 else None)
