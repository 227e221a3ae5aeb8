"""Reads the layers of the layerdb layout: `image/<driver>/layerdb`.

Facts: Docker 20.10 layer/filestore.go. Docker 1.10 keeps the same files.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason, Tree
from exporter.core.model import Image, LayerId
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import Reader, is_id

IMAGE: Tree = ("image",)
SHA256 = "sha256:"
_REMOVING = re.compile(r"[0-9a-f]{64}-[^/]*removing", re.ASCII)
_WRITE_SET = "write-set-"
_DIRECTORY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,127}", re.ASCII)
_LARGEST_SIZE = 2**63 - 1
#: A layer that has not been written to for this time was given up.
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """What `layerdb/sha256/<chain>` says: the driver's directory, the chain below, the layer's own size in bytes."""

    chain: str
    cache: LayerId
    parent: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class MountEntry:
    """What `layerdb/mounts/<container>` says: the driver's directories, and the chain below them.

    `damaged`: an engine does not load it, or its container.
    """

    layer: LayerId | None = None
    init: LayerId | None = None
    parent: str = ""
    damaged: bool = False


@dataclass(slots=True)
class Database:
    """What `image/<driver>` says. `moving` are directories of layers that are being written or removed.

    `doubtful`: something could not be read, or is being written, that may refer to any layer.
    """

    driver: str
    store: LayerStore
    entries: dict[str, LayerEntry] = field(default_factory=dict)
    mounts: dict[str, MountEntry] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    doubtful: bool = False

    @property
    def base(self) -> Tree:
        """Its directory."""
        return (*IMAGE, self.driver)

    def has(self, name: LayerId) -> bool:
        """Whether the driver has a layer on disk. Of a driver that is not known this is taken to be so."""
        return name in self.store.names or not self.store.driver.layers

    def chain(self, top: str) -> Iterator[LayerEntry]:
        """The entries from a chain id down, as far as they are there; a ring of parents is walked once."""
        seen: set[str] = set()
        while top and top not in seen and (entry := self.entries.get(top)) is not None:
            seen.add(top)
            yield entry
            top = entry.parent

    def references(self) -> list[Tree]:
        """Where something that refers to a layer can come or go."""
        below: list[Tree] = [("repositories.json",), ("imagedb", "content", "sha256")]
        below += [("layerdb", name) for name in ("sha256", "mounts", "tmp")]
        return [(*self.base, *one) for one in below]


def find_drivers(root: DataRoot) -> list[str]:
    """The drivers that have images, by the directories in `image`."""
    try:
        names = root.names(IMAGE)
    except OSError:
        return []
    return [name for name in names if root.is_directory((*IMAGE, name))]


def read_layers(reader: Reader, store: LayerStore) -> Database:
    """Read the layers of one driver from `image/<driver>/layerdb`."""
    database = Database(store.driver.name, store)
    _read_entries(reader, database)
    mounts = (*database.base, "layerdb", "mounts")
    for name in reader.objects(mounts, lambda name: _DIRECTORY.fullmatch(name) is not None):
        database.mounts[name] = _mount(reader, (*mounts, name))
    return database


def _read_entries(reader: Reader, database: Database) -> None:
    store = (*database.base, "layerdb", "sha256")
    for name in reader.objects(store, lambda name: is_id(name) or _REMOVING.fullmatch(name) is not None):
        entry = _entry(reader, (*store, name))
        if entry is None:
            database.doubtful = True
        elif is_id(name):
            database.entries[name] = entry
        else:
            database.moving.add(entry.cache)
    writing = (*database.base, "layerdb", "tmp")
    for name in reader.names(writing):
        if name.startswith(_WRITE_SET):
            database.moving.add(reader.line((*writing, name, "cache-id")))
            database.doubtful = database.doubtful or _age(reader.root, (*writing, name)) < _STALE_SECONDS


def _age(root: DataRoot, tree: Tree) -> float:
    """For how many seconds nothing was written to a directory."""
    latest = 0.0
    try:
        for path in (tree, *((*tree, name) for name in root.names(tree))):
            latest = max(latest, root.lstat(path).st_mtime)
    except OSError:
        return 0.0  # it is just being made or removed
    return time.time() - latest


def _entry(reader: Reader, tree: Tree) -> LayerEntry | None:
    return reader.once("entry", tree, lambda: _read_entry(reader, tree))


def _read_entry(reader: Reader, tree: Tree) -> LayerEntry | None:
    cache = reader.line((*tree, "cache-id"))
    if not _DIRECTORY.fullmatch(cache):
        reader.problem(Reason.DECODE, (*tree, "cache-id"), "names no directory")
        return None
    size = reader.line((*tree, "size"))
    known = size.isascii() and size.isdecimal() and len(size) < 20 and int(size) <= _LARGEST_SIZE
    if not known:
        reader.problem(Reason.DECODE, (*tree, "size"), "not a number")
    return LayerEntry(
        tree[-1], LayerId(cache), hex_digits(reader.line((*tree, "parent"))), int(size) if known else None
    )


def _mount(reader: Reader, tree: Tree) -> MountEntry:
    return reader.once("mount", tree, lambda: _read_mount(reader, tree))


def _read_mount(reader: Reader, tree: Tree) -> MountEntry:
    layer, init = (reader.line((*tree, name)) for name in ("mount-id", "init-id"))
    if not _DIRECTORY.fullmatch(layer):
        reader.problem(Reason.DECODE, (*tree, "mount-id"), "names no directory")
    named = [LayerId(name) if _DIRECTORY.fullmatch(name) else None for name in (layer, init)]
    return MountEntry(named[0], named[1], hex_digits(reader.line((*tree, "parent"))))


def hex_digits(digest: str) -> str:
    """The hex digits of a SHA-256 digest as Docker writes it; "" for everything else."""
    name = digest.removeprefix(SHA256)
    return name if is_id(name) else ""
