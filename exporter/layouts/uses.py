"""What needs each layer that a driver has on disk, and how Docker would size it (graph layout)."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.layouts.drivers import INIT, LayerStore
from exporter.layouts.files import is_id
from exporter.layouts.graph import DOWNLOADS, GRAPH, Shelf
from exporter.model import Container, Layer, LayerId, Use
from exporter.root import DataRoot

_STALE_DOWNLOAD_SECONDS = 24 * 3600


@dataclass(slots=True)
class Grace:
    """Since when each unreferenced layer has been seen to be so, on a clock that cannot be set back."""

    seconds: float
    seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def over(self, layer: tuple[str, str], quiet_since: float) -> bool:
        """Whether nothing has referred to a layer for the whole grace time.

        Either this process has watched it that long, or nothing was made, renamed or removed in the
        directories that could hold a reference since `quiet_since` (Unix seconds).
        """
        since = self.seen.setdefault(layer, time.monotonic())
        return time.monotonic() - since >= self.seconds or time.time() - quiet_since >= self.seconds

    def keep(self, layers: set[tuple[str, str]]) -> None:
        """Forget all but these."""
        for gone in self.seen.keys() - layers:
            del self.seen[gone]


def classify(
    root: DataRoot, shelf: Shelf, containers: list[Container], volumes: frozenset[str], grace: Grace
) -> list[Layer]:
    """Describe every layer that the shelf's driver has on disk; `containers` are those of this driver."""
    store = shelf.store
    owned = _of_containers(store, containers)
    data = volumes if store.driver.full_copies else frozenset()
    layers = [_image_layer(shelf, name) for name in store.names if name in shelf.entries]
    layers += [_layer(store, name, Use.CONTAINER, parents) for name, parents in owned.items()]
    rest = [name for name in store.names if name not in shelf.entries and name not in owned and name not in data]
    wanted = _referred(shelf, containers) if rest else set()
    quiet = _quiet_since(root, store) if rest else 0.0
    waiting: set[tuple[str, str]] = set()
    for name in rest:
        orphaned = False
        if name not in wanted:
            key = (store.driver.name, name)
            waiting.add(key)
            orphaned = grace.over(key, max(quiet, _changed(root, (*store.driver.layers, name))))
        layers.append(_layer(store, name, Use.ORPHANED if orphaned else Use.PENDING, ()))
    grace.keep({key for key in grace.seen if key[0] != store.driver.name} | waiting)
    return sorted(layers, key=lambda layer: layer.id)


def _image_layer(shelf: Shelf, name: LayerId) -> Layer:
    entry = shelf.entries[name]
    if entry.size is not None:
        return _layer(shelf.store, name, Use.IMAGE, (), recorded=entry.size)
    return _layer(shelf.store, name, Use.IMAGE, (LayerId(entry.parent),) if entry.parent else ())


def _layer(
    store: LayerStore, name: LayerId, use: Use, parents: tuple[LayerId, ...], recorded: int | None = None
) -> Layer:
    place = store.place(name)
    changes = store.changes(name, parents) if recorded is None else None
    # A full copy whose parent is gone has no difference that could be taken.
    lost = bool(parents) and changes is None and not store.driver.sums_files
    return Layer(
        driver=store.driver.name,
        id=name,
        use=use,
        content=place.content if place else None,
        home=place.home if place else None,
        recorded_size=recorded,
        changes=changes,
        size_known=recorded is not None or (place is not None and not lost),
    )


def _of_containers(store: LayerStore, containers: list[Container]) -> Mapping[LayerId, tuple[LayerId, ...]]:
    """The layers that containers own, each with the layers to compare it with, nearest first."""
    owned: dict[LayerId, tuple[LayerId, ...]] = {}
    for container in containers:
        own, init = LayerId(container.id), LayerId(container.id + INIT)
        image = (LayerId(container.image_id),) if container.image_id else ()
        owned |= {own: (init, *image), init: image}
    return {name: parents for name, parents in owned.items() if name in store.names}


def _referred(shelf: Shelf, containers: list[Container]) -> set[str]:
    """The ids that something names as a layer it stands on, also where the graph has lost them."""
    wanted = set(shelf.missing)
    for container in containers:
        wanted.update(shelf.store.listed_parents(LayerId(container.id)))
        wanted.update(() if container.image_id is None else (container.image_id,))
    for image in shelf.entries:
        parent = shelf.entries[image].parent
        if parent is not None and parent not in shelf.entries:
            wanted.add(parent)
            wanted.update(shelf.store.listed_parents(LayerId(image)))
    if shelf.store.driver.name == "overlay":
        lowers = (shelf.store.lower(name) for name in shelf.store.names if is_id(name.removesuffix(INIT)))
        wanted.update(lower[1] for lower in lowers if lower is not None)
    return wanted


def _quiet_since(root: DataRoot, store: LayerStore) -> float:
    """When a reference may last have come or gone; a download that is under way may still bring one."""
    latest = max(
        _changed(root, tree)
        for tree in (
            GRAPH,
            ("containers",),
            ("volumes",),
            (f"repositories-{store.driver.name}",),
            store.driver.layers,
        )
    )
    try:
        downloads = root.names((*GRAPH, DOWNLOADS))
    except OSError:
        return latest
    for name in downloads:
        started = _changed(root, (*GRAPH, DOWNLOADS, name))
        if time.time() - started < _STALE_DOWNLOAD_SECONDS:
            return time.time()
    return latest


def _changed(root: DataRoot, tree: tuple[str, ...]) -> float:
    try:
        status = root.lstat(tree)
    except OSError:
        return 0.0
    return max(status.st_mtime, status.st_ctime)
