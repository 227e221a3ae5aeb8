"""The layout of Docker 1.10 to 28: `image/<driver>/{repositories.json,imagedb,layerdb}` beside the driver's directory.

Facts: Docker 20.10 image/fs.go (imagedb), layer/filestore.go (layerdb), layer/layer.go (CreateChainID),
reference/store.go (repositories.json), image/image.go (the config). Docker 1.10 keeps the same files.
"""

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from exporter.core.area import DRIVER, Area, Signature
from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason, Tree
from exporter.core.model import Collector, Image, ImageId, LayerId
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import Json, Reader, decode, is_id, items, moment, table, text

LAYOUT = "layerdb"
_IMAGE: Tree = ("image",)
_SHA256 = "sha256:"
_REMOVING = re.compile(r"[0-9a-f]{64}-[^/]*removing", re.ASCII)
_WRITE_SET = "write-set-"
_DIRECTORY = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.-]{0,127}", re.ASCII)
_LARGEST_SIZE = 2**63 - 1
#: A layer that is still being written after this time was given up.
_STALE_SECONDS = 24 * 3600
#: The engine adds files to an entry after it was made (the time of a tag, the name of an init layer), and no event
#: of the store tells of that.
_FILLED_LATER = Signature(changes=True)


def _area(*below: str, watched: bool = True, signature: Signature | None = None, counted: str = "") -> Area:
    """A directory of `image/<driver>`: small files that are renamed into place and written once."""
    return Area(
        (*_IMAGE, DRIVER, *below),
        collector=Collector.IMAGES,
        store=True,
        watched=watched,
        signature=signature,
        audited=False,
        objects=Collector.IMAGES,
        counted=counted,
    )


AREAS = (
    Area(
        _IMAGE,
        "the images' descriptions (from Docker 1.10 on)",
        Collector.IMAGES,
        watched=True,
        audited=False,
        objects=Collector.IMAGES,
        images=True,
    ),
    _area(signature=Signature()),
    _area("distribution", "diffid-by-digest", "sha256", watched=False),
    _area("distribution", "v2metadata-by-diffid", "sha256", watched=False),
    _area("layerdb", "sha256", counted="layerdb"),
    _area("layerdb", "mounts", signature=_FILLED_LATER, counted="mounts"),
    _area("layerdb", "tmp"),
    _area("imagedb", "content", "sha256", counted="imagedb"),
    _area("imagedb", "metadata", "sha256", signature=_FILLED_LATER),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What `layerdb/sha256/<chain>` says: the driver's directory, the chain below, the layer's own size in bytes."""

    chain: str
    cache: LayerId
    parent: str = ""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class MountEntry:
    """What `layerdb/mounts/<container>` says: the driver's directories, and the chain below them."""

    layer: LayerId | None = None
    init: LayerId | None = None
    parent: str = ""


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What `imagedb` says of an image; `chains` are its chain ids, its own first, None where that is not known."""

    image: Image
    chains: tuple[str, ...] | None = None


@dataclass(slots=True)
class Database:
    """What `image/<driver>` says. `moving` are directories of layers that are being written or removed.

    `doubtful`: something could not be read, or is being written, that may refer to any layer.
    """

    driver: str
    store: LayerStore
    entries: dict[str, Entry] = field(default_factory=dict)
    mounts: dict[str, MountEntry] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    doubtful: bool = False

    @property
    def base(self) -> Tree:
        """Its directory."""
        return (*_IMAGE, self.driver)

    def has(self, name: LayerId) -> bool:
        """Whether the driver has a layer; of one that is not known that cannot be told, and nothing is missed."""
        return name in self.store.names or not self.store.driver.layers

    def chain(self, top: str) -> Iterator[Entry]:
        """The entries from a chain id down, as far as they are there; a ring of parents is walked once."""
        seen: set[str] = set()
        while top and top not in seen and (entry := self.entries.get(top)) is not None:
            seen.add(top)
            yield entry
            top = entry.parent

    def stores(self) -> list[tuple[str, Tree]]:
        """The directories whose entries are counted, by the short names they are counted under."""
        return [(area.counted, (*self.base, *area.path[2:])) for area in AREAS if area.counted]

    def references(self) -> list[Tree]:
        """Where something that refers to a layer can come or go."""
        below: list[Tree] = [("repositories.json",), ("imagedb", "content", "sha256")]
        below += [("layerdb", name) for name in ("sha256", "mounts", "tmp")]
        return [(*self.base, *one) for one in below]


def find_drivers(root: DataRoot) -> list[str]:
    """The drivers that have images, by the directories in `image`."""
    try:
        names = root.names(_IMAGE)
    except OSError:
        return []
    return [name for name in names if root.is_directory((*_IMAGE, name))]


def detect(root: DataRoot) -> bool:
    """Say whether the root holds this layout."""
    return bool(find_drivers(root))


def read_database(reader: Reader, store: LayerStore, previous: Mapping[str, Image]) -> Database:
    """Read what one driver's `image/<driver>` holds; an image whose config is damaged keeps what was known of it."""
    database = Database(store.driver.name, store)
    _read_entries(reader, database)
    mounts = (*database.base, "layerdb", "mounts")
    for name in reader.objects(mounts, lambda name: _DIRECTORY.fullmatch(name) is not None):
        database.mounts[name] = _mount(reader, (*mounts, name))
    _read_images(reader, database, previous)
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
    """For how long nothing was written to a directory, in seconds."""
    latest = 0.0
    try:
        for path in (tree, *((*tree, name) for name in root.names(tree))):
            latest = max(latest, root.lstat(path).st_mtime)
    except OSError:
        return 0.0  # it comes or goes just now
    return time.time() - latest


def _entry(reader: Reader, tree: Tree) -> Entry | None:
    return reader.once("entry", tree, lambda: _read_entry(reader, tree))


def _read_entry(reader: Reader, tree: Tree) -> Entry | None:
    cache = reader.line((*tree, "cache-id"))
    if not _DIRECTORY.fullmatch(cache):
        reader.problem(Reason.DECODE, (*tree, "cache-id"), "names no directory")
        return None
    size = reader.line((*tree, "size"))
    known = size.isascii() and size.isdecimal() and len(size) < 20 and int(size) <= _LARGEST_SIZE
    if not known:
        reader.problem(Reason.DECODE, (*tree, "size"), "not a number")
    return Entry(tree[-1], LayerId(cache), _hex(reader.line((*tree, "parent"))), int(size) if known else None)


def _mount(reader: Reader, tree: Tree) -> MountEntry:
    return reader.once("mount", tree, lambda: _read_mount(reader, tree))


def _read_mount(reader: Reader, tree: Tree) -> MountEntry:
    layer, init = (reader.line((*tree, name)) for name in ("mount-id", "init-id"))
    if not _DIRECTORY.fullmatch(layer):
        reader.problem(Reason.DECODE, (*tree, "mount-id"), "names no directory")
    named = [LayerId(name) if _DIRECTORY.fullmatch(name) else None for name in (layer, init)]
    return MountEntry(named[0], named[1], _hex(reader.line((*tree, "parent"))))


def _hex(digest: str) -> str:
    name = digest.removeprefix(_SHA256)
    return name if is_id(name) else ""


def chain_ids(diffs: Iterable[str]) -> tuple[str, ...]:
    """The chain ids of a stack of diff ids, lowest first, as hex, highest first (layer/layer.go, CreateChainID)."""
    chains: list[str] = []
    for diff in diffs:
        below = f"{_SHA256}{chains[-1]} " if chains else ""
        chains.append(hashlib.sha256(f"{below}{diff}".encode()).hexdigest() if below else diff.removeprefix(_SHA256))
    return tuple(reversed(chains))


def _read_images(reader: Reader, database: Database, previous: Mapping[str, Image]) -> None:
    content = (*database.base, "imagedb", "content", "sha256")
    names = []
    for name in reader.names(content):
        if is_id(name):
            names.append(name)
        elif not name.startswith("."):  # ioutils.AtomicWriteFile's temporary files
            reader.problem(Reason.DECODE, (*content, name), "not the name of an image")
    listing = (*database.base, "repositories.json")
    tags, digests = _references(reader, listing)
    if lost := {*tags, *digests} - {*names}:  # Docker removes a name before its image: is that still there?
        tags, digests = _read_references(reader, listing)
        database.missing |= lost & {*tags, *digests}
    configs = [_config(reader, database.base, ImageId(name)) for name in names]
    parents = {one.image.parent for one in configs}
    for config in configs:
        references, known = (
            tuple(sorted(tags.get(config.image.id, ()))),
            tuple(sorted(digests.get(config.image.id, ()))),
        )
        listed = bool(references or known) or config.image.id not in parents
        database.images.append(_image(database, config, references, known, listed, previous))
    _list_the_uncovered(database)


def _image(  # noqa: PLR0913 - an image has that many sides
    database: Database,
    config: ImageConfig,
    references: tuple[tuple[str, str], ...],
    digests: tuple[str, ...],
    listed: bool,
    previous: Mapping[str, Image],
) -> Image:
    bare = config.image
    known = previous.get(bare.id)
    if config.chains is not None:
        entries = [(chain, database.entries.get(chain)) for chain in config.chains]
        layers = tuple(entry.cache for _, entry in entries if entry is not None and database.has(entry.cache))
        lost = {chain for chain, entry in entries if entry is None or not database.has(entry.cache)}
        database.missing |= lost
    elif known is not None and known.layers:
        bare, layers, lost = known, tuple(name for name in known.layers if database.has(name)), set()
    else:
        database.doubtful = True
        layers, lost = (), {bare.id}
    return Image(
        driver=database.driver,
        id=bare.id,
        layers=layers,
        references=references,
        digests=digests,
        listed=listed,
        created=bare.created,
        os=bare.os,
        architecture=bare.architecture,
        docker_version=bare.docker_version,
        parent=config.image.parent,
        dangling=listed and not references,
        broken=bool(lost),
        digest=_SHA256 + bare.id,
        metadata=tuple((*database.base, "imagedb", part, "sha256", bare.id) for part in ("content", "metadata")),
    )


def _list_the_uncovered(database: Database) -> None:
    """An intermediate image that alone has a layer is listed: without it no figure would hold that layer."""
    covered = {layer for image in database.images if image.listed for layer in image.layers}
    for at, image in enumerate(database.images):
        if not image.listed and not covered.issuperset(image.layers):
            database.images[at] = replace(image, listed=True)


def _config(reader: Reader, base: Tree, image: ImageId) -> ImageConfig:
    tree = (*base, "imagedb", "content", "sha256", image)
    about = (*base, "imagedb", "metadata", "sha256", image)
    return reader.once("config", tree, lambda: _read_config(reader, tree, about), also=(about,))


def _read_config(reader: Reader, tree: Tree, about: Tree) -> ImageConfig:
    image = ImageId(tree[-1])
    parent = _hex(reader.line((*about, "parent")))
    bare = Image("", image, (), parent=ImageId(parent) if parent else None)
    raw = reader.bytes(tree)
    if raw is None:
        return ImageConfig(bare)
    if hashlib.sha256(raw).hexdigest() != image:
        reader.problem(Reason.DECODE, tree, "is not what its name says")
        return ImageConfig(bare)
    config = decode(raw)
    if config is None:
        reader.problem(Reason.DECODE, tree, "not a JSON object")
        return ImageConfig(bare)
    diffs = items(config, "rootfs", "diff_ids")
    good = [diff for diff in diffs if isinstance(diff, str) and diff.startswith(_SHA256) and _hex(diff)]
    if len(good) != len(diffs):
        reader.problem(Reason.DECODE, tree, "a diff id that is none")
        return ImageConfig(bare)
    bare = Image(
        "",
        image,
        (),
        created=moment(config, "created"),
        os=text(config, "os"),
        architecture=text(config, "architecture"),
        docker_version=text(config, "docker_version"),
        parent=bare.parent,
    )
    return ImageConfig(bare, chain_ids(good))


_Tags = dict[str, list[tuple[str, str]]]


def _references(reader: Reader, tree: Tree) -> tuple[_Tags, dict[str, list[str]]]:
    return reader.once("references", tree, lambda: _read_references(reader, tree))


def _read_references(reader: Reader, tree: Tree) -> tuple[_Tags, dict[str, list[str]]]:
    """Tags and digests by image id; a key is the whole reference, with the repository in front."""
    tags: _Tags = {}
    digests: dict[str, list[str]] = {}
    content: Json = reader.json(tree, optional=True) or {}
    for repository, keys in table(content, "Repositories").items():
        for key, digest in table(keys).items():
            image = _hex(digest) if isinstance(digest, str) else ""
            rest = key.removeprefix(repository)
            if not image or not rest or rest[0] not in ":@":
                reader.problem(Reason.DECODE, tree, "a reference that is none")
            elif rest[0] == "@":
                digests.setdefault(image, []).append(key)
            else:
                tags.setdefault(image, []).append((repository, rest[1:]))
    return tags, digests
