"""Counts of objects that come and go."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.counting import Counted


@given(st.lists(st.lists(st.integers(0, 200), unique=True, max_size=40).map(sorted), max_size=6))
def test_kinds_are_counted_as_if_anew(sequences: list[list[int]]) -> None:
    counted = Counted[int, int]()
    for objects in sequences:
        assert counted.update([*objects], lambda one: one % 3) == Counter(one % 3 for one in objects)
