"""Packed links: what is taken apart is what was packed, and trees are gone through together in little memory."""

import tracemalloc
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core import links as module
from exporter.core.links import Links, Row, have_others, sweep

_NUMBER = st.integers(0, 255) | st.integers(0, 2**16) | st.integers(0, 2**64 - 1)
_TREE = st.dictionaries(_NUMBER, st.tuples(_NUMBER, _NUMBER, _NUMBER, _NUMBER), max_size=40)


@given(st.lists(_TREE, max_size=5), st.integers(1, 7), st.integers(1, 3))
def test_trees_are_gone_through_in_ranges_each_row_once(
    trees: list[dict[int, tuple[int, int, int, int]]], rows: int, sample: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", rows)
        patch.setattr(module, "_SAMPLE", sample)
        patch.setattr(module, "_SWEPT", 3 * sample)
        many = [Links.of(tree) for tree in trees]
        found: list[dict[int, list[int]]] = [{} for _ in trees]
        last = -1
        for pieces in sweep(many):
            assert [piece.tree for piece in pieces] == sorted(piece.tree for piece in pieces)
            assert min(piece.inodes[0] for piece in pieces) > last
            last = max(piece.inodes[-1] for piece in pieces)
            for piece in pieces:
                found[piece.tree].update({inode: numbers for inode, *numbers in piece.rows()})
        assert [{inode: [*numbers] for inode, numbers in one.items()} for one in trees] == found
        assert [Links.received(one.blocks) for one in many] == many


@given(_TREE, _TREE)
def test_what_is_in_one_and_not_in_others(
    one: dict[int, tuple[int, int, int, int]], other: dict[int, tuple[int, int, int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ROWS", 3)
        left = {inode: numbers for inode, numbers in one.items() if inode not in other}
        assert have_others(Links.of(one), Links.of(other)) == bool(left)
        assert Links.of(one).without(Links.of(other)) == Links.of(left)


def test_what_a_filesystem_says_and_no_number_can_be_is_made_to_fit() -> None:
    ((inode, numbers),) = Links.of({7: (-1, 2**70, 2, 1)}).items()
    assert (inode, numbers) == (7, (0, 2**64 - 1))


@pytest.mark.parametrize(
    "blocks",
    [
        [b""],
        [b"x" * 10],
        [b"x" * 100],
        [Links.of({7: (1, 2, 3, 1)}).blocks[0][:-1]],
        [Links.of({7: (1, 2, 3, 1)}).blocks[0] + b"x"],
        [*Links.of({7: (1, 2, 3, 1)}).blocks] * 2,
        [*Links.of({8: (1, 2, 3, 1)}).blocks, *Links.of({7: (1, 2, 3, 1)}).blocks],
        [module._HEAD.pack(2**64 - 1, 1, *[b"B"] * 5) + b"\1" * 5],
        [module._HEAD.pack(0, 2, *[b"B"] * 5) + b"\1" * 10],
        [module._HEAD.pack(0, 0, *[b"B"] * 5)],
        [module._HEAD.pack(0, 1, *[b"z"] * 5) + b"\1" * 5],
    ],
)
def test_what_are_no_blocks_of_links_is_refused(blocks: list[bytes]) -> None:
    with pytest.raises(ValueError, match=r"links|order|large"):
        Links.received(blocks)


def _row(inode: int) -> Row:
    return inode, 4096 + inode % 50_000, 4096 * (1 + inode % 13), 2, 1


def test_an_inode_takes_some_ten_bytes_and_many_trees_are_compared_without_unpacking_them() -> None:
    count = 100_000
    trees = [Links.packed(_row(inode) for inode in range(tree, 10 * count, 10)) for tree in range(2)] * 5
    assert sum(one.packed_size for one in trees) < 12 * 10 * count
    tracemalloc.start()
    try:
        seen = Counter(len({inode for piece in pieces for inode in piece.inodes}) > 0 for pieces in sweep(trees))
        assert tracemalloc.get_traced_memory()[1] < 20 * count
    finally:
        tracemalloc.stop()
    assert seen[True] > 50
