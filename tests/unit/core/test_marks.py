"""What roots keep, from one state of a store to the next, is what marking all of it anew gives."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.core import marks
from exporter.core.content import ContentStore, Hold, Holder, StoreNode, first_marks
from exporter.core.kept import Edition
from exporter.core.marks import Closures, Marks

_NODES = [StoreNode("moby", kind, name) for kind in ("", "overlayfs") for name in "abcd"]
_LABELS = ("first", "second", "third")
_SOME = st.lists(st.sampled_from(_NODES), max_size=3).map(tuple)
_HOLDS = st.builds(Hold, st.just("moby"), st.just(Holder.OTHER), st.sampled_from("xy"), _SOME, st.booleans())


@st.composite
def _states(draw: st.DrawFn) -> tuple[list[Hold], dict[StoreNode, tuple[StoreNode, ...]], dict[StoreNode, StoreNode]]:
    """Roots, references with circles, and parents without."""
    snapshots = [one for one in _NODES if one.snapshotter]
    parents = {one: above for one, above in pairwise(snapshots) if draw(st.booleans())}
    references = draw(st.dictionaries(st.sampled_from(_NODES), _SOME, max_size=4))
    return draw(st.lists(_HOLDS, max_size=5)), references, parents


def _check(
    states: Sequence[tuple[list[Hold], dict[StoreNode, tuple[StoreNode, ...]], dict[StoreNode, StoreNode]]],
    label: Callable[[int, int], str],
) -> None:
    closures, kept_marks = Closures(), Marks(_LABELS)
    pool: dict[Hold, Hold] = {}
    references: Edition[StoreNode, tuple[StoreNode, ...]] = Edition()
    parents: Edition[StoreNode, StoreNode] = Edition()
    for step, (roots, edges, above) in enumerate(states):
        holds = tuple({id(one): one for one in (pool.setdefault(one, one) for one in roots)}.values())
        references = Edition(
            {node: known if (known := references.get(node)) == to else to for node, to in edges.items()}, references
        )
        parents = Edition(above, parents)
        kept = closures.update(holds, references, parents, kept_marks.labels)
        content = ContentStore(references=references, parents=parents, holds=holds, kept=tuple(kept))
        labels = [label(step, at) for at in range(len(holds))]
        before, was = kept_marks.labels, dict(kept_marks.labels)
        kept_marks.update(content, labels)
        stages = [(one, [hold for hold, of in zip(holds, labels, strict=True) if of == one]) for one in _LABELS]
        assert kept_marks.labels == first_marks(content, stages)
        assert before == was, "what was given out stays as it is"
        for hold, found in zip(holds, kept, strict=False):
            assert {*found} == content.marked([hold])
            assert len(found) == len({*found})


@given(st.lists(_states(), min_size=1, max_size=6), st.lists(st.sampled_from(_LABELS), min_size=4, max_size=4))
def test_marks_go_on_from_any_store_to_any_other(
    states: list[tuple[list[Hold], dict[StoreNode, tuple[StoreNode, ...]], dict[StoreNode, StoreNode]]],
    labels: list[str],
) -> None:
    _check(states, lambda step, at: labels[(step + at) % 4])


@given(st.lists(_states(), min_size=1, max_size=4))
def test_where_roots_keep_too_much_all_is_marked_each_time(
    states: list[tuple[list[Hold], dict[StoreNode, tuple[StoreNode, ...]], dict[StoreNode, StoreNode]]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marks, "_MOST_KEPT", 3)
        _check(states, lambda _, at: _LABELS[at % 3])


def test_what_a_root_keeps_is_found_once_for_as_long_as_nothing_of_it_changes() -> None:
    root = Hold("moby", Holder.IMAGE, "app", (_NODES[0],))
    references: Edition[StoreNode, tuple[StoreNode, ...]] = Edition({_NODES[0]: (_NODES[1],)})
    closures, found = Closures(), Marks(_LABELS)

    def kept() -> object:
        (one,) = closures.update((root,), references, {}, found.labels)
        content = ContentStore(references=references, holds=(root,), kept=(one,))
        found.update(content, ["first"])
        return one

    first = kept()
    references = Edition({**references, _NODES[2]: (_NODES[3],)}, references)
    assert kept() is first
    references = Edition({**references, _NODES[1]: (_NODES[2],)}, references)
    assert kept() == (*_NODES[:4],)


def test_the_same_roots_with_the_same_labels_leave_the_same_mapping() -> None:
    content = ContentStore(holds=(Hold("moby", Holder.IMAGE, "app", (_NODES[0],)),), kept=((_NODES[0],),))
    found = Marks(_LABELS)
    found.update(content, ["second"])
    before = found.labels
    found.update(replace(content), ["second"])
    assert found.labels is before == {_NODES[0]: "second"}
