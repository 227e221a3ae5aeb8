"""Which input of the figures each thing belongs to that could not be read."""

import time
from collections.abc import Iterable

from exporter.core.area import DRIVER, FURTHER, Area
from exporter.core.data_root import DataRoot
from exporter.core.knowledge import Gap, Input, Knowledge
from exporter.core.measured import Tree
from exporter.core.model import Collector
from exporter.inventory import drivers
from exporter.inventory.areas import CONTAINERS, table
from exporter.inventory.files.problems import Unread
from exporter.inventory.files.reader import is_id
from exporter.inventory.layouts.claims import changed

#: What was written to within this time may be on its way.
_YOUNG_SECONDS = 2.0
#: For a path that is in no area with an input: then the reader's collector tells.
_BY_COLLECTOR = {
    Collector.CONTAINERS: Input.CONTAINER_CONFIGS,
    Collector.IMAGES: Input.IMAGE_CONFIGS,
    Collector.VOLUMES: Input.VOLUMES,
    Collector.BUILD_CACHE: Input.BUILD_CACHE,
}


def knowledge(unread: Iterable[Unread]) -> Knowledge:
    """Make the knowledge of a reading from all that was not read in it."""
    return Knowledge.of(gap for one in unread if (gap := _gap(one)) is not None)


def _gap(unread: Unread) -> Gap | None:
    area = table().of(unread.tree)
    deeper = unread.tree[len(area.path) :]
    source = unread.input or (area.entry_input if deeper and area.entry_input else area.input)
    source = source or _BY_COLLECTOR.get(unread.collector)
    if source is None:
        return None
    driver = unread.driver or _driver(area, unread.tree)
    path, object_id = "/".join(unread.tree) or ".", unread.object_id or "".join(deeper[:1])
    return Gap(source, path, unread.why, driver, object_id, unread.damaged)


def _driver(area: Area, tree: Tree) -> str:
    """The graph driver whose part of the root a path lies in; "" where it belongs to all."""
    for name, known in zip(tree, area.path, strict=False):
        beginning, variable, _ = known.partition(DRIVER)
        if variable and known != FURTHER:
            return name.removeprefix(beginning)
    return next((one.name for one in drivers.DRIVERS if area in one.areas), "")


def unfinished_objects(root: DataRoot, unread: Iterable[Unread]) -> frozenset[Tree]:
    """The entries of objects that were not read whole and were written to just now: they may be coming or going.

    An engine makes the directory of a container before its configuration, and removes its layers before the directory.
    """
    now = time.time()
    young = [one for one in unread if _is_young(root, one.tree, now)]
    owners = ("".join(one.tree[1:2]) if one.tree[:1] == CONTAINERS.path else one.object_id for one in young)
    entries = {(*CONTAINERS.path, owner) for owner in owners if is_id(owner)}
    return frozenset((*entries, *(one.tree for one in young)))


def _is_young(root: DataRoot, tree: Tree, now: float) -> bool:
    """Whether an entry, or the directory that it is missing in, was written to just now."""
    return any(abs(now - changed(root, place)) < _YOUNG_SECONDS for place in (tree, tree[:-1]) if place)
