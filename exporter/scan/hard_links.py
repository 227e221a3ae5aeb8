"""Hard links between trees that were not measured at the same time.

An inode that had one link when its tree was measured counts for that tree alone. If another tree gets a link to it
later, the inode would count twice until the first tree is measured again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from exporter.core.links import Links, Piece, Row, have_others, sweep
from exporter.core.measured import Measured, Tree, Usage


def unaccounted(measured: Mapping[Tree, Measured], trees: Collection[Tree]) -> dict[Tree, Links]:
    """By tree, the inodes with more links than all measured trees together have seen."""
    devices = {measured[tree].device for tree in trees if measured[tree].links.blocks}
    wanted, found = frozenset(trees), defaultdict[Tree, list[bytes]](list)
    for device in devices:
        here = [tree for tree, one in measured.items() if one.device == device and one.links.blocks]
        for pieces in sweep([measured[tree].links for tree in here]):
            asked = [piece for piece in pieces if here[piece.tree] in wanted]
            left = _left(pieces, asked)
            for piece in asked:
                found[here[piece.tree]] += Links.packed(row for row in piece.rows() if left[row[0]] > 0).blocks
    return {tree: Links(tuple(blocks)) for tree, blocks in found.items() if blocks}


def _left(pieces: Iterable[Piece], asked: Iterable[Piece]) -> dict[int, int]:
    """By inode of the trees that are asked about, how many links no tree has seen."""
    left: dict[int, int] = {}
    for piece in asked:
        for inode, links in zip(piece.inodes, piece.links, strict=True):
            left[inode] = max(links, left.get(inode, 0))
    for piece in pieces if left else ():
        for inode, seen in zip(piece.inodes, piece.seen, strict=True):
            if inode in left:
                left[inode] -= seen
    return left


def gained_links(before: Measured | None, now: Measured | None) -> bool:
    """Whether a tree has inodes with several links that it did not have at its last measurement."""
    if now is None or not now.links.blocks:
        return False
    return before is None or (now.links != before.links and have_others(now.links, before.links))


def without_unaccounted(measured: Mapping[Tree, Measured], trees: Collection[Tree]) -> dict[Tree, Measured]:
    """Those of `trees` that have `unaccounted` inodes, without these: another tree still counts them."""
    return {tree: _without(measured[tree], links) for tree, links in unaccounted(measured, trees).items()}


def _without(one: Measured, others: Links) -> Measured:
    size, allocated, inodes = _sums(others.rows())
    usage = Usage(one.usage.size - size, one.usage.allocated - allocated, one.usage.inodes - inodes)
    return one.counting(usage, one.links.without(others))


def _sums(rows: Iterable[Row]) -> tuple[int, int, int]:
    size = allocated = inodes = 0
    for row in rows:
        size, allocated, inodes = size + row[1], allocated + row[2], inodes + 1
    return size, allocated, inodes
