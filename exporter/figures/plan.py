"""A plan that frees space step by step: what each step frees after those before it, see `figures.plan_order`."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from exporter.core.content import Hold, StoreNode, first_marks
from exporter.core.measured import Tree
from exporter.core.model import Container, Image, LayerId, LayerKey, Snapshot, Use, Volume
from exporter.figures.clean_up import is_unsized, orphaned_blobs
from exporter.figures.difference import Difference, blank
from exporter.figures.going import layers_of, trees_of
from exporter.figures.owners import BY_ITSELF, Owners
from exporter.figures.plan_order import Order, Step
from exporter.figures.prunes import Category


def plan(snapshot: Snapshot, skipped: Collection[Category]) -> list[Step]:
    """All steps, in their order. What a category that is `skipped` would remove stays."""
    order = Order(snapshot, frozenset(skipped))
    places = set(snapshot.places.values())
    frees = _freed(snapshot, order, snapshot)
    parts = {}
    if len(places) > 1:
        for place in places:
            here = {tree: one for tree, one in snapshot.measured.items() if snapshot.filesystem_of(tree) is place}
            parts[place] = _freed(snapshot, order, replace(snapshot, measured=here))
    return [
        replace(step, allocated=frees[at], elsewhere={place: one[at] for place, one in parts.items() if one[at] != 0})
        for at, step in enumerate(order.steps)
    ]


def _freed(snapshot: Snapshot, order: Order, counted: Snapshot) -> list[int | None]:
    """The bytes that each step frees of what is `counted`; None where that is not known."""
    owners = Owners(order.kept)
    unsized: set[int] = set()
    others: set[Tree] = set()
    for trees, number in (*_claims_of_objects(order), *_claims_of_layers(order, unsized)):
        owners.claim(trees, number)
    for trees, number in _claims_of_store(order, unsized):
        owners.claim(trees, number)
    for tree, number in _claims_of_others(order):
        owners.claim((tree,), number)
        others.add(tree)
    touched = owners.settle(Difference(blank(counted), counted))
    touched |= snapshot.measured.keys() if snapshot.incomplete else set()
    unknown = {owners.rank(tree) for tree in touched if owners.is_unknown(tree, snapshot, others)} | unsized
    unknown |= owners.unmeasured(snapshot)
    usages, _ = owners.usages()
    return [None if number in unknown else usages[number].allocated for number in range(order.kept)]


def _claims_of_objects(order: Order) -> Iterator[tuple[tuple[Tree, ...], int]]:
    """The trees of objects besides their layers."""
    objects: tuple[Container | Image | Volume, ...]
    objects = (*order.inventory.containers, *order.inventory.images, *order.inventory.volumes)
    for one in objects:
        yield trees_of(one), order.objects.get(id(one), order.kept)


def _claims_of_layers(order: Order, unsized: set[int]) -> Iterator[tuple[tuple[Tree, ...], int]]:
    """The layers of graph drivers: each goes with the last object that needs it."""
    last: dict[LayerKey, int] = {}
    for driver, layers, number in _needs(order):
        for layer in layers:
            key = LayerKey(driver, layer)
            last[key] = max(last.get(key, 0), number)
    orphans = order.kept if order.orphans is None else order.orphans
    for one in order.inventory.layers:
        if not one.namespace:
            number = orphans if one.use is Use.ORPHANED else last.get(one.key, order.kept)
            if is_unsized(one):
                unsized.add(number)
            yield (*one.trees, *one.metadata), number


def _needs(order: Order) -> Iterator[tuple[str, Iterable[LayerId], int]]:
    """Which layers objects need, and in which step the objects go."""
    inventory, kept = order.inventory, order.kept
    for container in inventory.containers:
        if not (container.unloaded and container.going):
            yield container.driver, layers_of(container), order.objects.get(id(container), kept)
    for image in inventory.images:
        if not (image.unloaded or image.namespace):
            yield image.driver, image.layers, order.objects.get(id(image), kept)
    for driver, layers in inventory.build_cache.holds.items():
        yield driver, layers, kept if order.builds is None else order.builds
    for driver, layers in inventory.build_cache.kept.items():
        yield driver, layers, kept
    for layer in inventory.layers:
        if layer.stays:
            yield layer.driver, (layer.id,), kept


def _claims_of_store(order: Order, unsized: set[int]) -> Iterator[tuple[tuple[Tree, ...], int]]:
    """The blobs and snapshots of containerd: each goes with the last root that keeps it."""
    content, layers = order.content, {one.key: one for one in order.inventory.layers if one.namespace}
    stages: dict[int, list[Hold]] = defaultdict(list)
    for at, hold in enumerate(content.holds):
        stages[order.roots.get(at, order.kept)].append(hold)
    marks = first_marks(content, sorted(stages.items(), reverse=True))
    orphans = _orphans(order)
    for node in content.trees.keys() | content.layers.keys():
        number = marks.get(node)
        if number is None:
            number = BY_ITSELF if node not in orphans or order.orphans is None else order.orphans
        key = content.layers.get(node)
        if key is not None and is_unsized(layers.get(key)):
            unsized.add(number)
        yield content.trees.get(node, ()), number


def _orphans(order: Order) -> set[StoreNode]:
    """The blobs and snapshots of containerd that nothing refers to."""
    layers = (one for one in order.inventory.layers if one.use is Use.ORPHANED and one.namespace)
    return {StoreNode(one.namespace, one.driver, one.name) for one in layers} | orphaned_blobs(order.content)


def _claims_of_others(order: Order) -> Iterator[tuple[Tree, int]]:
    """What is no object's: it stays, but for blobs that no namespace knows."""
    content, cache = order.content, order.inventory.build_cache
    orphans = order.kept if order.orphans is None else order.orphans
    for tree in dict.fromkeys((*cache.files, *cache.content, *content.files, *(one.tree for one in content.ingests))):
        yield tree, order.kept
    for blob in content.blobs.values():
        if blob.tree is not None and not blob.namespaces:
            yield blob.tree, orphans if blob.digest in content.orphaned else order.kept
