"""The layers that a graph driver has on disk.

Facts: Docker 1.0 to 20.10, daemon/graphdriver/*.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count, filterfalse
from typing import Any, TypeVar, cast

from msgspec import Struct

from exporter.core.data_root import DataRoot
from exporter.core.knowledge import Input
from exporter.core.listings import Names
from exporter.core.measured import Changes, Reason, Tree
from exporter.core.model import Layer, LayerId
from exporter.inventory.drivers import INIT, MOST_LAYERS, Driver
from exporter.inventory.files.memo import StoreEntries
from exporter.inventory.files.reader import Reader, is_id

T = TypeVar("T")

_NONE: frozenset[str] = frozenset()

#: Bytes of a list of layers: a line for each, with an id and perhaps `-init`.
_LONGEST_LIST = MOST_LAYERS * len(f"{'0' * 64}{INIT}\n")


class Place(Struct, frozen=True, gc=False):
    """Where one layer is: `content` has its files; `home` is the directory around it, None where that has no more."""

    content: Tree
    home: Tree | None = None

    @property
    def trees(self) -> tuple[Tree, ...]:
        """Both, as far as they are there."""
        return (self.content,) if self.home is None else (self.content, self.home)


class LayerStore:
    """The layers that one driver has on disk, as directory names, and where their files are.

    `names` are those that can be seen; `listed`: these are all.
    """

    def __init__(self, driver: Driver, reader: Reader) -> None:
        self.driver = driver
        self._reader = reader
        entries = reader.listing(driver.layers) if driver.listed else None
        self.listed = entries is not None
        names = _NONE if entries is None else entries.as_set
        if not names.isdisjoint(driver.own):
            names = names.difference(driver.own)
        #: The names that are known to be those of directories, and where the files of a layer are.
        self._directories: StoreEntries[bool] = reader.entries("layer", driver.layers)
        self._places: StoreEntries[Place] = reader.entries("place", driver.layers)
        #: The layers that were described, each with what it was described by besides its own files.
        self._described: StoreEntries[tuple[object, Layer]] = reader.entries("described", driver.layers)
        self._listed: dict[str, tuple[LayerId, ...]] = reader.entries("listed", driver.parents or ())
        #: The short names of layers, of which None is known to have none.
        self._links: StoreEntries[Tree | None] = reader.entries("link", driver.layers)
        listing = entries if entries is not None else Names()
        #: What a layout has made of the description of a layer, and with what it has marked some of these, see there.
        self.whole: StoreEntries[tuple[Layer, object, Layer]] = reader.entries("whole", driver.layers)
        self.marked: StoreEntries[tuple[Layer, object, Layer]] = reader.entries("marked", driver.layers)
        described: tuple[StoreEntries[Any], ...] = self._described, self.whole, self.marked
        kept: tuple[StoreEntries[Any], ...] = self._directories, self._places, self._links, *described
        changes = [one.come_to(listing) for one in kept]
        #: The names of layers of which something else may be known than in the reading before; None: of any.
        self.renewed = _joined(changes)
        # Each reading has a number: whoever has missed one does not know what that one found to be renewed.
        self.turn: int = next(reader.lasting("turn", driver.layers, count))
        others = sorted(self._unseen(names)) if driver.walkable else []
        if self.renewed is not None:
            self.renewed.update(others)
        usual = self._usual(others)
        self._directories.update(dict.fromkeys(usual, True))
        others = [name for name in others if name not in usual and not self._is_layer((*driver.layers, name))]
        #: Layers in whose place a symbolic link stands.
        self._linked = frozenset(name for name in others if self._is_link((*driver.layers, name)))
        self.names = cast("frozenset[LayerId]", names.difference(others) | self._linked if others else names)
        self._listing = cast("Sequence[LayerId]", listing)

    def _unseen(self, names: frozenset[str]) -> list[str]:
        """The names that are not known to be those of directories."""
        known, lacking = self._directories, len(names) - len(self._directories)
        found = [name for name in self.renewed or () if name in names and name not in known]
        return found if len(found) == lacking else [*filterfalse(known.__contains__, names)]

    @property
    def in_order(self) -> Sequence[LayerId]:
        """The names of the layers that can be seen, in order."""
        return self._listing if len(self._listing) == len(self.names) else sorted(self.names)

    def _usual(self, names: Sequence[str]) -> Collection[str]:
        """Those of these layers that are as most are: they are looked at together, and with their directories open."""
        layers = self.driver.layers
        if not self.driver.inner:
            return self._reader.directories(layers, names)
        inner = self.driver.inner[0]
        found = self._reader.holders(layers, names, inner, "link" if self.driver.links else "")
        for name, raw in found.items():
            home = (*layers, name)
            self._places[name] = Place((*home, inner), home)
            if raw is not None:
                self._links[name] = self._short(raw)
        return found

    @property
    def places(self) -> Mapping[str, Place]:
        """Where the files of layers are, of those that this is known of without a look at the disk."""
        return self._places

    def has(self, name: str) -> bool:
        """Whether the driver has a layer on disk. Where it cannot be listed, this is taken to be so."""
        return name in self.names or not self.listed

    def has_name(self, name: str) -> bool:
        """Whether a layer with this name can be seen on disk."""
        return name in self.names

    def attempt(self, name: LayerId, work: Callable[[], T], instead: T) -> T:
        """Return what `work` on one layer returns; `instead`, as a problem of that layer, where it fails."""
        return self._reader.attempt((*self.driver.layers, name), work, instead)

    def _is_link(self, tree: Tree) -> bool:
        """Whether an engine finds a layer there which is not measured. That it is there is known."""
        return self._reader.is_link(tree, harmless=True)

    def renewed_since(self, turn: int) -> set[str] | None:
        """The names of layers of which something else may be known than in another reading; None: of any."""
        return self.renewed if self.turn == turn + 1 else None

    def expect(self) -> None:
        """Note a gap where there must be layers and there is none: their directory is missing, or is another one."""
        tree, reader = self.driver.layers, self._reader
        reader.expect(tree)
        if self.driver.listed and not self.names and reader.exists(tree):
            reader.gap(Input.LAYER_STORES, tree, "it is empty", driver=self.driver.name)

    def _is_layer(self, tree: Tree) -> bool:
        return self._reader.attempt(tree, partial(self._look_at, tree), instead=True)

    def _look_at(self, directory: Tree) -> bool:
        """Whether there is a layer. Where its files are in the usual place, its own directory needs no look."""
        content, reader = (*directory, *self.driver.inner[:1]), self._reader
        if content != directory and reader.is_directory(content):
            self._places[directory[-1]] = Place(content, directory)
        elif not reader.is_directory(directory):
            return False
        self._directories[directory[-1]] = True
        return True

    def place(self, name: LayerId) -> Place | None:
        """Find a layer's files; None where the driver does not keep them as a directory tree.

        overlay (Docker 1.5 daemon/graphdriver/overlay/overlay.go): `root` of an image layer, `upper` of a
        layer that something was mounted from. overlay2 (1.12 daemon/graphdriver/overlay2): `diff`.
        """
        known = self._places.get(name)
        if known is not None and name in self.names:
            return known
        directory = (*self.driver.layers, name)
        if not self.driver.walkable or name not in self.names or name in self._linked:
            return None
        if not self.driver.inner:
            place: Place | None = Place(directory)
        else:
            place = self._reader.attempt(directory, lambda: self._inner_place(directory), None)
        # A layer that is being made has no such directory yet. The later mkdir raises no event of the store.
        if place is not None and (place.home is not None or not self.driver.inner):
            self._places[name] = place
        return place

    def _inner_place(self, directory: Tree) -> Place | None:
        for below in self.driver.inner:
            if self._reader.is_directory((*directory, below)):
                return Place((*directory, below), directory)
            if self._is_link((*directory, below)):
                return None
        return Place(directory)

    def described(self, name: LayerId, of: object) -> Layer | None:
        """What was made of a layer by these things before, and holds still."""
        known = self._described.get(name)
        return known[1] if known is not None and known[0] == of else None

    def keeps(self, name: LayerId, layer: Layer) -> bool:
        """Whether this is what was made of a layer, and is kept for the next reading."""
        known = self._described.get(name)
        return known is not None and known[1] is layer

    def describe(self, name: LayerId, of: object, work: Callable[[], Layer]) -> Layer | None:
        """Describe a layer by these things and its own files; None, as a problem, where that fails.

        It is kept where its files are final. Where the engine compares layers, one depends on the files of others, too.
        """
        before = self._reader.noted
        layer: Layer | None = self.attempt(name, work, None)
        if layer is not None and self.driver.sums_files and name in self._places and self._reader.noted == before:
            self._described[name] = of, layer
        return layer

    def changes(self, name: LayerId, parents: tuple[LayerId, ...]) -> Changes | None:
        """What Docker compares to size a layer; None where it adds up files. `parents` are in order, nearest first.

        aufs and a layer without a parent: the sum. vfs: the full copy against the parent's. overlay: the
        upper directory against the merged view of the parent, which has the same lower directory.
        """
        place = None if self.driver.sums_files else self.place(name)
        present = [parent for parent in parents if parent in self.names] if place is not None else []
        if place is None or not present:
            return None
        below = self.place(present[0])
        if below is None:
            return None
        old = [below.content]
        if self.driver.lower_file and (lower := self.lower(present[0]) or self.lower(name)) is not None:
            old.append(lower)
        return Changes(place.content, tuple(old))

    def lower(self, name: LayerId) -> Tree | None:
        """The lower directory of an overlay layer, from its file `lower-id`; None where it has none."""
        entry = (*self.driver.layers, name)
        raw = self._reader.once("lower", entry, lambda: self._reader.bytes((*entry, "lower-id"), optional=True), None)
        lower = LayerId((raw or b"").decode("ascii", "replace").strip())
        return (*self.driver.layers, lower, "root") if is_id(lower) and lower in self.names else None

    def link(self, name: LayerId) -> Tree | None:
        """The short name of a layer, from its file `link` (overlay2 and fuse-overlayfs)."""
        if self.driver.links is None or name in self._links:
            return self._links.get(name)
        before = self._reader.noted
        link = self._short(self._reader.bytes((*self.driver.layers, name, "link"), optional=True) or b"")
        if self._reader.noted == before:
            self._links[name] = link
        return link

    def _short(self, raw: bytes) -> Tree | None:
        name = raw.decode("ascii", "replace").strip()
        return (*self.driver.links, name) if self.driver.links is not None and name.isalnum() else None

    def listed_parents(self, name: LayerId) -> Iterator[LayerId]:
        """The layers below one, nearest first, as the driver itself keeps them (aufs only)."""
        known = self._listed.get(name)
        if known is None:
            raw = self._parents(name)
            lines = (raw or b"").decode("ascii", "replace").split()
            known = tuple(LayerId(line) for line in lines if is_id(line.removesuffix(INIT)))
            if raw is not None:
                self._listed[name] = known
        yield from known

    def lists_parents(self, name: LayerId) -> bool:
        """Whether the driver's own list of the layers below one is there, and was read: it may be empty."""
        return self._parents(name) is not None

    def _parents(self, name: LayerId) -> bytes | None:
        if self.driver.parents is None:
            return None
        entry = (*self.driver.parents, name)
        return self._reader.once("parents", entry, lambda: self._list(entry), None)

    def _list(self, entry: Tree) -> bytes | None:
        raw = self._reader.bytes(entry, optional=True)
        if raw is not None and len(raw) > _LONGEST_LIST:
            self._reader.problem(Reason.TOO_LARGE, entry, "lists more layers than engines make")
            return None
        return raw


def _joined(changes: Iterable[set[str] | None]) -> set[str] | None:
    joined = set[str]()
    for one in changes:
        if one is None:
            return None
        joined |= one
    return joined


_OF_CONTAINERD = "io.containerd."


def files_elsewhere(root: DataRoot, store: LayerStore) -> str:
    """The driver's entry of the root, where its layers are on thin volumes or datasets; "" where they are below it."""
    driver = store.driver
    if driver.walkable or not driver.layers:
        return ""
    if any(name.startswith(_OF_CONTAINERD) for name in driver.layers[1:]):
        return ""  # beside it in that entry are the blobs of all images, which are files
    try:
        root.lstat(driver.pool or ())
    except OSError:
        return driver.layers[0]
    return "" if driver.pool else driver.layers[0]
