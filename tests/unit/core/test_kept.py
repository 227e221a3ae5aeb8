"""Values are made again only where what they are made of is another object."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.kept import Kept, changed_keys

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
