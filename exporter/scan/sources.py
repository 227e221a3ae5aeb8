"""Which trees have hard links to files of other trees, as far as the graph driver tells."""

from collections.abc import Iterator
from itertools import pairwise

from exporter.core.measured import Tree
from exporter.core.model import Inventory, LayerKey, Use
from exporter.inventory.drivers import driver_named


def sources(inventory: Inventory) -> Iterator[tuple[Tree, frozenset[Tree]]]:
    """The layers with hard links to files of their parents, each with the trees of these.

    An orphaned layer may have been made from any layer.
    """
    drivers = {name for name in inventory.drivers if driver_named(name).links_files}
    if not drivers:
        return
    linking = [one for one in inventory.layers if one.driver in drivers and one.content is not None]
    contents = {one.key: one.content for one in linking if one.content is not None}
    parents = {one.key: one.parent for one in linking if one.chain and one.parent}
    for image in inventory.images:
        parents.update((LayerKey(image.driver, layer), parent) for layer, parent in pairwise(image.layers))
    for layer, parent in parents.items():
        if layer in contents and (source := contents.get(LayerKey(layer.driver, parent))) is not None:
            yield contents[layer], frozenset([source])
    finished = frozenset(one.content for one in linking if one.content is not None and one.use is Use.IMAGE)
    for one in linking:
        if one.use is Use.ORPHANED and one.content is not None:
            yield one.content, finished


def unfinished(inventory: Inventory) -> frozenset[Tree]:
    """The trees of layers that are being made. They may have hard links to files of any tree."""
    drivers = {name for name in inventory.drivers if driver_named(name).links_files}
    made = (one for one in inventory.layers if one.driver in drivers and one.use is Use.PENDING) if drivers else ()
    return frozenset(tree for one in made for tree in one.trees)
