"""The trees of objects that can grow without an event, from one inventory to the next.

Each has an area, with which its age is served, or "", and is `active` where something that runs may write to it.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import chain

from exporter.core.counting import count
from exporter.core.measured import Tree
from exporter.core.model import Container, Inventory, Layer, LayerId, LayerKey, Use, Volume
from exporter.core.splices import Change, change
from exporter.inventory.areas import CONTAINERS, VOLUMES, table
from exporter.inventory.drivers import INIT
from exporter.inventory.files.reader import is_id
from exporter.scan.plan import Plan

#: The area of a tree, and whether it is active.
How = tuple[str, bool]


class Growing:
    """How each tree can grow."""

    def __init__(self) -> None:
        self._plan = Plan()
        self._failed: frozenset[Tree] = frozenset()
        self._before = Inventory()
        self._running = _Running()
        #: What containers and volumes say of their trees, and what layers say of theirs, which counts more.
        self._objects: dict[Tree, How] = {}
        self._layers: dict[Tree, How] = {}
        #: By driver and id, the layers that can grow.
        self._growing: dict[str, dict[LayerId, Layer]] = {}

    def update(self, plan: Plan, inventory: Inventory, failed: frozenset[Tree]) -> set[Tree]:
        """Come to another plan and inventory; return the trees that may grow in another way now.

        `failed`: trees that could not be measured. They can grow, too.
        """
        touched = self._come_to_plan(plan) | (failed ^ self._failed)
        self._failed = failed
        containers = change(self._before.containers, inventory.containers)
        volumes = change(self._before.volumes, inventory.volumes)
        layers = change(self._before.layers, inventory.layers)
        live, mounted = self._running.update(containers)
        touched.update(self._of_containers(containers), self._of_volumes(volumes, mounted, inventory))
        touched.update(self._of_layers(layers, live))
        self._before = inventory
        return touched

    def how(self, tree: Tree) -> How | None:
        """How a tree of the plan can grow; None where it cannot."""
        if tree not in self._plan.trees:
            return None
        found = self._layers.get(tree) or self._objects.get(tree)
        return found or (("", True) if tree in self._failed or self._grows_by_area(tree) else None)

    def _grows_by_area(self, tree: Tree) -> bool:
        """Whether a tree of the plan can grow without an event, as far as the table of areas tells."""
        if tree in self._plan.immutable:
            return False
        area = table().around(tree)
        return area.audited and not (area.immutable and is_id(tree[len(area.path)]))

    def trees_of(self, key: LayerKey) -> tuple[Tree, ...]:
        """The trees of a layer that can grow."""
        layer = self._layer(key)
        return () if layer is None else layer.trees

    def _layer(self, key: LayerKey) -> Layer | None:
        return self._growing.get(key.driver, {}).get(key.id)

    def _come_to_plan(self, plan: Plan) -> set[Tree]:
        since, self._plan = plan.since(self._plan), plan
        return {*since.gained, *since.lost, *since.settled, *since.loosened}

    def _of_containers(self, containers: Change[Container]) -> Iterator[Tree]:
        for one in containers.removed:
            for tree in _trees_of(one):
                self._objects.pop(tree, None)
                yield tree
        for one in containers.added:
            for tree in _trees_of(one):
                self._objects[tree] = _how("", one.runs is not False)
                yield tree

    def _of_volumes(self, volumes: Change[Volume], mounted: set[str], inventory: Inventory) -> Iterator[Tree]:
        """`mounted`: the names of volumes that something that runs has begun or ceased to mount."""
        for one in volumes.removed:
            for tree in filter(None, ((*VOLUMES.path, one.name), one.tree)):
                self._objects.pop(tree, None)
                yield tree
        moved = [one for one in inventory.volumes if one.name in mounted] if mounted else []
        for one in (*volumes.added, *moved):
            self._objects[*VOLUMES.path, one.name] = _how("", False)
            yield (*VOLUMES.path, one.name)
            if one.tree is not None:
                self._objects[one.tree] = _how("volumes", one.name in self._running.mounted)
                yield one.tree

    def _of_layers(self, layers: Change[Layer], live: set[LayerKey]) -> Iterator[Tree]:
        """`live`: the layers that something that runs has begun or ceased to write to."""
        for layer in layers.removed:
            self._growing.get(layer.driver, {}).pop(layer.id, None)
            for tree in layer.trees:
                self._layers.pop(tree, None)
                yield tree
        grow = [one for one in layers.added if not (one.use is Use.IMAGE or one.chain or one.committed)]
        for one in grow:
            self._growing.setdefault(one.driver, {})[one.id] = one
        moved = [one for one in map(self._layer, live) if one is not None]
        for layer in (*grow, *moved):
            active = layer.key in self._running.layers or layer.use in (Use.PENDING, Use.BUILD_CACHE)
            area = "containers" if layer.use is Use.CONTAINER and not (layer.name or layer.id).endswith(INIT) else ""
            self._layers.update(dict.fromkeys(layer.trees, _how(area, active)))
            yield from layer.trees


class _Running:
    """The layers and the volumes that something that runs may write to, and how many containers do."""

    def __init__(self) -> None:
        self.layers = Counter[LayerKey]()
        self.mounted = Counter[str]()

    def update(self, containers: Change[Container]) -> tuple[set[LayerKey], set[str]]:
        """Take in what has changed; return the layers and the volumes of these containers."""
        layers, mounted = set[LayerKey](), set[str]()
        for some, by in ((containers.removed, -1), (containers.added, 1)):
            for one in (one for one in some if one.runs is not False):
                keys = [] if one.layer is None else [LayerKey(one.driver, one.layer)]
                names = [mount.source for mount in one.mounts if mount.kind == "volume"]
                count(self.layers, keys, by)
                count(self.mounted, {*names}, by)
                layers.update(keys)
                mounted.update(names)
        return layers, mounted


@cache
def _how(area: str, active: bool) -> How:
    """The same object each time: there are few, and a tree of each for thousands of layers."""
    return area, active


def _trees_of(container: Container) -> Iterator[Tree]:
    return chain(((*CONTAINERS.path, container.id),), filter(None, (container.checkpoints,)))
