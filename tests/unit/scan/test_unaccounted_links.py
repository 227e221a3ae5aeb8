"""Links that a tree measured earlier does not know of: which inodes have them, and what is left without those."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.measured import Measured, Tree, Usage
from exporter.scan import hard_links
from exporter.scan.hard_links import gained_links, without_unaccounted
from tests.support.snapshots import ELSEWHERE, shared, tree

_OLD: Tree = ("overlay", "old")
_NEW: Tree = ("overlay", "new")
_THIRD: Tree = ("overlay", "third")


def unaccounted(measured: dict[Tree, Measured], trees: list[Tree]) -> dict[Tree, set[int]]:
    """The numbers of the inodes."""
    return {tree: {*dict(links.items())} for tree, links in hard_links.unaccounted(measured, trees).items()}


def test_an_inode_is_accounted_for_when_all_its_links_were_seen() -> None:
    new = tree(10, {7: shared(10, links=3)})
    assert unaccounted({_NEW: new}, [_NEW]) == {_NEW: {7}}
    assert unaccounted({_NEW: new, _OLD: tree(10, {7: shared(10, links=2, seen=1)})}, [_NEW]) == {_NEW: {7}}
    assert unaccounted({_NEW: new, _OLD: tree(10, {7: shared(10, links=2, seen=2)})}, [_NEW]) == {}


def test_the_highest_count_of_links_stands_whichever_tree_has_it() -> None:
    """A link was made between the measuring of two trees: the later of them knows of it."""
    early, late = tree(10, {7: shared(10, links=2)}), tree(10, {7: shared(10, links=3)})
    for trees in ([_OLD, _NEW], [_NEW, _OLD]):
        assert unaccounted({_OLD: early, _NEW: late}, trees) == {_OLD: {7}, _NEW: {7}}
        assert unaccounted({_OLD: late, _NEW: early}, trees) == {_OLD: {7}, _NEW: {7}}


def test_links_on_two_filesystems_are_of_two_files() -> None:
    new = tree(10, {7: shared(10, links=2)})
    elsewhere = tree(10, {7: shared(10, links=2)}, device=ELSEWHERE)
    assert unaccounted({_NEW: new, _OLD: elsewhere}, [_NEW]) == {_NEW: {7}}
    assert unaccounted({_NEW: new, _OLD: elsewhere}, [_NEW, _OLD]) == {_NEW: {7}, _OLD: {7}}


def test_only_the_trees_that_are_asked_about_are_judged() -> None:
    measured = {_NEW: tree(10, {7: shared(10)}), _OLD: tree(10, {8: shared(10)}), _THIRD: tree(5)}
    assert unaccounted(measured, [_NEW, _THIRD]) == {_NEW: {7}}
    assert unaccounted(measured, [_THIRD]) == {}
    assert unaccounted(measured, []) == {}


def test_a_tree_counts_without_the_inodes_that_another_one_counts_as_its_own() -> None:
    new = tree(1110, {7: shared(10), 8: shared(100)}, inodes=5)
    measured = {_NEW: new, _OLD: tree(100, {8: shared(100)})}
    found = measured | without_unaccounted(measured, [_NEW])
    assert found[_OLD] == measured[_OLD]
    assert found[_NEW].usage == Usage(1100, 2200, 4)
    assert [*dict(found[_NEW].links.items())] == [8]
    assert (found[_NEW].identity, found[_NEW].entries) == (new.identity, 5)
    assert without_unaccounted(measured, []) == {}


_INODES = st.sets(st.integers(1, 6))


@given(st.none() | _INODES, _INODES, st.integers(2, 3))
def test_a_tree_gains_links_when_one_of_its_inodes_has_links_elsewhere_for_the_first_time(
    before: set[int] | None, now: set[int], links: int
) -> None:
    known = None if before is None else tree(0, {inode: shared(0) for inode in before})
    found = tree(0, {inode: shared(0, links=links) for inode in now})
    assert gained_links(known, found) == bool(now - (before or set()))
    assert not gained_links(known, None)
