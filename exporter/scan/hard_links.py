"""Hard links between trees that were not measured at the same time.

An inode that had one link when its tree was measured counts for that tree alone. If another tree gets a link to it
later, the inode would count twice until the first tree is measured again.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace

from exporter.core.measured import Measured, Tree, Usage


def unaccounted(measured: Mapping[Tree, Measured], trees: Collection[Tree]) -> dict[Tree, set[int]]:
    """By tree, the inodes with more links than all measured trees together have seen."""
    left: dict[tuple[int, int], int] = {}
    for tree in trees:
        device = measured[tree].device
        for inode, links, _ in measured[tree].links.counts():
            left[device, inode] = max(links, left.get((device, inode), 0))
    if not left:
        return {}
    for one in measured.values():
        for inode, _, seen in one.links.counts():
            key = (one.device, inode)
            if key in left:
                left[key] -= seen
    found: dict[Tree, set[int]] = {}
    for tree in trees:
        device = measured[tree].device
        if inodes := {inode for inode in measured[tree].links.inodes() if left[device, inode] > 0}:
            found[tree] = inodes
    return found


def gained_links(before: Measured | None, now: Measured | None) -> bool:
    """Whether a tree has inodes with several links that it did not have at its last measurement."""
    if now is None or not now.links:
        return False
    return before is None or (now.links != before.links and not now.links.inodes() <= before.links.inodes())


def without_unaccounted(measured: Mapping[Tree, Measured], trees: Collection[Tree]) -> dict[Tree, Measured]:
    """All measured trees, but `trees` without their `unaccounted` inodes: another tree still counts these."""
    made = {tree: _without(measured[tree], inodes) for tree, inodes in unaccounted(measured, trees).items()}
    return {**measured, **made}


def _without(one: Measured, inodes: set[int]) -> Measured:
    usage = one.usage
    for inode, (size, allocated) in one.links.items():
        if inode in inodes:
            usage = Usage(usage.size - size, usage.allocated - allocated, usage.inodes - 1)
    return replace(one, usage=usage, links=one.links.without(inodes))
