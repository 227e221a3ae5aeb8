"""What the graph layout needs of each layer, and how Docker would size it."""

import time
from collections.abc import Iterator, Mapping

from exporter.core.data_root import DataRoot
from exporter.core.model import Container, Layer, LayerId, Use
from exporter.inventory.drivers import INIT
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import is_id
from exporter.inventory.layouts.claims import Claims, changed
from exporter.inventory.layouts.graph import DOWNLOADS, GRAPH, GraphStore

_STALE_DOWNLOAD_SECONDS = 24 * 3600


def claim(root: DataRoot, shelf: GraphStore, containers: list[Container], claims: Claims) -> None:
    """Claim the layers of the shelf's images and of `containers`, which are those of this driver."""
    store = shelf.store
    found = {name: _image_layer(shelf, name) for name in store.names if name in shelf.entries}
    for name, parents in _of_containers(store, containers).items():
        found.setdefault(name, describe(store, name, Use.CONTAINER, parents))
    claims.add(found)
    claims.pending |= _referred(shelf, containers)
    claims.references += [GRAPH, ("containers",), ("volumes",), (f"repositories-{store.driver.name}",)]
    claims.doubts.append(lambda: _downloads(root))


def _image_layer(shelf: GraphStore, name: LayerId) -> Layer:
    entry = shelf.entries[name]
    if entry.size is not None:
        return describe(shelf.store, name, Use.IMAGE, (), recorded=entry.size)
    return describe(shelf.store, name, Use.IMAGE, (LayerId(entry.parent),) if entry.parent else ())


def describe(
    store: LayerStore, name: LayerId, use: Use, parents: tuple[LayerId, ...], recorded: int | None = None
) -> Layer:
    """Describe one layer that is compared with `parents`, nearest first, where Docker compares."""
    place = store.place(name)
    changes = store.changes(name, parents) if recorded is None else None
    # A full copy whose parent is gone has no difference that could be taken.
    lost = bool(parents) and changes is None and not store.driver.sums_files
    link = store.link(name)
    return Layer(
        driver=store.driver.name,
        id=name,
        use=use,
        content=place.content if place else None,
        home=place.home if place else None,
        recorded_size=recorded,
        changes=changes,
        size_known=recorded is not None or (place is not None and not lost),
        parent=parents[-1] if parents else None,
        metadata=(link,) if link else (),
    )


def _of_containers(store: LayerStore, containers: list[Container]) -> Mapping[LayerId, tuple[LayerId, ...]]:
    """The layers that containers own, each with the layers to compare it with, nearest first."""
    owned: dict[LayerId, tuple[LayerId, ...]] = {}
    for container in containers:
        own, init = LayerId(container.id), LayerId(container.id + INIT)
        image = (LayerId(container.image_id),) if container.image_id else ()
        owned |= {own: (init, *image), init: image}
    return {name: parents for name, parents in owned.items() if name in store.names}


def _referred(shelf: GraphStore, containers: list[Container]) -> set[str]:
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


def _downloads(root: DataRoot) -> bool:
    """Whether a download may be under way: it may bring a reference to a layer that is there already."""
    try:
        names = root.names((*GRAPH, DOWNLOADS))
    except OSError:
        return False
    started = (changed(root, (*GRAPH, DOWNLOADS, name)) for name in names)
    return any(time.time() - one < _STALE_DOWNLOAD_SECONDS for one in started)


def missing_of_containers(shelf: GraphStore, containers: list[Container]) -> Iterator[str]:
    """The layers that containers need and that are gone, their own and their image's."""
    for container in containers:
        if container.going:
            continue
        if container.layer is None:
            yield container.id
        if container.image_id is not None and container.image_id not in shelf.entries:
            yield container.image_id
