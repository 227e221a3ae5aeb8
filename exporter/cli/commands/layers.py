"""`layers`: the owner and the directory of each layer."""

from collections.abc import Iterable, Sequence

from msgspec import to_builtins
from msgspec.structs import replace

from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList
from exporter.cli.commands.filters import begins, equals, is_true
from exporter.cli.commands.habits import PLAIN, Chosen, Habits, choose
from exporter.cli.commands.index import Index, container_name, namespaces
from exporter.cli.commands.missing import missing_data, missing_layers
from exporter.cli.commands.tables import Answer, Lines, Table, not_known, size
from exporter.core.states import Use
from exporter.core.text import escape
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, LayerRow
from exporter.inventory.areas import CONTAINERS
from exporter.inventory.drivers import INIT

#: Docker 20.10 layer/layer_store.go, loadMount: such an entry is read like any other when the engine starts.
_HELD = "its container is gone, but an entry of layerdb/mounts still needs the layer: no prune frees it"


def layers(index: Index, wanted: str = "", *, orphaned: bool, habits: Habits = PLAIN) -> Answer:
    """List layers: all, the orphaned ones, or those of the objects that `wanted` or the names of `habits` mean."""
    names = (*((wanted,) if wanted else ()), *habits.names)
    habits = replace(habits, names=())
    if names:
        return _joined([_meant(index, escape(one), habits) for one in dict.fromkeys(names)])
    rows = [one for one in index.document.layers if not orphaned or one.use == "orphaned"]
    rows.sort(key=lambda one: (-(one.allocated or 0), one.id))
    chosen = _chosen(index, rows, habits)
    parts: list[Table | Lines] = [chosen.table(), *chosen.said()]
    unknown = not_known(index.document, "layers_of_others")
    if orphaned and unknown:
        parts = [Lines("", ["It cannot be told which layers are orphaned."])]
    elif orphaned and not rows:
        parts = [Lines("", ["No layer is orphaned."])]
    missing = [] if orphaned else missing_layers(index)
    data = {"layers": [_data(index, one) for one in chosen.rows], "missing": missing_data(index)}
    return Answer(data, [*parts, *missing, *unknown], failed=bool(missing), listings=(chosen,))


def _chosen(index: Index, rows: Iterable[LayerRow], habits: Habits) -> Chosen[LayerRow]:
    return choose(LAYERS, index, rows, habits, hidden=() if namespaces(index.document) else ("namespace",))


def _joined(answers: Sequence[Answer]) -> Answer:
    """One answer of those to several names."""
    if len(answers) == 1:
        return answers[0]
    data = {what: [row for one in answers for row in one.data[what]] for what in ("matches", "layers")}
    listings = [chosen for one in answers for chosen in one.listings]
    together = [replace(listings[0], rows=[row for one in listings for row in one.rows])] if listings else []
    failed = any(one.failed for one in answers)
    return Answer(data, [part for one in answers for part in one.parts], failed=failed, listings=together)


def _data(index: Index, layer: LayerRow) -> dict[str, object]:
    container = index.container_of(layer)
    return {
        **to_builtins(layer),
        "path": index.path(layer.directory),
        "images": [{"id": one.id, "references": one.references} for one in index.images_with(layer)],
        "container": {"id": container.id, "name": container.name} if container else None,
    }


def _meant(index: Index, wanted: str, habits: Habits) -> Answer:
    found = list(index.meant(wanted))
    if not found and (left := _left_by(index, wanted, habits)):
        return left
    if len({_identity(one) for one in found}) != 1:
        data: dict[str, object] = {"matches": [_match(index, one) for one in found], "layers": []}
        if not found:
            return Answer(data, [Lines("", [f"Nothing has an id that begins with {wanted}."])], failed=True)
        meanings = [_match(index, one)["name"] for one in found]
        return Answer(data, [Lines(f"{wanted} can mean:", meanings)], failed=True)
    rows = [one for row in found for one in _layers_of(index, row)]
    rows = list({(one.driver, one.id): one for one in rows}.values())
    chosen = _chosen(index, rows, habits)
    data = {"matches": [_match(index, one) for one in found], "layers": [_data(index, one) for one in chosen.rows]}
    parts: list[Table | Lines] = [Lines("", [line for one in found for line in _about(index, one)])]
    return Answer(data, [*parts, chosen.table(), *chosen.said()], listings=(chosen,))


def _left_by(index: Index, wanted: str, habits: Habits) -> Answer | None:
    """The layers that entries of `layerdb/mounts` need whose containers, named by `wanted`, are gone; None for none."""
    rows = [one for one in index.document.layers if one.held and one.held.startswith(wanted)]
    if not rows:
        return None
    ids = dict.fromkeys(one.held for one in rows)
    gone = [
        f"container {held} is gone, but its entry in layerdb/mounts needs these layers: no prune frees them"
        for held in ids
    ]
    chosen = _chosen(index, rows, habits)
    data = {"matches": [], "layers": [_data(index, one) for one in chosen.rows]}
    return Answer(data, [Lines("", gone), chosen.table(), *chosen.said()], listings=(chosen,))


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


def _whole_name(layer: LayerRow) -> str:
    """The chain id or id of a layer, or the key of a snapshot."""
    return layer.name if layer.namespace else layer.chain or layer.id


#: The columns of the list.
LAYERS: ObjectList[LayerRow] = ObjectList(
    "layer",
    (
        Column("namespace", "NAMESPACE", Kind.TEXT, lambda _, one: one.namespace, 20),
        Column(
            "id",
            "LAYER",
            Kind.ID,
            lambda _, one: _whole_name(one),
            90,
            ("ID", "Layer"),
            short=lambda index, one: index.layer_name(one),
            keep=True,
        ),
        Column("use", "USE", Kind.WORD, lambda _, one: one.use, 50, ("Use",)),
        Column("size", "SIZE", Kind.SIZE, lambda _, one: one.size, 40, ("Size",)),
        Column("on_disk", "ON DISK", Kind.SIZE, lambda _, one: one.allocated, 95, ("OnDisk",)),
        Column("owner", "BELONGS TO", Kind.NAMES, lambda index, one: index.owner(one), 80, ("BelongsTo",)),
        Column("directory", "DIRECTORY", Kind.PATH, lambda index, one: index.path(one.home), 30, ("Directory",)),
        Column("inodes", "INODES", Kind.COUNT, lambda _, one: one.inodes, shown=False),
        Column("driver", "DRIVER", Kind.TEXT, lambda _, one: one.driver, shown=False),
        Column("parent", "PARENT", Kind.ID, lambda _, one: one.parent, shown=False),
    ),
    names=lambda _, one: (one.id, one.name, one.chain),
    ids=lambda _, one: (one.id, one.name.removeprefix("sha256:"), one.chain),
    key=lambda index, one: index.layer_name(one),
    whole=lambda _, one: _whole_name(one),
    filters={
        "id": begins(lambda _, one: (one.id, one.chain, one.name.removeprefix("sha256:"))),
        "use": equals(lambda _, one: (one.use,), Use),
        "dangling": is_true(lambda _, one: one.use == "orphaned"),
        "driver": equals(lambda _, one: (one.driver,)),
        "namespace": equals(lambda _, one: (one.namespace,)),
    },
)
