"""A first scan measures first what running containers write to."""

from exporter.core.model import ContainerState, Inventory, LayerId, Use
from exporter.scan.in_use import written_now
from exporter.scan.measurements import Measurements
from tests.support.snapshots import container, layer, volume


def test_trees_of_containers_that_run_or_may_run_come_first() -> None:
    states = {"a": ContainerState.EXITED, "m": ContainerState.UNKNOWN, "z": ContainerState.RUNNING}
    inventory = Inventory(
        layers=(layer("base"), *(layer(name, Use.CONTAINER) for name in states)),
        containers=tuple(
            container(name, state=state, layer=LayerId(name), volumes=(f"of-{name}", "shared"))
            for name, state in states.items()
        ),
        volumes=tuple(map(volume, ("nobody", "of-a", "of-z", "shared"))),
    )
    first = {("overlay2", "m"), ("overlay2", "z"), ("volumes", "of-z", "_data"), ("volumes", "shared", "_data")}
    assert written_now(inventory) == first
    trees = [one.content for one in inventory.layers if one.content] + [
        one.tree for one in inventory.volumes if one.tree
    ]
    tasks = Measurements().tasks(trees, (), 1.0, first=first)
    assert [task.tree for task in tasks] == [*sorted(first), *sorted({*trees} - first)]
