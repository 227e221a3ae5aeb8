"""Files with several links in one tree and in its parts: each counts once, and what is known of the others is kept."""

import os
from collections.abc import Iterable

import pytest

from exporter.core.measured import Usage
from exporter.measure import total as module
from exporter.measure.total import TooManyLinksError, Total
from tests.support.totals import sent

_IDENTITY = (1, 2, 3)


def _status(inode: int, links: int, size: int = 100, blocks: int = 8) -> os.stat_result:
    made = os.stat_result((0o100644, inode, 1, links, 0, 0, size, 0, 0, 0), {"st_blocks": blocks})
    assert (made.st_ino, made.st_nlink, made.st_size, made.st_blocks) == (inode, links, size, blocks)
    return made


def _met(total: Total, links: Iterable[tuple[int, int]]) -> list[bool]:
    """Meet links, each given as (inode, links that it has), as a walk does; say which of them counted."""
    counted = []
    for inode, links_it_has in links:
        first = total.first_link(_status(inode, links_it_has))
        if first:
            total.size, total.blocks, total.inodes = total.size + 100, total.blocks + 8, total.inodes + 1
        counted.append(first)
    return counted


def _usage(total: Total) -> Usage:
    return total.result(_IDENTITY).usage


def test_only_the_first_link_counts_also_when_one_was_made_during_the_walk() -> None:
    total = Total()
    assert _met(total, [(7, 2), (7, 2), (7, 3), (8, 3), (8, 3)]) == [True, False, False, True, False]
    assert _usage(total) == Usage(200, 8192, 2)


def test_an_inode_with_links_elsewhere_is_told_with_how_many_it_has_and_how_many_were_seen() -> None:
    total = Total()
    _met(total, [(9, 3), (7, 2), (7, 2), (8, 5), (9, 3)])
    links = total.result(_IDENTITY).links
    assert [*links.counts()] == [(8, 5, 1), (9, 3, 2)]
    assert dict(links.items()) == {8: (100, 4096), 9: (100, 4096)}


def test_parts_know_together_that_all_links_were_seen() -> None:
    one, other = Total(), Total()
    _met(one, [(7, 3), (7, 3)])
    _met(other, [(7, 3)])
    one.join(other)
    assert _usage(one) == Usage(100, 4096, 1)
    assert not one.result(_IDENTITY).links
    late = Total()
    _met(late, [(7, 4)])
    one.join(late)
    assert _usage(one) == Usage(100, 4096, 1), "a link that was made meanwhile is of a file that has counted"


def test_parts_that_have_not_seen_all_links_together_keep_the_sum() -> None:
    one, other = Total(), Total()
    _met(one, [(7, 4)])
    _met(other, [(7, 4), (7, 4), (8, 2)])
    one.join(other)
    assert _usage(one) == Usage(200, 8192, 2)
    assert [*one.result(_IDENTITY).links.counts()] == [(7, 4, 3), (8, 2, 1)]
    assert [*other.result(_IDENTITY).links.counts()] == [(7, 4, 2), (8, 2, 1)], "the part stays what it was"


@pytest.mark.parametrize("turned", [False, True])
def test_a_part_in_which_all_links_were_seen_counts_for_the_other(turned: bool) -> None:
    whole, early = Total(), Total()
    _met(whole, [(7, 2), (7, 2)])
    _met(early, [(7, 3)])  # met when a third link was there for a moment
    one, other = (early, whole) if turned else (whole, early)
    one.join(other)
    assert _usage(one) == Usage(100, 4096, 1)
    assert not one.result(_IDENTITY).links


def test_everything_else_is_added_up() -> None:
    one = Total(size=1, blocks=2, inodes=3, entries=4, skipped_mounts=5)
    one.join(Total(size=10, blocks=20, inodes=30, entries=40, skipped_mounts=50))
    measured = one.result(_IDENTITY)
    assert measured.usage == Usage(11, 22 * 512, 33)
    assert (measured.identity, measured.entries, measured.skipped_mounts) == (_IDENTITY, 44, 55)


def test_what_is_sent_is_what_arrives_and_alone_without_the_inodes_that_need_no_more_looking_at() -> None:
    links = [(7, 2), (7, 2), (8, 2)]
    totals = [Total(1, 2, 3, 4, 5) for _ in range(3)]
    for total in totals:
        _met(total, links)
    there, alone, here = sent(totals[0]), sent(totals[1], alone=True), totals[2]
    for total in (there, alone, here):
        late = Total()
        _met(late, [(7, 3)])
        total.join(late)
    assert there.result(_IDENTITY) == here.result(_IDENTITY)
    assert alone.result(_IDENTITY).usage.inodes == here.result(_IDENTITY).usage.inodes + 1


def test_a_tree_with_more_links_than_are_remembered_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINKS", 3)
    total = Total()
    _met(total, [(6, 2), (6, 2), (7, 2), (8, 2), (8, 2)])
    total.settle()
    _met(total, [(9, 2)])
    with pytest.raises(TooManyLinksError):
        total.settle()
    one, other = Total(), Total()
    _met(one, [(6, 2), (7, 2), (7, 2)])
    _met(other, [(6, 2), (7, 3), (8, 2)])
    one.join(other)
    one.settle()
    late = Total()
    _met(late, [(9, 2)])
    one.join(late)
    with pytest.raises(TooManyLinksError):
        one.settle()
