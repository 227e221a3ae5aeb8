"""Which trees running containers write to: a first scan measures these before all others."""

from exporter.core.measured import Tree
from exporter.core.model import Inventory, LayerKey


def written_now(inventory: Inventory) -> set[Tree]:
    """The trees of the writable layers and volumes of containers that run, or may run."""
    running = [one for one in inventory.containers if one.runs is not False]
    layers = {LayerKey(one.driver, one.layer) for one in running if one.layer is not None}
    volumes = {mount.source for one in running for mount in one.mounts if mount.kind == "volume"}
    trees = {tree for one in inventory.layers if one.key in layers for tree in one.trees}
    return trees | {one.tree for one in inventory.volumes if one.name in volumes and one.tree is not None}
