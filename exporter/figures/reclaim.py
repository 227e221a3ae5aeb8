"""What a clean-up would free, and what belongs to no object: pure functions of a `Snapshot`.

The categories are removed one after the other, in the order of `docker system prune`, each as Docker's own prune would
do it, so they are disjoint. Docker 20.10: daemon/images/image_prune.go and image_delete.go, daemon/prune.go,
volume/service/service.go (Prune).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.core.measured import Tree
from exporter.core.model import Filesystem, Snapshot
from exporter.figures.clean_up import CleanUp, Freed
from exporter.figures.filesystems import by_filesystem
from exporter.figures.prunes import Category
from exporter.figures.sizes import disjoint


@dataclass(frozen=True, slots=True)
class Reclaim:
    """All categories, and the bytes below the root that belong to no object.

    `elsewhere`: the bytes that all of them free on other filesystems than the root's own.
    """

    freed: Mapping[Category, Freed]
    unattributed: int | None
    elsewhere: Mapping[Filesystem, int] = field(default_factory=dict)


def reclaim(snapshot: Snapshot) -> Reclaim:
    """Work out what each prune would free."""
    clean_up = CleanUp(snapshot)
    clean_up.run()
    by_stage: dict[Category | None, list[Tree]] = defaultdict(list)
    rest: list[Tree] = []
    for tree in snapshot.measured:
        owner = _owner(clean_up.owners, tree)
        (rest if owner is None else by_stage[clean_up.owners[owner]]).append(tree)
    # An inode is freed with its last link, so what is removed last is added first. One that an object has a link to,
    # too, counts for the object.
    stages: list[Category | None] = [None, *reversed(Category)]
    groups = [*(by_stage[stage] for stage in stages), [tree for tree in rest if snapshot.is_here(tree)]]
    *usages, unowned = disjoint([snapshot.measured[tree] for tree in trees] for trees in groups)
    freed = {
        category: clean_up.freed(category, usage.allocated)
        for category, usage in zip(stages, usages, strict=True)
        if category is not None
    }
    unattributed = unowned.allocated
    whole = not any(_owner(clean_up.owners, tree) is None for tree in snapshot.incomplete)
    several = len({*snapshot.places.values()}) > 1
    trees = (tree for stage, mine in by_stage.items() if stage is not None for tree in mine)
    elsewhere = by_filesystem(snapshot, trees if several else ())
    return Reclaim({category: freed[category] for category in Category}, unattributed if whole else None, elsewhere)


def _owner(owners: Mapping[Tree, Category | None], tree: Tree) -> Tree | None:
    """The innermost object's tree that a tree is or lies in."""
    if tree in owners:
        return tree
    return next((tree[:end] for end in range(len(tree) - 1, 0, -1) if tree[:end] in owners), None)
