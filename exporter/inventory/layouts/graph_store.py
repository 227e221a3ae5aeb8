"""Reads the files of the graph layout: `graph/<id>/` and `repositories-<driver>`.

Facts: Docker 1.5 graph/graph.go (restore, Get), image/image.go (LoadImage, GetParentsSize), graph/tags.go,
graph/list.go (Images). Docker 1.9 keeps the same files.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from exporter.core.data_root import DataRoot
from exporter.core.knowledge import Input
from exporter.core.measured import Reason, Tree
from exporter.core.model import Image, ImageId, LayerId
from exporter.inventory import drivers
from exporter.inventory.drivers import MOST_LAYERS, Driver
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import MISSING, Reader, is_id
from exporter.inventory.files.values import Json, is_table, moment, table, text

GRAPH = ("graph",)
DOWNLOADS = "_tmp"
TAGS = "repositories-"
_LARGEST_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class GraphEntry:
    """What `graph/<id>` says of an image: its own layer's size is None where Docker did not write it down.

    `sound`: its parent and its size could be read; the driver may say the parent, too.
    """

    id: ImageId
    parent: ImageId | None = None
    size: int | None = None
    created: float | None = None
    os: str = ""
    architecture: str = ""
    docker_version: str = ""
    sound: bool = True


@dataclass(frozen=True, slots=True)
class References:
    """What `repositories-<driver>` says: tags and digests of each image id."""

    tags: Mapping[str, list[tuple[str, str]]]
    digests: Mapping[str, list[str]]

    def names(self, image: str) -> bool:
        """Whether anything names this image."""
        return image in self.tags or image in self.digests


def detect(root: DataRoot) -> bool:
    """Say whether the root holds this layout: a `graph` directory, or tags of a known driver."""
    return (
        root.is_directory(GRAPH)
        or root.link(GRAPH) is not None
        or any(_tag_file(root, driver) for driver in _drivers())
    )


def find_stores(root: DataRoot, reader: Reader) -> list[LayerStore]:
    """The drivers whose directories or tags are in the root. A file there is a problem of the reader."""
    there = [one for one in _drivers() if _is_there(root, one.layers[:1]) or _tag_file(root, one)]
    return [LayerStore(driver, reader) for driver in there]


def tag_files(root: DataRoot) -> list[str]:
    """The names of the files with tags that are in the root."""
    return [TAGS + one.name for one in _drivers() if _tag_file(root, one)]


def _drivers() -> list[Driver]:
    return [one for one in drivers.DRIVERS if one.graph]


def _tag_file(root: DataRoot, driver: Driver) -> bool:
    return _is_there(root, (TAGS + driver.name,))


def _is_there(root: DataRoot, tree: Tree) -> bool:
    try:
        root.lstat(tree)
    except OSError:
        return False
    return True


def read_graph(
    reader: Reader, names: Collection[str], stores: list[LayerStore], previous: Mapping[str, Image]
) -> dict[str, GraphEntry]:
    """Read these entries of `graph/`. An entry with a damaged json file has the data of its other files."""

    def read(name: str) -> GraphEntry:
        return _entry(reader, ImageId(name), stores, previous)

    return reader.each("image", GRAPH, names, read, lambda name: GraphEntry(ImageId(name), sound=False))


def _entry(reader: Reader, image: ImageId, stores: list[LayerStore], previous: Mapping[str, Image]) -> GraphEntry:
    config = reader.json((*GRAPH, image, "json"))
    size, sound = _size(reader, image)
    if config is None:
        parent = next((parent for store in stores for parent in store.listed_parents(LayerId(image))), None)
        known = previous.get(image) or Image("", image, ())
        listed = any(LayerId(image) in store.names and store.lists_parents(LayerId(image)) for store in stores)
        return GraphEntry(
            image,
            ImageId(parent) if parent else None,
            size,
            known.created,
            known.os,
            known.architecture,
            known.docker_version,
            sound=sound and listed,
        )
    if text(config, "id") != image:
        reader.problem(Reason.DECODE, (*GRAPH, image, "json"), "names another id than its directory")
        sound = False
    above = _parent(reader, image, config)
    return GraphEntry(
        id=image,
        parent=above,
        size=size,
        sound=sound and (above is not None or not config.get("parent")),
        created=moment(config, "created"),
        os=text(config, "os"),
        architecture=text(config, "architecture"),
        docker_version=text(config, "docker_version"),
    )


def _parent(reader: Reader, image: ImageId, config: Json) -> ImageId | None:
    parent = config.get("parent") or None
    if parent is None:
        return None
    if not is_id(parent):
        reader.problem(Reason.DECODE, (*GRAPH, image, "json"), "parent is no id")
        return None
    return ImageId(str(parent))


def _size(reader: Reader, image: ImageId) -> tuple[int | None, bool]:
    """The file `layersize`, a decimal number, and whether it could be read.

    Where it is absent or negative, Docker asks the driver to compare.
    """
    path = (*GRAPH, image, "layersize")
    raw = reader.bytes(path, optional=True)
    if raw is None:
        return None, not reader.exists(path)
    digits = raw.strip()
    if not digits.removeprefix(b"-").isdigit() or len(digits) > len(str(_LARGEST_SIZE)):
        reader.problem(Reason.DECODE, path, "not a number")
        return None, False
    size = int(digits)
    return (size if 0 <= size <= _LARGEST_SIZE else None), True


def nothing(_image: str) -> bool:
    """Say of no image that it was moved."""
    return False


def read_references(reader: Reader, driver: Driver, moved: Callable[[str], bool] = nothing) -> References:
    """Read `repositories-<driver>`. From Docker 1.6 on it has digests beside tags: their keys have a colon.

    References to images that a newer Docker has `moved` are left out.
    """
    path = (TAGS + driver.name,)
    tags: dict[str, list[tuple[str, str]]] = {}
    digests: dict[str, list[str]] = {}
    content = reader.json(path, optional=True)
    if content is not None and not is_table(content, "Repositories"):
        reader.problem(Reason.DECODE, path, "has no names")
    for repository, keys in table(content or {}, "Repositories").items():
        for key, image in table(keys).items():
            if not is_id(image):
                reader.problem(Reason.DECODE, path, "a tag of something that is no id")
            elif moved(str(image)):
                continue
            elif ":" in key:
                digests.setdefault(str(image), []).append(f"{repository}@{key}")
            else:
                tags.setdefault(str(image), []).append((repository, key))
    return References(tags, digests)


class GraphStore:
    """The images of one driver: those of the graph whose layer it has, with their chains.

    Docker keeps only the ids that its driver has (graph.go, restore). An id whose layer no driver has is a
    missing layer of the drivers that refer to it, by a tag or a child; of `default` when none does.
    """

    def __init__(self, store: LayerStore, references: References, moved: Callable[[str], bool] = nothing) -> None:
        """`moved` says which ids a newer Docker has made images of its own: their layers may be gone again."""
        self._moved = moved
        self.store = store
        self.references = references
        self.entries: dict[str, GraphEntry] = {}
        self.missing: set[str] = set()

    @property
    def driver(self) -> str:
        """The driver's name."""
        return self.store.driver.name

    def claim(self, graph: Mapping[str, GraphEntry], homeless: frozenset[str]) -> frozenset[str]:
        """Add the images whose layers this driver has, and those of `homeless` that it refers to; return the latter."""
        mine = {image for image in graph if image in self.store.names}
        wanted: set[str] = {parent for image in mine if (parent := graph[image].parent)}
        wanted.update(image for image in graph if self.references.names(image))
        claimed = frozenset(wanted & homeless)
        self.adopt(graph, mine | claimed)
        return claimed

    def adopt(self, graph: Mapping[str, GraphEntry], images: set[str] | frozenset[str]) -> None:
        """Add these entries of the graph to this driver."""
        self.entries.update((image, graph[image]) for image in sorted(images))

    def images(self, reader: Reader) -> list[Image]:
        """List the images with their chains, and note what is missing on the way."""
        parents = {entry.parent for entry in self.entries.values()}
        if self.entries:
            reader.expect((TAGS + self.driver,))
            self.store.expect()
        self.missing.update(image for image in self.references.tags if image not in self.entries)
        chains = self._chains(reader)
        for image in sorted(self.missing & self.store.names):  # its layer is there, so its description is lost
            self.missing.discard(image)
            reader.gap(Input.IMAGE_CONFIGS, (*GRAPH, image), MISSING, driver=self.driver, object_id=image)
        listed = {image for image in self.entries if self.references.names(image) or image not in parents}
        covered = self._covered(listed)
        # A cycle of parents has no topmost image: without this, no figure would include its layers.
        listed.update(image for image in self.entries if chains[image] and image not in covered)
        known: dict[str, tuple[object, Image]] = reader.derived("images", (TAGS + self.driver,), dict)
        kept: dict[str, tuple[object, Image]] = {}
        for image, entry in self.entries.items():
            chain = chains[image]
            of = (
                entry,
                chain,
                image in listed,
                self.references.tags.get(image),
                self.references.digests.get(image),
                self._is_cut(chain),
                self._missing_of(entry, chain),
            )
            before = known.get(image)
            kept[image] = (
                before
                if before is not None and before[0] == of
                else (of, self._image(entry, chain, listed=image in listed))
            )
        known.clear()
        known.update(kept)
        return [image for _, image in kept.values()]

    def _chains(self, reader: Reader) -> dict[str, tuple[LayerId, ...]]:
        """The chain of each image. Most stand on one whose chain is known, and ends where an image has no parent."""
        found: dict[str, tuple[LayerId, ...]] = {}
        whole: set[str] = set()
        for image, entry in self.entries.items():
            below = found[entry.parent] if entry.parent in whole else None
            if not self.store.has(image) or (entry.parent is not None and below is None):
                found[image] = self._chain(reader, image)
                last = self.entries[found[image][-1]] if found[image] else entry
                if found[image] and last.parent is None:
                    whole.add(image)
            elif below is None:
                found[image] = (LayerId(image),)
                whole.add(image)
            elif len(below) < MOST_LAYERS:
                found[image] = (LayerId(image), *below)
                whole.add(image)
            else:
                found[image] = self._chain(reader, image)
        return found

    def _covered(self, images: Iterable[str]) -> set[str]:
        """The layers of these images' chains, whole; each layer is come to once."""
        covered: set[str] = set()
        for image in images:
            at: str | None = image
            while at is not None and at not in covered and at in self.entries and self.store.has(at):
                covered.add(at)
                at = self.entries[at].parent
        return covered

    def _chain(self, reader: Reader, image: str) -> tuple[LayerId, ...]:
        """The layers from an image's own upwards, to the first that is not on disk: Docker counts no further.

        A chain that is longer than engines make is cut: what is above is not known.
        """
        chain: dict[LayerId, None] = {}
        at: str | None = image
        while at is not None:
            entry = self.entries.get(at)
            if len(chain) == MOST_LAYERS and entry is not None and at not in chain:
                reader.problem(Reason.TOO_LARGE, (*GRAPH, image, "json"), "stands on too many images", harmless=True)
                break
            if entry is None or not self.store.has(at):
                self.missing.update(() if self._moved(at) else {at})
                break
            if at in chain:
                if at == image:  # once for each member of the ring, not for all that lead into it
                    reader.problem(Reason.LOOP, (*GRAPH, image, "json"), "is its own ancestor", harmless=True)
                break
            chain[LayerId(at)] = None
            at = entry.parent
        return tuple(chain)

    def _is_cut(self, chain: tuple[LayerId, ...]) -> bool:
        """Whether a description in a chain is damaged, or it ends at an image whose layer is there without one."""
        if not all(self.entries[layer].sound for layer in chain):
            return True
        parent = self.entries[chain[-1]].parent if chain else None
        if self._is_too_long(chain):
            return True
        lost = parent is not None and parent not in self.entries and not self._moved(parent)
        return lost and self.store.has(parent or "")

    def _is_too_long(self, chain: tuple[LayerId, ...]) -> bool:
        """Whether a chain was cut although it goes on."""
        parent = self.entries[chain[-1]].parent if len(chain) == MOST_LAYERS else None
        return parent is not None and parent in self.entries and LayerId(parent) not in chain

    def _missing_of(self, entry: GraphEntry, chain: tuple[LayerId, ...]) -> tuple[str, ...]:
        """The layer of an image's chain that is not on disk: what is above that is not known."""
        end: str | None = self.entries[chain[-1]].parent if chain else entry.id
        if self._is_too_long(chain):
            return ()
        return () if end is None or end in chain or self._moved(end) else (end,)

    def _image(self, entry: GraphEntry, chain: tuple[LayerId, ...], *, listed: bool) -> Image:
        return Image(
            driver=self.driver,
            id=entry.id,
            layers=chain,
            references=tuple(sorted(self.references.tags.get(entry.id, ()))),
            digests=tuple(sorted(self.references.digests.get(entry.id, ()))),
            listed=listed,
            dangling=listed and not self.references.names(entry.id),
            broken=not chain,
            cut=self._is_cut(chain),
            missing=self._missing_of(entry, chain),
            parent=entry.parent,
            metadata=((*GRAPH, entry.id),),
            created=entry.created,
            os=entry.os,
            architecture=entry.architecture,
            docker_version=entry.docker_version,
        )


def share_out(stores: list[GraphStore], graph: Mapping[str, GraphEntry]) -> None:
    """Give each entry of the graph to the drivers that have its layer, else to those that refer to it."""
    homeless = frozenset(image for image in graph if not any(image in store.store.names for store in stores))
    claimed: frozenset[str] = frozenset()
    for store in stores:
        claimed |= store.claim(graph, homeless)
    rest = homeless - claimed
    if stores and rest:
        default = max(stores, key=lambda store: (not store.store.listed, len(store.entries), store.driver))
        default.adopt(graph, rest)
