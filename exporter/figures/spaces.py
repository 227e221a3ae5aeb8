"""The drivers and namespaces in which a root has objects."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from exporter.core.counting import count
from exporter.core.model import Container, Image, Inventory, Layer
from exporter.figures.difference import Difference
from exporter.inventory.drivers import driver_named

#: A driver and a namespace of containerd, which is "" for other layouts.
Space = tuple[str, str]


class Spaces:
    """How many objects each driver has in each namespace. `states`: the containers by driver, namespace and state."""

    def __init__(self) -> None:
        self._objects: Counter[Space] = Counter()
        self.states: Counter[tuple[str, str, str]] = Counter()

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        for sign, layers, images, containers in (
            (-1, difference.layers.removed, difference.images.removed, difference.containers.removed),
            (1, difference.layers.added, difference.images.added, difference.containers.added),
        ):
            for objects in (_listed(layers), images, containers):
                count(self._objects, ((one.driver, one.namespace) for one in objects), sign)
            count(self.states, ((one.driver, one.namespace, one.state) for one in containers), sign)

    def spaces(self, inventory: Inventory) -> list[Space]:
        """The drivers of a root with the namespaces of containerd in which each has objects."""
        found: dict[str, set[str]] = defaultdict(set)
        for driver, namespace in self._objects:
            found[driver].add(namespace)
        return [
            (driver, namespace)
            for driver in inventory.drivers
            for namespace in sorted(found[driver] or {_default_namespace(inventory, driver)})
        ]

    def of_containers(self, inventory: Inventory, places: Iterable[Space]) -> list[Space]:
        """These spaces, and behind them those of containers of other drivers."""
        known = dict.fromkeys(places)
        if not known.keys() >= {(driver, namespace) for driver, namespace, _ in self.states}:
            known.update(dict.fromkeys((one.driver, one.namespace) for one in inventory.containers))
        return list(known)


def _listed(layers: Iterable[Layer]) -> Iterable[Layer | Image | Container]:
    """Snapshots of no namespace, which are being made or are left over, have no totals but those of layers."""
    return (one for one in layers if one.namespace or not one.by_blocks)


def _default_namespace(inventory: Inventory, driver: str) -> str:
    """Where the objects of a driver will be that has none yet."""
    content = inventory.content
    mixed = len(inventory.layouts) > 1 and driver_named(driver).layers
    return "" if content is None or mixed else content.engine
