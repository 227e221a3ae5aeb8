"""Two sequences of objects, compared by identity."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.splices import Hunk, Mapped, Spliced, change, hunks, replaced, splice, with_equals

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


#: Equal numbers beyond 256 may be two objects, and are the same one here.
_OBJECTS = st.sampled_from([*range(2001)])
_LONG = st.lists(_OBJECTS, unique=True, max_size=400).map(sorted)


@given(st.one_of(_SEQUENCES, _LONG), st.sets(_OBJECTS, max_size=90), st.sets(st.integers(0, 400)))
def test_what_is_outside_of_all_hunks_is_the_same(before: list[int], come: set[int], gone: set[int]) -> None:
    left = [one for at, one in enumerate(before) if at not in gone]
    now = sorted({*left, *come}) if before == sorted(before) else [*left, *(come - {*left})]
    where = hunks(before, now)
    assert replaced(before, where, [now[one.start_now : one.end_now] for one in where]) == now
    nothing: list[list[int]] = [[] for _ in where]
    turned = [Hunk(one.start_now, one.end_now, one.start, one.end) for one in where]
    assert replaced(before, where, nothing) == replaced(now, turned, nothing)
    changed = change(before, now)
    assert set(changed.added) == {*now} - {*before}
    assert set(changed.removed) == {*before} - {*now}
    assert all(one.end > one.start or one.end_now > one.start_now for one in where)


def test_hunks_are_as_small_as_what_has_changed() -> None:
    before = [*range(100, 1100)]
    now = [*before[:10], 1, 2, *before[10:500], 3, *before[501:900], *before[902:], 4]
    assert hunks(before, now) == [
        (10, 10, 10, 12),
        (500, 501, 502, 503),
        (900, 902, 902, 902),
        (1000, 1000, 1000, 1001),
    ]


@given(st.lists(_SEQUENCES, max_size=6))
def test_a_value_is_made_once_for_each_object(sequences: list[list[int]]) -> None:
    mapped, made, before = Mapped[int, list[int]](), list[int](), dict[int, list[int]]()

    def make(one: int) -> list[int]:
        made.append(one)
        return [one]

    for now in sequences:
        made.clear()
        values = mapped.update([*now], make)
        assert [one for (one,) in values] == now
        assert sorted(made) == sorted(set(now) - before.keys())
        found = dict(zip(now, values, strict=True))
        assert all(found[one] is before[one] for one in found.keys() & before.keys())
        before = found


@given(st.lists(_SEQUENCES, min_size=1, max_size=6), st.booleans())
def test_what_a_sequence_knows_of_the_one_before_is_what_differs(sequences: list[list[int]], again: bool) -> None:
    """`again`: all objects are other ones each time, and some of them are equal to those before."""
    before: tuple[tuple[int], ...] = ()
    one_of = {one: (one,) for one in range(6)}
    for now in sequences:
        found = with_equals(tuple((one,) if again else one_of[one] for one in now), before, lambda one: one[0])
        where, compared = hunks(before, found), hunks([*before], [*found])
        assert replaced(before, where, [found[one.start_now : one.end_now] for one in where]) == [*found]
        assert list(where) == list(compared)
        assert where is hunks(before, found) or not isinstance(before, Spliced)
        before = found


def test_what_a_sequence_knows_is_not_taken_for_another_one() -> None:
    objects = [(one,) for one in range(9)]
    first = with_equals(tuple(objects), (), lambda one: one[0])
    second = with_equals(tuple(objects[1:]), first, lambda one: one[0])
    third = with_equals(tuple(objects[1:-1]), second, lambda one: one[0])
    assert hunks(first, third) == [(0, 1, 0, 0), (8, 9, 7, 7)]
    assert hunks(first, second[:-1]) == [(0, 1, 0, 0), (8, 9, 7, 7)]


@given(_SEQUENCES, st.sets(st.integers(0, 5)), _SEQUENCES)
def test_objects_that_are_equal_to_those_before_are_these(before: list[int], again: set[int], now: list[int]) -> None:
    """`again` are read once more, and are other objects."""
    old = tuple((one, one // 2) for one in before)
    kept = {one[0]: one for one in old if one[0] not in again}
    new = tuple(kept.get(one) or (one, one // 2 + (one in again and one == 5)) for one in now)
    found = with_equals(new, old, lambda one: one[0])
    assert found == new
    known = {id(one) for one in old}
    assert all((id(one) in known) == (one in old) for one in found)
    assert (found is old) == (found == old)
