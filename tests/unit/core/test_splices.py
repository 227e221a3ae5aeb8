"""Two sequences of objects, compared by identity."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.splices import splice
from exporter.figures.difference import change

_SEQUENCES = st.lists(st.integers(0, 5), unique=True, max_size=6)


@given(_SEQUENCES, _SEQUENCES)
def test_what_is_outside_of_a_splice_is_the_same(before: list[int], now: list[int]) -> None:
    start, end_before, end_now = splice(before, now)
    assert before[:start] == now[:start]
    assert before[end_before:] == now[end_now:]
    assert before[:start] + now[start:end_now] + before[end_before:] == now
    if before == now:
        assert start == end_before == end_now == len(now)
    changed = change(before, now)
    assert set(changed.added) == set(now[start:end_now]) - set(before[start:end_before])
    assert set(changed.removed) == set(before[start:end_before]) - set(now[start:end_now])
