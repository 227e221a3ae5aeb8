"""What volumes hold, and how many containers mount each."""

from collections import Counter
from collections.abc import Iterable

from exporter.core.counting import count
from exporter.core.measured import Tree, Usage
from exporter.core.model import Container, Volume
from exporter.figures.difference import Difference


class VolumeFigures:
    """`usages` has what each volume holds, by name; None if its data could not be measured. `users`: its containers.

    `changed` are the volumes of which one of both may be another one than in the snapshot before. `states`: how many
    volumes are mounted by a container or not, and are anonymous or not.

    Not `sound`: two volumes have one name, or one tree.
    """

    def __init__(self) -> None:
        self.usages: dict[str, Usage | None] = {}
        self.users: Counter[str] = Counter()
        self.states: Counter[tuple[bool, bool]] = Counter()
        self.sound = True
        self.changed: list[Volume] = []
        self._of_tree: dict[Tree, Volume] = {}

    def advance(self, difference: Difference) -> None:
        """Go on to the next snapshot."""
        volumes = difference.volumes
        for one in volumes.removed:
            del self.usages[one.name]
            if one.tree is not None:
                del self._of_tree[one.tree]
        for one in volumes.added:
            self.sound &= one.name not in self.usages and one.tree not in self._of_tree
            self.usages[one.name] = None
            if one.tree is not None:
                self._of_tree[one.tree] = one
        changed = difference.touched(self._of_tree)
        for one in (*volumes.added, *changed):
            measured = difference.now.whole(one.tree)
            self.usages[one.name] = measured.usage if measured else None
        gone, come = _mounted(difference.containers.removed), _mounted(difference.containers.added)
        moved, new = {*gone, *come}, {one.name for one in volumes.added}
        again = [one for one in difference.now.inventory.volumes if moved and one.name in moved]
        stayed = [one for one in again if one.name not in new]
        count(self.states, map(self._state, (*volumes.removed, *stayed)), -1)
        count(self.users, gone, -1)
        count(self.users, come, 1)
        count(self.states, map(self._state, (*volumes.added, *stayed)), 1)
        self.changed = [*changed, *again]

    def _state(self, one: Volume) -> tuple[bool, bool]:
        return self.users[one.name] > 0, one.anonymous


def _mounted(containers: Iterable[Container]) -> list[str]:
    """The volumes that these containers mount, once for each container."""
    each = ({mount.source for mount in one.mounts if mount.kind == "volume"} for one in containers)
    return [name for names in each for name in names]
