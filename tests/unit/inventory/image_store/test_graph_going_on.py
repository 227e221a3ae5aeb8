"""The graph of a store that is read again and again is the one that a first reading makes."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.core.kept import Edition
from exporter.inventory.image_store.graph import Graph
from exporter.inventory.image_store.meta import (
    BlobEntry,
    ContainerEntry,
    ImageEntry,
    LeaseEntry,
    NamespaceEntry,
    SnapshotEntry,
    SnapshotKey,
)

T = TypeVar("T")

_NOW = 1_800_000_000.0
_NAMES = ("a", "b")
_NAME = st.sampled_from(_NAMES)
_GC = "containerd.io/gc."
_LABELS = st.dictionaries(
    st.sampled_from(
        (
            *(f"{_GC}{label}" for label in ("root", "ref.content.m", "ref.snapshot.overlayfs", "ref.image.i")),
            *(f"{_GC}bref.{label}" for label in ("content.c", "snapshot.overlayfs", "container", "image")),
            "other",
        )
    ),
    _NAME,
    max_size=2,
)
_PAIRS = _LABELS.map(lambda labels: tuple(labels.items()))
_KEY = st.builds(SnapshotKey, st.just("overlayfs"), _NAME)
_LEASE_LABELS = st.dictionaries(
    st.sampled_from((f"{_GC}flat", f"{_GC}expire", "buildkit/lease.temporary")),
    st.sampled_from(("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")),
    max_size=2,
)
_TABLES: Mapping[str, st.SearchStrategy[Any]] = {
    "images": st.builds(ImageEntry, _NAME, st.just(""), _LABELS),
    "blobs": st.builds(BlobEntry, st.just(1), _PAIRS),
    "snapshots": st.builds(SnapshotEntry, _NAME, st.sampled_from(("", *_NAMES)), _PAIRS),
    "containers": st.builds(ContainerEntry, _NAME, st.none() | _KEY, st.none(), _LABELS),
    "leases": st.builds(
        LeaseEntry,
        st.none(),
        _LEASE_LABELS,
        st.lists(_NAME, max_size=1).map(tuple),
        st.lists(_KEY, max_size=1).map(tuple),
        st.lists(_NAME, max_size=1).map(tuple),
    ),
    "sandboxes": _LABELS,
}
_CHANGES = st.one_of(
    *(
        st.tuples(st.sampled_from(("moby", "moby_history")), st.just(table), _NAME, st.one_of(of, of, st.none()))
        for table, of in _TABLES.items()
    )
)


def _same(new: Mapping[str, T], before: Mapping[str, T]) -> Mapping[str, T]:
    """The next edition, with the objects of the one before, and that itself, where they are equal."""
    if new == before:
        return before
    return Edition({key: before[key] if before.get(key) == one else one for key, one in new.items()}, before)


@settings(max_examples=200)
@given(st.lists(st.lists(_CHANGES, min_size=1, max_size=3), min_size=3, max_size=12))
def test_a_graph_goes_on_as_a_first_reading_makes_it(steps: list[list[tuple[str, str, str, object]]]) -> None:
    going_on = Graph()
    state: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    last: dict[str, NamespaceEntry] = {}
    for step in steps:
        for space, table, name, value in step:
            state[space][table][name] = value
        now: dict[str, NamespaceEntry] = {}
        for space, tables in state.items():
            there = {table: {name: one for name, one in of.items() if one is not None} for table, of in tables.items()}
            before = last.get(space)

            def kept(table: str, of: Mapping[str, Any], former: NamespaceEntry | None = before) -> Mapping[str, Any]:
                return _same(of, {} if former is None else getattr(former, table))

            snapshots = {} if before is None else before.snapshots.get("overlayfs", {})
            made = {table: kept(table, there.get(table, {})) for table in _TABLES if table != "snapshots"}
            now[space] = NamespaceEntry(
                **made, ingests={}, snapshots={"overlayfs": _same(there.get("snapshots", {}), snapshots)}
            )
        last = now
        fresh = Graph()
        fresh.update(now, _NOW)
        going_on.update(now, _NOW)
        assert going_on.holds == fresh.holds
        assert (going_on.references, going_on.parents) == (fresh.references, fresh.parents)
        assert [{*one} for one in going_on.kept] == [{*one} for one in fresh.kept]
        assert {name: one.uses for name, one in going_on.spaces.items()} == {
            name: one.uses for name, one in fresh.spaces.items()
        }
