"""What `df` and `whose` say of a containerd image store: its parts by use, its namespaces, and what keeps a blob."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.tables import AtLeast, Cell, Lines, Table, size
from exporter.core.text import SHORT, shorten
from exporter.core.units import human
from exporter.expose.snapshot_api.rows import BlobRow, Document, IngestRow, LayerRow

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
#: What the uses of blobs and snapshots are called.
_BLOBS = {
    "image": "content of images: compressed layers, manifests, configs",
    "build_cache": "content of the build cache",
    "build_history": "build history: logs, traces, provenance",
    "ingest": "content on its way: downloads and builds under way",
    "other_namespace": "content that only other namespaces need",
    "orphaned": "content that nothing needs",
}
_SNAPSHOTS = {
    "image": "snapshots of images: unpacked layers",
    "container": "snapshots of containers",
    "build_cache": "snapshots of the build cache",
    "pending": "snapshots on their way",
    "orphaned": "snapshots that nothing needs",
}
_MANY = 4


def store_tables(document: Document) -> list[Table | Lines]:
    """The parts of the store by use, and its namespaces where there are several."""
    if document.store is None:
        return []
    return [_parts(document), *_namespaces(document), *_notes(document)]


def _parts(document: Document) -> Table:
    layers: dict[str, list[LayerRow]] = defaultdict(list)
    for layer in document.layers:
        if layer.namespace:
            layers[layer.use].append(layer)
    rows: list[tuple[Cell, ...]] = [
        (_sum([one.allocated for one in layers[use]]), len(layers[use]), what)
        for use, what in _SNAPSHOTS.items()
        if layers[use]
    ]
    rows += [
        (row.allocated, row.blobs, _BLOBS.get(row.use, row.use))
        for row in document.content
        if row.blobs or row.allocated
    ]
    sizes = [row[0] if isinstance(row[0], int) else None for row in rows]
    known = sum(one or 0 for one in sizes)
    footer = (AtLeast(known) if None in sizes else known, sum(int(row[1] or 0) for row in rows), "total")
    place = "of containerd" if document.store in ("", document.root) else f"of containerd in {document.store}"
    return Table(f"Image store {place}", (">ON DISK", ">#OBJECTS", "WHAT"), rows, footer=footer)


def _sum(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else sum(one or 0 for one in sizes)


def _namespaces(document: Document) -> Iterator[Table]:
    rows = [row for row in document.namespaces if row.images or row.containers or row.layers or row.blobs]
    if len(rows) < 2:
        return
    headings = ("NAMESPACE", "OF", ">#IMAGES", ">#CONTAINERS", ">#SNAPSHOTS", ">UNPACKED", ">CONTENT", ">OWN CONTENT")
    yield Table(
        "Namespaces: content is there once for all of them, and freed when the last lets go of it",
        headings,
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
            for row in rows
        ],
    )


def _notes(document: Document) -> Iterator[Lines]:
    lines = []
    history = next((row for row in document.content if row.use == "build_history"), None)
    if document.history and history is not None:
        lines.append(
            f"The build history has {document.history} entries, with {size(history.allocated)} of its own. "
            "docker system df leaves it out, and no prune frees it: docker buildx history rm --all does."
        )
    lines += list(two_stores(document))
    if lines:
        yield Lines("", lines)


def two_stores(document: Document) -> Iterator[str]:
    """What to know where the images of a graph driver are beside those of containerd."""
    graph = sorted({one.driver for one in document.images if not one.namespace})
    if not graph or document.store is None or not document.engine:
        return
    count = sum(1 for one in document.images if not one.namespace and one.listed)
    layers = [one.allocated for one in document.layers if not one.namespace and one.driver in graph]
    yield (
        f"{', '.join(graph)}: an image store of its own, with {count} images and {size(_sum(layers))} of layers, "
        "beside that of containerd. An engine shows the images and containers of one store only: switching "
        "(containerd-snapshotter in daemon.json) hides those of the other and frees nothing. To free them, switch "
        "back, docker image prune --all, and switch again."
    )


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
    what = _BLOBS.get(blob.use, "of unknown use")
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
    text = f"{index.layer_name(layer)} of the namespace {layer.namespace}, {size(layer.size)}, {index.owner(layer)}"
    found = [{"kind": "layer", "id": layer.id, "text": f"{text} (images: {named})" if named else text}]
    if (container := index.container_of(layer)) is not None:
        about = f"{container_name(container)} ({index.short(container.id)}), {container.state}, of {container.image}"
        found.insert(0, {"kind": "container", "id": container.id, "text": about})
    return found
