"""Values are made again only where what they are made of is another object."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.kept import ByKey, Edition, Joined, Kept, changed_keys, with_changes

_STATES = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3)), min_size=1, max_size=8)


@given(_STATES)
def test_values_are_those_of_the_last_sources_and_made_once_for_each_of_them(states: list[dict[str, int]]) -> None:
    sources = [f"source {number}" for number in range(4)]
    made: list[tuple[str, str]] = []

    def make(key: str, source: str) -> str:
        made.append((key, source))
        return f"{key} of {source}"

    kept: Kept[str, str, str] = Kept()
    before: dict[str, str] = {}
    for state in states:
        now = {key: sources[number] for key, number in state.items()}
        earlier, was = kept.values, dict(kept.values)
        made.clear()
        values = kept.update(now, make)
        assert values == {key: f"{key} of {source}" for key, source in now.items()}
        assert {key for key, _ in made} == {key for key, source in now.items() if before.get(key) is not source}
        assert len(made) == len({*made})
        assert changed_keys(now, before) == {
            key for key in now.keys() | before.keys() if now.get(key) != before.get(key)
        }
        assert earlier == was, "what was given out stays as it is"
        assert (values is earlier) == (now == before)
        before = now


@given(_STATES, st.integers(1, 6))
def test_an_edition_knows_what_has_changed_since_any_one_before(states: list[dict[str, int]], steps: int) -> None:
    values = [f"value {number}" for number in range(4)]
    editions: list[Edition[str, str]] = [Edition()]
    for state in states:
        now = {key: values[number] for key, number in state.items()}
        editions.append(Edition(now, editions[-1]))
    for at, one in enumerate(editions):
        earlier = editions[max(0, at - steps)]
        compared = {key for key in one.keys() | earlier.keys() if one.get(key) is not earlier.get(key)}
        assert changed_keys(one, earlier) == compared
        known = one.since(earlier)
        assert known is None or known >= compared


def test_the_last_editions_are_known_without_a_comparison() -> None:
    editions: list[Edition[int, object]] = [Edition({number: object() for number in range(100)})]
    for number in range(6):
        following = with_changes(editions[-1], {number: object()}, (90 + number, 1000))
        assert isinstance(following, Edition)
        editions.append(following)
    assert editions[-1].since(editions[-2]) == {5, 95}
    assert editions[-1].since(editions[-5]) == {2, 3, 4, 5, 92, 93, 94, 95}
    assert editions[-1].since(editions[0]) is None
    assert editions[-1].since({}) is None
    assert with_changes(editions[-1], {}, (1000,)) is editions[-1]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.integers(0, 3), st.integers(0, 3)))))
def test_joined_mappings_are_those_of_now(states: list[dict[str, dict[int, int]]]) -> None:
    joined: Joined[str, tuple[str, int], int] = Joined()
    for state in states:
        parts = {name: {(name, key): value for key, value in part.items()} for name, part in state.items()}
        before, was = joined.values, dict(joined.values)
        now = joined.update(parts)
        assert now == {key: value for part in parts.values() for key, value in part.items()}
        assert before == was
        assert (now is before) == (now == was)


def test_objects_by_a_key_are_looked_through_when_the_first_one_is_asked_for() -> None:
    asked: list[str] = []

    def key(word: str) -> str:
        asked.append(word)
        return word[0]

    found = ByKey(["apple", "banana"], key)
    assert not asked
    assert found["b"] == "banana"
    assert found.get("c") is None
    assert {**found} == {"a": "apple", "b": "banana"}
    assert len(found) == 2
    assert asked == ["apple", "banana"]


def test_an_edition_that_was_filled_later_knows_what_has_changed() -> None:
    first = Edition({"a": "1", "b": "2"})
    second = Edition(first)
    second["a"] = "3"
    second.follow(first, {"a"})
    third = Edition({**second, "c": "4"}, second, {"c"})
    assert second.since(first) == changed_keys(second, first) == {"a"}
    assert changed_keys(third, first) == {"a", "c"}
