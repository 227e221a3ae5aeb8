"""What `df` and `whose` say of a containerd image store: its parts by use, its namespaces, and what keeps a blob."""

import re
from collections.abc import Iterator

from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.tables import AtLeast, Lines, Table, size
from exporter.core.text import SHORT, shorten
from exporter.core.units import human
from exporter.expose.snapshot_api.rows import BlobRow, Document, IngestRow, LayerRow
from exporter.expose.store_parts import BLOBS, layers_of, several, store_notes, store_parts

_CONTENT = "io.containerd.content.v1.content"
_SNAPSHOTTER = "io.containerd.snapshotter.v1."
_TASK = "io.containerd.runtime.v2.task"
_PLUGIN = "io.containerd."
_PARTS = {
    "io.containerd.metadata.v1.bolt": "the database: what exists in each namespace",
    _CONTENT: "the blobs of all namespaces",
    _TASK: "the tasks that run",
}
#: A path of an object has so many components below the store.
_DEPTH = 3
_SHA256_DIGITS = 64
_DIGEST = re.compile(r"(?:([a-z0-9]+):)?([0-9a-f]{12,128})", re.ASCII)
_MANY = 4


def store_tables(document: Document) -> Iterator[Table | Lines]:
    """The parts of the store by use, its namespaces where there are several, and what to know of it."""
    if document.store is None:
        return
    layers = list(layers_of(document.layers))
    rows = list(store_parts(layers, document.content))
    known = sum(row.allocated or 0 for row in rows)
    whole = all(row.allocated is not None for row in rows)
    yield Table(
        f"Image store of containerd{f' in {document.store}' if document.store else ''}",
        (">ON DISK", ">#OBJECTS", "WHAT"),
        [(row.allocated, row.objects, row.what) for row in rows],
        footer=(known if whole else AtLeast(known), sum(row.objects for row in rows), "total"),
    )
    yield Table(
        "Namespaces: content is there once for all of them, and freed when the last lets go of it",
        ("NAMESPACE", "OF", ">#IMAGES", ">#CONTAINERS", ">#SNAPSHOTS", ">UNPACKED", ">CONTENT", ">OWN CONTENT"),
        [
            (
                row.namespace,
                row.what,
                row.images,
                row.containers,
                row.layers,
                row.layers_allocated,
                row.blobs_allocated,
                row.own_blobs_allocated,
            )
            for row in several(document.namespaces)
        ],
    )
    said = store_notes(document.images, layers, document.content, document.history, document.engine)
    if lines := list(said):
        yield Lines("", lines)


def owners_in_store(index: Index, path: str) -> list[dict[str, str]]:
    """The owners of a path in the store, the most specific first; nothing for a path elsewhere."""
    store = index.document.store
    if store is None or not f"{path}/".startswith(f"{store}/" if store else ""):
        return []
    parts = path[len(store) :].strip("/").split("/")
    if len(parts) < _DEPTH or (parts[0] not in (_CONTENT, _TASK) and not parts[0].startswith(_SNAPSHOTTER)):
        return _said_of_part(parts[0])
    return _objects(index, *parts[:4]) or _said_of_part(parts[0])


def _said_of_part(name: str) -> list[dict[str, str]]:
    if not name.startswith(_PLUGIN):
        return []
    what = _PARTS.get(name, name.removeprefix(_PLUGIN))
    return [{"kind": "part", "id": name, "text": f"{name}: of containerd, {what}"}]


def _objects(index: Index, plugin: str, kind: str, name: str, further: str = "") -> list[dict[str, str]]:
    """The objects that a path is of, by its first components."""
    document = index.document
    if plugin == _TASK:
        wanted = [one for one in document.containers if (one.namespace, one.id) == (kind, name)]
        return [{"kind": "container", "id": one.id, "text": f"{container_name(one)}, {one.state}"} for one in wanted]
    if plugin == _CONTENT and kind == "blobs":
        return owners_of_digest(index, f"{name}:{further}")
    if plugin == _CONTENT:
        return [_said_of_ingest(one) for one in document.ingests if one.directory.endswith(f"/{kind}/{name}")]
    layer = index.layers.get((plugin.removeprefix(_SNAPSHOTTER), name))
    return [] if layer is None else _said_of_snapshot(index, layer)


def as_digest(given: str) -> str:
    """A digest or its beginning, with its algorithm, from one with or without; "" for another text."""
    found = _DIGEST.fullmatch(given)
    if found is None:
        return ""
    return f"{found[1] or ('sha512' if len(found[2]) > _SHA256_DIGITS else 'sha256')}:{found[2]}"


def owners_of_digest(index: Index, digest: str) -> list[dict[str, str]]:
    """The blobs with a digest, or with one that begins so, with what keeps each."""
    return [_said_of_blob(one) for one in index.document.blobs if one.digest.startswith(digest)]


def _said_of_blob(blob: BlobRow) -> dict[str, str]:
    what = BLOBS.get(blob.use, "of unknown use")
    owners = ", ".join(map(_shortened, blob.owners))
    more = f" and {blob.owner_count - len(blob.owners)} more" if blob.owner_count > len(blob.owners) else ""
    kept = f"kept by {owners}{more}" if owners else "kept by nothing: containerd removes it"
    places = f"in the namespace{'s' if len(blob.namespaces) > 1 else ''} {', '.join(blob.namespaces)}"
    text = f"{blob.digest}, {size(blob.size)}, {what}; {kept}; {places if blob.namespaces else 'in no namespace'}"
    return {"kind": "blob", "id": blob.digest, "text": text}


def _shortened(owner: str) -> str:
    kind, _, name = owner.rpartition(" ")
    return f"{kind} {name[:SHORT]}" if re.fullmatch(r"[0-9a-f]{64}", name) else owner


def _said_of_ingest(one: IngestRow) -> dict[str, str]:
    of = f" of {human(one.total)}" if one.total else ""
    text = f"{shorten(one.reference)}: {size(one.size)}{of} written; containerd removes it a day after it was left"
    return {"kind": "ingest", "id": one.directory.rpartition("/")[2], "text": text}


def _said_of_snapshot(index: Index, layer: LayerRow) -> list[dict[str, str]]:
    images = [index.image_name(one) for one in index.images_with(layer)]
    named = ", ".join(images[:_MANY]) + (f" and {len(images) - _MANY} more" if len(images) > _MANY else "")
    of = f" of the namespace {layer.namespace}" if layer.namespace else ""  # what containerd does not list has none
    text = f"{index.layer_name(layer)}{of}, {size(layer.size)}, {index.owner(layer)}"
    found = [{"kind": "layer", "id": layer.id, "text": f"{text} (images: {named})" if named else text}]
    if (container := index.container_of(layer)) is not None:
        about = f"{container_name(container)} ({index.short(container.id)}), {container.state}, of {container.image}"
        found.insert(0, {"kind": "container", "id": container.id, "text": about})
    return found
