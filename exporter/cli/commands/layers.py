"""`layers`: the owner and the directory of each layer."""

from collections.abc import Iterable
from dataclasses import asdict

from exporter.cli.commands.index import Index, container_name, namespaces
from exporter.cli.commands.missing import missing_data, missing_layers
from exporter.cli.commands.tables import Answer, Lines, Table, not_known, size
from exporter.core.text import escape
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, LayerRow
from exporter.inventory.areas import CONTAINERS
from exporter.inventory.drivers import INIT

_HEADINGS = ("LAYER", "USE", ">SIZE", ">ON DISK", "BELONGS TO", "DIRECTORY")
#: Docker 20.10 layer/layer_store.go, loadMount: such an entry is read like any other when the engine starts.
_HELD = "its container is gone, but an entry of layerdb/mounts still needs the layer: no prune frees it"


def layers(index: Index, wanted: str, *, orphaned: bool) -> Answer:
    """List layers: all, the orphaned ones, or those of the objects that `wanted` names."""
    if wanted:
        return _meant(index, escape(wanted))
    rows = [one for one in index.document.layers if not orphaned or one.use == "orphaned"]
    rows.sort(key=lambda one: (-(one.allocated or 0), one.id))
    parts: list[Table | Lines] = [_table(index, "", rows)]
    unknown = not_known(index.document, "layers_of_others")
    if orphaned and unknown:
        parts = [Lines("", ["It cannot be told which layers are orphaned."])]
    elif orphaned and not rows:
        parts = [Lines("", ["No layer is orphaned."])]
    missing = [] if orphaned else missing_layers(index)
    data = {"layers": [_data(index, one) for one in rows], "missing": missing_data(index)}
    return Answer(data, [*parts, *missing, *unknown], failed=bool(missing))


def _table(index: Index, title: str, rows: Iterable[LayerRow]) -> Table:
    several = namespaces(index.document)
    lines = [
        (
            *((one.namespace,) if several else ()),
            index.layer_name(one),
            one.use,
            one.size,
            one.allocated,
            index.owner(one),
            index.path(one.home),
        )
        for one in rows
    ]
    return Table(title, (*(("NAMESPACE",) if several else ()), *_HEADINGS), lines)


def _data(index: Index, layer: LayerRow) -> dict[str, object]:
    container = index.container_of(layer)
    return {
        **asdict(layer),
        "path": index.path(layer.directory),
        "images": [{"id": one.id, "references": one.references} for one in index.images_with(layer)],
        "container": {"id": container.id, "name": container.name} if container else None,
    }


def _meant(index: Index, wanted: str) -> Answer:
    found = list(index.meant(wanted))
    if not found and (left := _left_by(index, wanted)):
        return left
    if len({_identity(one) for one in found}) != 1:
        data: dict[str, object] = {"matches": [_match(index, one) for one in found], "layers": []}
        if not found:
            return Answer(data, [Lines("", [f"Nothing has an id that begins with {wanted}."])], failed=True)
        meanings = [_match(index, one)["name"] for one in found]
        return Answer(data, [Lines(f"{wanted} can mean:", meanings)], failed=True)
    rows = [one for row in found for one in _layers_of(index, row)]
    rows = list({(one.driver, one.id): one for one in rows}.values())
    data = {"matches": [_match(index, one) for one in found], "layers": [_data(index, one) for one in rows]}
    parts: list[Table | Lines] = [Lines("", [line for one in found for line in _about(index, one)])]
    return Answer(data, [*parts, _table(index, "", rows)])


def _left_by(index: Index, wanted: str) -> Answer | None:
    """The layers that entries of `layerdb/mounts` need whose containers, named by `wanted`, are gone; None for none."""
    rows = [one for one in index.document.layers if one.held and one.held.startswith(wanted)]
    if not rows:
        return None
    ids = dict.fromkeys(one.held for one in rows)
    gone = [
        f"container {held} is gone, but its entry in layerdb/mounts needs these layers: no prune frees them"
        for held in ids
    ]
    data = {"matches": [], "layers": [_data(index, one) for one in rows]}
    return Answer(data, [Lines("", gone), _table(index, "", rows)])


def _identity(row: LayerRow | ImageRow | ContainerRow) -> str:
    """The id without the suffix of an init layer. In the graph layout a layer has the id of its object."""
    return row.id.removesuffix(INIT)


def _match(index: Index, row: LayerRow | ImageRow | ContainerRow) -> dict[str, str]:
    if isinstance(row, ContainerRow):
        kind, name = "container", container_name(row)
    elif isinstance(row, ImageRow):
        kind, name = "image", index.image_name(row)
    else:
        kind, name = "layer", index.owner(row)
    return {"kind": kind, "id": row.id, "name": f"{kind} {row.id} ({name})"}


def _layers_of(index: Index, row: LayerRow | ImageRow | ContainerRow) -> list[LayerRow]:
    if isinstance(row, LayerRow):
        return [row]
    if isinstance(row, ImageRow):
        return index.chain(row)
    own = [index.layers.get((row.driver, name)) for name in (row.layer, row.init or row.layer + INIT)]
    of = row.driver, row.namespace, row.image_id
    image = next((one for one in index.document.images if (one.driver, one.namespace, one.id) == of), None)
    return [one for one in own if one is not None] + (index.chain(image) if image else [])


def _about(index: Index, row: LayerRow | ImageRow | ContainerRow) -> list[str]:
    if isinstance(row, ContainerRow):
        about = f"container {row.id} {container_name(row)}, {row.state}, of image {row.image or row.image_id[:12]}"
        return [about, f"  settings and logs: {index.path('/'.join((*CONTAINERS.path, row.id)))}"]
    if isinstance(row, ImageRow):
        users = ", ".join(map(container_name, index.containers_from(row))) or "none"
        called = ", ".join((*row.references, *row.digests)) or "no name"
        return [f"image {row.id}: {called}; {size(row.virtual)}", f"  containers: {users}"]
    lines = [f"layer {row.id} of driver {row.driver}: {index.owner(row)}"]
    lines += [f"  namespace: {row.namespace}", f"  key: {row.name}"] if row.namespace else []
    lines += [f"  chain id: {row.chain}"] if row.chain else []
    lines += [f"  directory: {index.path(row.directory)}"] if row.directory else []
    lines += [f"  {_HELD}"] if index.is_left(row) else []
    names = [index.image_name(one) for one in index.images_with(row)]
    return [*lines, f"  images: {', '.join(names)}"] if names else lines
