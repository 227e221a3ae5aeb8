"""Reads the images of the layerdb layout: `image/<driver>/imagedb` and `repositories.json`.

Facts: Docker 20.10 image/fs.go (imagedb), layer/layer.go (CreateChainID), reference/store.go (repositories.json),
image/image.go (the config). Docker 1.10 keeps the same files.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from operator import is_

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.hashes import sha256
from exporter.core.knowledge import Input
from exporter.core.measured import Reason, Tree
from exporter.core.model import Image, ImageId
from exporter.inventory.drivers import MOST_LAYERS
from exporter.inventory.files.reader import MISSING, Reader, is_id
from exporter.inventory.files.values import Json, decode, is_table, items, moment, table, text
from exporter.inventory.layouts.layerdb_store import SHA256, Database, LayerEntry, chain_id, hex_digits


class ImageConfig(Struct, frozen=True):
    """What `imagedb` says of an image; `chains` are its chain ids, its own first, None where that is not known."""

    image: Image
    chains: tuple[str, ...] | None = None


def chain_ids(diffs: Iterable[str]) -> tuple[str, ...]:
    """The chain ids of a stack of diff ids, lowest first, as hex, highest first (layer/layer.go, CreateChainID)."""
    chains: list[str] = []
    for diff in diffs:
        chains.append(chain_id(chains[-1] if chains else "", diff.removeprefix(SHA256)))
    return tuple(reversed(chains))


class _PlacedImages(Struct):
    """The images of one driver in the last reading, and what they were made of.

    `settled`: nothing was to be noted on the way, so the same has the same result.
    """

    configs: list[ImageConfig] = field(default_factory=list)
    names: object = None
    entries: list[LayerEntry] = field(default_factory=list)
    caches: frozenset[str] = frozenset()
    turn: int = -2
    settled: bool = False
    images: list[Image] = field(default_factory=list)
    missing: frozenset[str] = frozenset()

    def holds(self, configs: list[ImageConfig], names: object, database: Database) -> bool:
        """Whether all that these were made of is as it was."""
        renewed = database.store.renewed_since(self.turn)
        return (
            self.settled
            and renewed is not None
            and database.store.listed
            and not database.misnamed
            and len(self.configs) == len(configs)
            and all(map(is_, self.configs, configs))
            and len(self.entries) == len(database.entries)
            and all(map(is_, self.entries, database.entries.values()))
            and self.caches.isdisjoint(renewed)
            and self.names == names
        )

    def note(self, configs: list[ImageConfig], names: object, database: Database) -> None:
        """Note the images, and what they are made of, for the next reading."""
        self.configs, self.names, self.entries = configs, names, [*database.entries.values()]
        self.caches = frozenset(entry.cache for entry in self.entries)
        self.images, self.missing = database.images, frozenset(database.missing)


def read_images(reader: Reader, database: Database, previous: Mapping[str, Image]) -> None:
    """Read the images of one driver. An image with a damaged config is taken from `previous`."""
    content = (*database.base, "imagedb", "content", "sha256")
    names = []
    for name in reader.names(content, required=True):
        if is_id(name):
            names.append(name)
        elif not name.startswith("."):  # ioutils.AtomicWriteFile's temporary files
            reader.problem(Reason.DECODE, (*content, name), "not the name of an image", harmless=True)
    _expect_whole(reader, database, frozenset(names))
    listing = (*database.base, "repositories.json")
    reader.expect(listing)
    tags, digests = _references(reader, listing)
    if lost := {*tags, *digests} - {*names}:  # Docker removes a name before its image: is that still there?
        tags, digests = _read_references(reader, listing)
        for name in sorted(lost & {*tags, *digests}):
            _lost(reader, database, name, "a name refers to it, and it is missing")
    about = (*database.base, "imagedb", "metadata", "sha256")
    read = partial(_config, reader, database.base)
    known = reader.each(
        "config", content, names, read, lambda name: ImageConfig(Image("", ImageId(name), ())), also=(about,)
    )
    configs = [*known.values()]
    last = reader.derived("images", content, _PlacedImages)
    if last.holds(configs, (tags, digests), database):
        database.images, last.turn = last.images, database.store.turn
        database.missing.update(last.missing)
        return
    last.settled, before = False, reader.noted  # where this fails, the next reading makes them again
    _place_images(reader, database, configs, tags, digests, previous)
    last.note(configs, (tags, digests), database)
    last.turn = database.store.turn
    last.settled = reader.noted == before and not database.misnamed


def _place_images(  # noqa: PLR0913 - what images are made of
    reader: Reader,
    database: Database,
    configs: list[ImageConfig],
    tags: Mapping[str, list[tuple[str, str]]],
    digests: Mapping[str, list[str]],
    previous: Mapping[str, Image],
) -> None:
    """Make the images, and note the layers that they need and that nothing says of where they are."""
    content = (*database.base, "imagedb", "content", "sha256")
    parents = {one.image.parent for one in configs}
    for config in configs:
        references, named = (
            tuple(sorted(tags.get(config.image.id, ()))),
            tuple(sorted(digests.get(config.image.id, ()))),
        )
        listed = bool(references or named) or config.image.id not in parents
        unplaced = _unplaced(database, config, references, named, listed=listed)
        place = partial(_image, database, config, references, named, listed, previous)
        database.images.append(reader.attempt((*content, config.image.id), place, unplaced))
    _note_lost_entries(reader, database, configs)
    _list_the_uncovered(database)


def _expect_whole(reader: Reader, database: Database, images: frozenset[str]) -> None:
    """Note what must be there because something else is: an engine removes a description last (image/fs.go, Delete)."""
    about = (*database.base, "imagedb", "metadata", "sha256")
    for name in reader.names(about, required=True):
        if is_id(name) and name not in images:
            _lost(reader, database, name, "only its metadata is there")
    if images and not database.entries:
        reader.expect((*database.base, "layerdb", "sha256"))
    if database.entries and database.store.driver.layers:
        database.store.expect()


def _note_lost_entries(reader: Reader, database: Database, configs: Iterable[ImageConfig]) -> None:
    """Note the layers that images need and that have no entry: nothing says which directories are theirs."""
    wanted = {chain for config in configs for chain in config.chains or ()}
    for chain in sorted(wanted - database.entries.keys()):
        tree = (*database.base, "layerdb", "sha256", chain)
        if not reader.exists(tree):  # else it is damaged, which its reader has noted
            reader.gap(Input.LAYER_STORES, tree, MISSING, driver=database.driver, object_id=chain, damaged=True)


def _lost(reader: Reader, database: Database, image: str, why: str) -> None:
    """Note an image whose description is lost: it may need any layer."""
    tree = (*database.base, "imagedb", "content", "sha256", image)
    reader.gap(Input.IMAGE_CONFIGS, tree, why, driver=database.driver, object_id=image)


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
        lost = [chain for chain, entry in entries if entry is None or not database.has(entry.cache)]
        database.missing.update(lost)
        damaged = not database.loads(next(iter(config.chains), ""))
    elif known is not None and known.layers:
        bare, layers, lost = known, tuple(name for name in known.layers if database.has(name)), []
        damaged = True
    else:
        database.doubtful = True
        layers, lost, damaged = (), [bare.id], True
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
        missing=() if config.chains is None else tuple(lost),
        unloaded=damaged,  # image/store.go, restore
        damaged=damaged,
        digest=SHA256 + bare.id,
        metadata=tuple((*database.base, "imagedb", part, "sha256", bare.id) for part in ("content", "metadata")),
    )


def _unplaced(
    database: Database,
    config: ImageConfig,
    references: tuple[tuple[str, str], ...],
    digests: tuple[str, ...],
    *,
    listed: bool,
) -> Image:
    """An image of which it is not known which layers it has."""
    facts = replace(config.image, driver=database.driver, digest=SHA256 + config.image.id, broken=True)
    facts = replace(facts, unloaded=True, damaged=True)
    return replace(facts, references=references, digests=digests, listed=listed, dangling=listed and not references)


def _list_the_uncovered(database: Database) -> None:
    """List an intermediate image that alone has a layer: else no figure would include that layer."""
    covered = {layer for image in database.images if image.listed for layer in image.layers}
    for at, image in enumerate(database.images):
        if not image.listed and not covered.issuperset(image.layers):
            database.images[at] = replace(image, listed=True)


def _config(reader: Reader, base: Tree, image: str) -> ImageConfig:
    tree = (*base, "imagedb", "content", "sha256", image)
    about = (*base, "imagedb", "metadata", "sha256", image)
    return _read_config(reader, tree, about)


def _parent(reader: Reader, tree: Tree) -> str:
    """The image that an image was built on; "" for none."""
    raw = reader.bytes(tree, optional=True)
    parent = hex_digits((raw or b"").decode("ascii", "replace").strip())
    if raw is not None and not parent:
        reader.problem(Reason.DECODE, tree, "not a SHA-256 digest")
    return parent


def _read_config(reader: Reader, tree: Tree, about: Tree) -> ImageConfig:
    image = ImageId(tree[-1])
    parent = _parent(reader, (*about, "parent"))
    bare = Image("", image, (), parent=ImageId(parent) if parent else None)
    raw = reader.bytes(tree)
    if raw is None:
        return ImageConfig(bare)
    if sha256(raw).hexdigest() != image:
        reader.problem(Reason.DECODE, tree, "is not what its name says")
        return ImageConfig(bare)
    config = decode(raw)
    if config is None:
        reader.problem(Reason.DECODE, tree, "not a JSON object")
        return ImageConfig(bare)
    diffs = items(config, "rootfs", "diff_ids")
    if len(diffs) > MOST_LAYERS:
        reader.problem(Reason.TOO_LARGE, tree, "has more layers than engines make")
        return ImageConfig(bare)
    good = [diff for diff in diffs if isinstance(diff, str) and diff.startswith(SHA256) and hex_digits(diff)]
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
    nothing: tuple[_Tags, dict[str, list[str]]] = {}, {}
    return reader.once("references", tree, lambda: _read_references(reader, tree), nothing)


def _read_references(reader: Reader, tree: Tree) -> tuple[_Tags, dict[str, list[str]]]:
    """Tags and digests by image id; a key is the whole reference, with the repository in front."""
    tags: _Tags = {}
    digests: dict[str, list[str]] = {}
    found = reader.json(tree, optional=True)
    if found is not None and not is_table(found, "Repositories"):
        reader.problem(Reason.DECODE, tree, "has no names")
    content: Json = found or {}
    for repository, keys in table(content, "Repositories").items():
        for key, digest in table(keys).items():
            image = hex_digits(digest) if isinstance(digest, str) else ""
            rest = key.removeprefix(repository)
            if not image or not rest or rest[0] not in ":@":
                reader.problem(Reason.DECODE, tree, "a reference that is none")
            elif rest[0] == "@":
                digests.setdefault(image, []).append(key)
            else:
                tags.setdefault(image, []).append((repository, rest[1:]))
    return tags, digests
