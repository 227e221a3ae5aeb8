"""Tests of the sums of one tree."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.links import NO_LINKS, Links
from exporter.core.measured import Identity, Measured, Usage

#: A filesystem may say anything, and a cache file may hold anything.
_ANY = st.integers(-(2**70), 2**70)
_LINKS = st.sampled_from([NO_LINKS, Links.of({7: (1, 512, 2, 1)})])


@given(st.tuples(_ANY, _ANY, _ANY), _LINKS, _ANY, st.integers(0, 3))
def test_what_is_kept_of_a_tree_is_what_was_given(identity: Identity, links: Links, entries: int, mounts: int) -> None:
    one, same = (Measured(Usage(1, 512, 2), identity, links, entries, mounts) for _ in range(2))
    assert (one.identity, one.device) == (identity, identity[0])
    assert (one.links, one.entries, one.skipped_mounts) == (links, entries, mounts)
    assert one == same
    assert hash(one) == hash(same)


def test_trees_that_differ_in_one_number_are_not_equal() -> None:
    one = Measured(Usage(), (1, 2, 3), entries=4)
    others = [
        Measured(Usage(1), (1, 2, 3), entries=4),
        Measured(Usage(), (0, 2, 3), entries=4),
        Measured(Usage(), (1, 0, 3), entries=4),
        Measured(Usage(), (1, 2, 0), entries=4),
        Measured(Usage(), (1, 2, 3), entries=0),
        Measured(Usage(), (1, 2, 3), entries=4, skipped_mounts=1),
        Measured(Usage(), (1, 2, 3), Links.of({7: (1, 512, 2, 1)}), entries=4),
    ]
    assert one not in others
    assert one != "something else"


def test_a_directory_that_changes_is_not_as_it_was(tmp_path: Path) -> None:
    status = os.stat(tmp_path)
    one = Measured(Usage(), (status.st_dev, status.st_ino, status.st_ctime_ns))
    assert one.is_as_it_was(os.stat(tmp_path))
    other = Measured(Usage(), (status.st_dev, status.st_ino, status.st_ctime_ns + 1))
    assert not other.is_as_it_was(status)


def test_the_same_tree_with_other_sums_is_the_same_tree() -> None:
    one = Measured(Usage(5, 512, 2), (1, 2, 3), Links.of({7: (1, 512, 2, 1)}), 9, 1)
    assert one.counting(Usage(4, 512, 1), NO_LINKS) == Measured(Usage(4, 512, 1), (1, 2, 3), NO_LINKS, 9, 1)
