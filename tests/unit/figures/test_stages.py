"""What keeps each object of a store, while roots come, go and change: the same as marking all of it again."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.content import ContentStore, Hold, Holder, StoreNode, first_marks
from exporter.core.marks import Closures
from exporter.figures.stages import NOT_KEPT, Stages

_NODES = [StoreNode("moby", "", name) for name in "abcde"]
_ROOT = st.tuples(st.lists(st.sampled_from(_NODES), max_size=2), st.integers(0, 3), st.booleans())
#: The roots of each state by name: those with the name of one before, and all that it had, are the same object.
_STATES = st.lists(st.dictionaries(st.sampled_from("uvwxyz"), _ROOT, max_size=6), min_size=2, max_size=6)


@given(_STATES, st.lists(st.booleans(), min_size=6, max_size=6), st.data())
def test_after_any_changes_the_stages_are_those_of_marking_all_again(
    states: list[dict[str, tuple[list[StoreNode], int, bool]]], whole: list[bool], data: st.DataObject
) -> None:
    stages, closures, holds = Stages(), Closures(), dict[str, Hold]()
    before: dict[StoreNode, int] = {}
    for state, kept_whole in zip(states, whole, strict=False):
        wanted = {
            name: Hold("moby", Holder.IMAGE, name, tuple(nodes), flat) for name, (nodes, _, flat) in state.items()
        }
        holds = {name: holds[name] if holds.get(name) == hold else hold for name, hold in wanted.items()}
        references = {one: (other,) for one, other in pairwise(_NODES) if data.draw(st.booleans())}
        kept = closures.update([*holds.values()], references, {}, _NODES) if kept_whole else ()
        content = ContentStore(references=references, holds=tuple(holds.values()), kept=tuple(kept))
        of_roots = bytes(stage for _, stage, _ in state.values())
        moved = stages.update(content, of_roots)
        by_stage = [(stage, [holds[name] for name, (_, at, _) in state.items() if at == stage]) for stage in range(4)]
        expected = first_marks(content, by_stage)
        assert stages.stages == expected
        both = before.keys() | expected.keys()
        differ = {node for node in both if before.get(node) != expected.get(node)}
        assert moved == {node: before.get(node, NOT_KEPT) for node in differ}
        before = expected
