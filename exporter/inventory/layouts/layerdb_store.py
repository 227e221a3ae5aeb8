"""Reads the layers of the layerdb layout: `image/<driver>/layerdb`.

Facts: Docker 20.10 layer/filestore.go, layer/layer_store.go (loadLayer) and layer/layer.go (CreateChainID). Docker 1.10
keeps the same files.
"""

import re
import time
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.data_root import DataRoot, reason_of
from exporter.core.hashes import sha256
from exporter.core.measured import Reason, Tree
from exporter.core.model import Image, LayerId
from exporter.inventory.drivers import MOST_LAYERS
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import Reader, is_id

IMAGE: Tree = ("image",)
SHA256 = "sha256:"
_REMOVING = re.compile(r"[0-9a-f]{64}-[^/]*removing", re.ASCII)
_WRITE_SET = "write-set-"
_DIRECTORY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,127}", re.ASCII)
#: The names that engines give to directories: their own ids (layer/filestore.go, stringIDRegexp), and BuildKit's.
_GIVEN = re.compile(r"[0-9a-f]{64}(-init)?|[0-9a-z]{25}", re.ASCII)
_LARGEST_SIZE = 2**63 - 1
#: As strconv.ParseInt takes it: without blanks around it.
_SIZE = re.compile(rb"[+-]?[0-9]{1,19}")
#: A layer that has not been written to for this time was given up.
_STALE_SECONDS = 24 * 3600


class LayerEntry(Struct, frozen=True, gc=False):
    """What `layerdb/sha256/<chain>` says: the driver's directory, the chain below, the layer's own size in bytes.

    `readable`: an engine loads it, if it loads the layer below. `fits`: its name is the digest of what it says, which
    engines do not check. `cache` is "" where that cannot be read.
    """

    chain: str
    cache: LayerId
    parent: str = ""
    size: int | None = None
    readable: bool = True
    fits: bool = True


class MountEntry(Struct, frozen=True, gc=False):
    """What `layerdb/mounts/<container>` says: the driver's directories, and the chain below them.

    `good`: an engine loads it. `cut`: the layers below are too many to be read.
    """

    layer: LayerId | None = None
    init: LayerId | None = None
    parent: str = ""
    good: bool = True
    cut: bool = False


class Database(Struct):
    """What `image/<driver>` says. `moving` are directories of layers that are being written or removed.

    `misnamed`: the entries that are not what their names say. An engine loads them all the same, with images and
    containers on them; it drops what stands on an entry that cannot be read. `mounts_listed`, `entries_listed`: it is
    known which entries `mounts` and `sha256` have. `doubtful`: something could not be read, or is being written, that
    may refer to any layer.
    """

    driver: str
    store: LayerStore
    entries: dict[str, LayerEntry] = field(default_factory=dict)
    mounts: dict[str, MountEntry] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    misnamed: dict[str, LayerEntry] = field(default_factory=dict)
    mounts_listed: bool = True
    entries_listed: bool = True
    doubtful: bool = False
    _loaded: dict[str, bool] = field(default_factory=dict)
    _depths: dict[str, int] = field(default_factory=dict)

    @property
    def base(self) -> Tree:
        """Its directory."""
        return (*IMAGE, self.driver)

    def has(self, name: LayerId) -> bool:
        """Whether the driver has a layer on disk, as far as it can be told."""
        return self.store.has(name)

    def chain(self, top: str) -> Iterator[LayerEntry]:
        """The entries from a chain id down, as far as they are there; a ring of parents is walked once.

        At most `MOST_LAYERS`: whoever needs them all asks for the `depth` first.
        """
        return islice(self.below([top]), MOST_LAYERS)

    def below(self, tops: Iterable[str], walked: set[str] | None = None) -> Iterator[LayerEntry]:
        """The entries from several chain ids down, each once: those `walked` before are left out."""
        seen = set() if walked is None else walked
        for top in tops:
            at = top
            while at and at not in seen and (entry := self.entries.get(at)) is not None:
                seen.add(at)
                yield entry
                at = entry.parent

    def depth(self, top: str) -> int:
        """How many entries a chain has, as far as they are there. All chains together are walked once."""
        way: dict[str, None] = {}
        at = top
        while at not in way and at not in self._depths and (entry := self.entries.get(at)) is not None:
            way[at] = None
            at = entry.parent
        depth = self._depths.get(at, 0)
        for one in reversed(way):
            depth += 1
            self._depths[one] = depth
        return depth

    def loads(self, top: str) -> bool:
        """Whether an engine loads the layer with this chain id: it reads the entry and all below it.

        Docker 20.10 layer/layer_store.go (loadLayer): what an entry says need not fit its name.
        """
        way: set[str] = set()
        at = top
        while at and at not in way and at not in self._loaded:
            entry = self.entries.get(at) or self.misnamed.get(at)
            if entry is None:
                break
            way.add(at)
            at = entry.parent
        loaded = self._loaded.get(at, not at)
        self._loaded.update(dict.fromkeys(way, loaded))
        return loaded

    def references(self) -> list[Tree]:
        """Where something that refers to a layer can come or go."""
        below: list[Tree] = [("repositories.json",), ("imagedb", "content", "sha256")]
        below += [("layerdb", name) for name in ("sha256", "mounts", "tmp")]
        return [(*self.base, *one) for one in below]


def detect(root: DataRoot) -> bool:
    """Say whether the root holds this layout, also where `image` or all that is in it cannot be looked into."""
    try:
        names = root.names(IMAGE)
    except FileNotFoundError:
        return False
    except OSError as error:
        return reason_of(error) is not Reason.NOT_REGULAR or root.link(IMAGE) is not None
    return any(root.is_directory((*IMAGE, name)) or root.link((*IMAGE, name)) is not None for name in names)


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
    unlisted, reader.unlisted = reader.unlisted, False
    names = reader.objects(mounts, lambda name: _DIRECTORY.fullmatch(name) is not None)
    read = partial(_mount, reader, database.store, mounts)
    database.mounts.update(reader.each("mount", mounts, names, read, lambda _: MountEntry(good=False)))
    for name, mount in database.mounts.items():
        if database.depth(mount.parent) > MOST_LAYERS:
            reader.problem(Reason.TOO_LARGE, (*mounts, name, "parent"), "stands on more layers than engines make")
            database.mounts[name] = replace(mount, parent="", cut=True)
            database.doubtful = True
    database.mounts_listed = not reader.unlisted  # an engine makes a new directory where it is missing
    reader.unlisted = reader.unlisted or unlisted
    # What is not known of them may be any layer.
    database.doubtful = database.doubtful or not all(one.good for one in database.mounts.values())
    return database


def _read_entries(reader: Reader, database: Database) -> None:
    store = (*database.base, "layerdb", "sha256")
    names = reader.objects(store, lambda name: is_id(name) or _REMOVING.fullmatch(name) is not None)
    read = partial(_entry, reader, database.store, store)
    lost = partial(LayerEntry, cache=LayerId(""), readable=False)
    for name, entry in reader.each("entry", store, names, read, lost).items():
        if entry.readable and is_id(name):
            (database.entries if entry.fits else database.misnamed)[name] = entry
            if entry.fits:
                continue
        # Its own directory is not orphaned, and the layers below it may not be known.
        database.doubtful = database.doubtful or is_id(name) or not entry.cache
        database.moving.update({entry.cache} - {""})
    database.entries_listed = _is_listed(reader.root, store)
    writing = (*database.base, "layerdb", "tmp")
    for name in reader.names(writing):
        if name.startswith(_WRITE_SET):
            database.moving.add(reader.line((*writing, name, "cache-id")))
            database.doubtful = database.doubtful or _age(reader.root, (*writing, name)) < _STALE_SECONDS


def _is_listed(root: DataRoot, tree: Tree) -> bool:
    try:
        root.names(tree)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _age(root: DataRoot, tree: Tree) -> float:
    """For how many seconds nothing was written to a directory."""
    latest = 0.0
    try:
        for path in (tree, *((*tree, name) for name in root.names(tree))):
            latest = max(latest, root.lstat(path).st_mtime)
    except OSError:
        return 0.0  # it is just being made or removed
    return time.time() - latest


def _names_directory(store: LayerStore, word: str) -> bool:
    """Whether an engine can have written this: also the beginning of a name could be that of a directory."""
    return _GIVEN.fullmatch(word) is not None or (word in store.names and _DIRECTORY.fullmatch(word) is not None)


def _entry(reader: Reader, store: LayerStore, entries: Tree, name: str) -> LayerEntry:
    return _read_entry(reader, store, (*entries, name))


def _read_entry(reader: Reader, store: LayerStore, tree: Tree) -> LayerEntry:
    """Read one entry; of one that is being removed only where its files are."""
    raw = reader.bytes((*tree, "cache-id"))
    cache = _word(raw)
    if not _names_directory(store, cache):
        if raw is not None:
            reader.problem(Reason.DECODE, (*tree, "cache-id"), "names no directory")
        return LayerEntry(tree[-1], LayerId(""), readable=False)
    if not is_id(tree[-1]):
        return LayerEntry(tree[-1], LayerId(cache), readable=False)
    size, sized = _size(reader, (*tree, "size"))
    digests = _digests(reader, tree)
    if digests is None:
        return LayerEntry(tree[-1], LayerId(cache), readable=False)
    diff, parent = digests
    fits = chain_id(parent, diff) == tree[-1]
    if not fits:
        reader.problem(Reason.DECODE, tree, "its name is not the digest of its files parent and diff")
    return LayerEntry(tree[-1], LayerId(cache), parent, size, readable=sized, fits=fits)


def _size(reader: Reader, path: Tree) -> tuple[int | None, bool]:
    """The size in bytes, None where there is none, and whether an engine loads the layer with this file."""
    raw = reader.bytes(path)
    if raw is None:
        return None, False
    readable = _SIZE.fullmatch(raw) is not None and abs(int(raw)) <= _LARGEST_SIZE
    size = int(raw) if readable and int(raw) >= 0 else None
    if size is None:
        reader.problem(Reason.DECODE, path, "not a number of bytes")
    return size, readable


def _digests(reader: Reader, tree: Tree) -> tuple[str, str] | None:
    """The diff id, and the chain id below, "" at the bottom; None where a file is no digest, as a problem."""
    below = reader.bytes((*tree, "parent"), optional=True)
    files = {"diff": reader.bytes((*tree, "diff")), **({} if below is None else {"parent": below})}
    digests = {name: "" if raw is None else hex_digits(_word(raw)) for name, raw in files.items()}
    for name, found in digests.items():
        if not found and files[name] is not None:
            reader.problem(Reason.DECODE, (*tree, name), "not a SHA-256 digest")
    return (digests["diff"], digests.get("parent", "")) if all(digests.values()) else None


def _word(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace").strip()


def chain_id(parent: str, diff: str) -> str:
    """The chain id of a layer, from the chain id below it, "" at the bottom, and its diff id; all as hex."""
    return sha256(f"{SHA256}{parent} {SHA256}{diff}".encode()).hexdigest() if parent else diff


def _mount(reader: Reader, store: LayerStore, mounts: Tree, name: str) -> MountEntry:
    return _read_mount(reader, store, (*mounts, name))


def _read_mount(reader: Reader, store: LayerStore, tree: Tree) -> MountEntry:
    """Read one entry of `mounts`. An engine does not load a container whose entry is not `good`."""
    raw = {name: reader.bytes((*tree, name), optional=name != "mount-id") for name in ("mount-id", "init-id", "parent")}
    found: dict[str, str] = {}
    for name, word in ((name, _word(text)) for name, text in raw.items() if text is not None):
        fits = hex_digits(word) if name == "parent" else word if _names_directory(store, word) else ""
        if fits:
            found[name] = fits
        else:
            wanted = "not a SHA-256 digest" if name == "parent" else "names no directory"
            reader.problem(Reason.DECODE, (*tree, name), wanted)
    layer, init = (LayerId(found[name]) if name in found else None for name in ("mount-id", "init-id"))
    good = layer is not None and all(text is None or name in found for name, text in raw.items())
    return MountEntry(layer, init, found.get("parent", ""), good)


def hex_digits(digest: str) -> str:
    """The hex digits of a SHA-256 digest as Docker writes it; "" for everything else."""
    name = digest.removeprefix(SHA256)
    return name if is_id(name) else ""
