"""Reads the files of the graph layout: `graph/<id>/` and `repositories-<driver>`.

Facts: Docker 1.5 graph/graph.go (restore, Get), image/image.go (LoadImage, GetParentsSize), graph/tags.go,
graph/list.go (Images). Docker 1.9 keeps the same files.
"""

from collections.abc import Callable, Collection, Mapping

from msgspec import Struct

from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason, Tree
from exporter.core.model import Image, ImageId, LayerId
from exporter.inventory import drivers
from exporter.inventory.drivers import Driver
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import Reader, is_id
from exporter.inventory.files.values import Json, is_table, moment, table, text

GRAPH = ("graph",)
DOWNLOADS = "_tmp"
TAGS = "repositories-"
_LARGEST_SIZE = 2**63 - 1


class GraphEntry(Struct, frozen=True, gc=False):
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


class References(Struct, frozen=True):
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
