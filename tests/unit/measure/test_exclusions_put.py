"""Exclusions that are changed one by one are those that are made at once."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.measured import Tree
from exporter.measure.exclusions import Exclusions

_TREES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)
_STATES = st.lists(st.dictionaries(_TREES, st.booleans(), max_size=5), min_size=1, max_size=6)
_STORE: Tree = ("a", "b")


@given(_STATES)
def test_changes_lead_to_the_same_as_all_at_once(states: list[dict[Tree, bool]]) -> None:
    changed = Exclusions()
    changed.add(_STORE, store=True)
    before: dict[Tree, bool] = {}
    for state in states:
        for tree in before.keys() | state.keys():
            changed.put(tree, leaf=tree in state, mount=state.get(tree, False))
        anew = Exclusions()
        anew.add(_STORE, store=True)
        for tree, mount in state.items():
            anew.add(tree, mount=mount)
        assert changed == anew
        before = state
