"""What differs between two snapshots of one root.

Figures go from one snapshot to the next: what did not change is not worked out again. An object of the inventory that
did not change is the same Python object in both, and so is what was measured of a tree.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TypeVar

from exporter.core.kept import changed_keys
from exporter.core.measured import Measured, Tree
from exporter.core.model import BuildRecord, Container, ContainerId, Image, Layer, LayerKey, Snapshot, Volume
from exporter.core.splices import Change, change

V = TypeVar("V")


class Difference:
    """The differences between two snapshots, each found when it is first asked for."""

    def __init__(self, before: Snapshot, now: Snapshot) -> None:
        self.before = before
        self.now = now

    @cached_property
    def layers(self) -> Change[Layer]:
        """The layers that came and went."""
        return change(self.before.inventory.layers, self.now.inventory.layers)

    @cached_property
    def images(self) -> Change[Image]:
        """The images that came and went."""
        return change(self.before.inventory.images, self.now.inventory.images)

    @cached_property
    def containers(self) -> Change[Container]:
        """The containers that came and went."""
        return change(self.before.inventory.containers, self.now.inventory.containers)

    @cached_property
    def volumes(self) -> Change[Volume]:
        """The volumes that came and went."""
        return change(self.before.inventory.volumes, self.now.inventory.volumes)

    @cached_property
    def records(self) -> Change[BuildRecord]:
        """The build records that came and went."""
        return change(self.before.inventory.build_cache.records, self.now.inventory.build_cache.records)

    @cached_property
    def trees(self) -> set[Tree]:
        """The trees that were measured again with another result, or only before, or only now, or whole only then.

        So are those that are behind another mount than before, or behind none: each container that runs has mounts.
        """
        trees = {*changed_keys(self.now.measured, self.before.measured)} | (
            self.now.incomplete ^ self.before.incomplete
        )
        if mounts := self.before.mounts ^ self.now.mounts:
            lengths = sorted({len(one) for one in mounts})
            trees.update(
                tree
                for tree in self.now.measured
                if len(tree) >= lengths[0] and any(tree[:length] in mounts for length in lengths)
            )
        return trees

    def touched(self, places: Mapping[Tree, V]) -> list[V]:
        """What there is at the `trees` that differ."""
        trees = self.trees
        if len(places) < len(trees):
            return [one for tree, one in places.items() if tree in trees]
        return [places[tree] for tree in trees if tree in places]

    @cached_property
    def logs(self) -> set[ContainerId]:
        """The containers whose log has another size."""
        before, now = self.before.logs, self.now.logs
        return {key for key in changed_keys(now, before) if before.get(key) != now.get(key)}

    @cached_property
    def sizes(self) -> set[LayerKey]:
        """The layers whose size by comparison is another one."""
        before, now = self.before.differences, self.now.differences
        if before == now:
            return set()
        return {key for key in before.keys() | now.keys() if before.get(key) != now.get(key)}

    def measured(self, trees: Iterable[Tree]) -> tuple[list[tuple[Tree, Measured]], list[tuple[Tree, Measured]]]:
        """What was measured of these trees before, and what is now."""
        wanted = trees if isinstance(trees, set) else {*trees}
        if not self.before.measured and self.now.measured.keys() <= wanted:  # the first snapshot
            return [], [*self.now.measured.items()]
        before, now = (
            [(one, known) for one, known in zip(wanted, map(measured.get, wanted), strict=True) if known is not None]
            if measured
            else []
            for measured in (self.before.measured, self.now.measured)
        )
        return before, now


def can_go_on(before: Snapshot, now: Snapshot) -> bool:
    """Whether the figures of a snapshot can be made of those of another one: nothing that all depend on has changed.

    Trees that were missing may be there now, as in a first scan.
    """
    return _conditions(before) == _conditions(now) and now.incomplete <= before.incomplete


def blank(snapshot: Snapshot) -> Snapshot:
    """A snapshot of the same root in which nothing is."""
    return Snapshot(
        snapshot.root,
        snapshot.taken,
        device=snapshot.device,
        mounts=snapshot.mounts,
        subvolumes=snapshot.subvolumes,
        further=snapshot.further,
        places=snapshot.places,
    )


def _conditions(one: Snapshot) -> tuple[object, ...]:
    inventory = one.inventory
    return (
        *(one.root, one.device, one.subvolumes, one.further, one.places),
        *(inventory.drivers, inventory.layouts, inventory.directories, inventory.further, inventory.elsewhere),
    )
