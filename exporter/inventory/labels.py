"""The labels of containers, images and volumes, for whoever asks for them: an inventory keeps only few of these.

Facts: Docker 1.0 to 28: `Config.Labels` of a container's configuration, `config.Labels` of an image's (OCI image
specification, config.md), `Labels` of an entry of `volumes/metadata.db` (since Docker 1.9 volume/store, 17.05 db.go).
"""

from collections.abc import Iterable, Iterator, Mapping

from exporter.core.data_root import DataRoot, UnreadableError
from exporter.core.measured import Tree
from exporter.inventory.areas import CONTAINERS
from exporter.inventory.files.bolt import BoltError, Bucket
from exporter.inventory.files.database import read_database
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.reader import is_id
from exporter.inventory.files.values import Json, decode, items, table, text
from exporter.inventory.image_store.manifests import parts
from exporter.inventory.image_store.store import CONTENT

Labels = Mapping[str, str]

_CONFIGS = ("config.v2.json", "config.json")
_VOLUMES: Tree = ("volumes", "metadata.db")
#: So many documents of one image are read: an index has one for each platform.
_MOST_DOCUMENTS = 256


def of_container(root: DataRoot, container: str) -> Labels | None:
    """The labels of a container of Docker; None where they cannot be read."""
    homes = ((*CONTAINERS.path, container, name) for name in _CONFIGS) if is_id(container) else ()
    return _first(root, homes, "Config")


def of_image(root: DataRoot, driver: str, image: str) -> Labels | None:
    """The labels of an image of a graph driver; None where they cannot be read."""
    new, old = ("image", driver, "imagedb", "content", "sha256", image), ("graph", image, "json")
    return _first(root, (new, old) if is_id(image) else (), "config")


def of_stored_image(root: DataRoot, store: Tree, image: str) -> Labels | None:
    """The labels of an image of a containerd store, of all its platforms together; None where one cannot be read.

    `image`: the digest of its target, as hex digits. What was not pulled of other platforms has no labels here.
    """
    found: dict[str, str] = {}
    pending, read = [f"sha256:{image}"], 0
    while pending:
        document = _blob(root, store, pending.pop())
        read += 1
        if read > _MOST_DOCUMENTS or (document is None and read == 1):
            return None
        if document is None:
            continue
        pending += (text(one, "digest") for one in items(document, "manifests"))
        if config := text(document, "config", "digest"):
            content = _blob(root, store, config)
            if content is None:
                return None
            found.update(_labels(table(content, "config")))
    return found


def of_volumes(root: DataRoot) -> Mapping[str, Labels] | None:
    """The labels of the volumes that were made with a name or labels, by name; None where they cannot be read."""
    try:
        return read_database(root, Memo(), _VOLUMES, "volumes", lambda bucket: dict(_of_volumes(bucket)))
    except FileNotFoundError:
        return {}
    except (OSError, UnreadableError, BoltError):
        return None


def _of_volumes(bucket: Bucket) -> Iterator[tuple[str, Labels]]:
    for key, value in bucket.values.items():
        if (about := decode(value)) is not None:
            yield key.decode("utf-8", "surrogateescape"), _labels(about)


def _first(root: DataRoot, places: Iterable[Tree], around: str) -> Labels | None:
    """The labels in the first of these files that is there."""
    for place in places:
        content = _json(root, place)
        if content is not None:
            return _labels(table(content, around))
    return None


def _labels(around: Json) -> Labels:
    return {key: value for key, value in table(around, "Labels").items() if isinstance(value, str)}


def _blob(root: DataRoot, store: Tree, digest: str) -> Json | None:
    named = parts(digest)
    return None if named is None else _json(root, (*store, CONTENT, "blobs", *named))


def _json(root: DataRoot, tree: Tree) -> Json | None:
    try:
        return decode(root.read(tree))
    except (OSError, UnreadableError):
        return None
