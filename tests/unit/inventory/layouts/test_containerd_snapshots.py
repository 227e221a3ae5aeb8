"""Snapshots that are read again and again are those that a first reading finds."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.core.content import StoreNode
from exporter.core.kept import Edition
from exporter.inventory.image_store.meta import NamespaceEntry, SnapshotEntry
from exporter.inventory.image_store.snapshotter import Kind, Row
from exporter.inventory.image_store.store import SnapshotterFiles, StoreFiles
from exporter.inventory.layouts.containerd_snapshots import Chain, SnapshotsReader

T = TypeVar("T")
_NAMES = ("moby/1/a", "moby/2/c")
_KEYS = ("a", "c" * 64)
_SPACE = NamespaceEntry({}, {}, {}, {}, {}, {}, {})

_SPACES = ("moby", "k8s.io")
_ENTRY = st.builds(SnapshotEntry, st.sampled_from(_NAMES), st.sampled_from(("", "a")))
_ROW = st.builds(
    Row, st.sampled_from(("1", "2")), st.sampled_from((Kind.ACTIVE, Kind.VIEW)), st.just(""), st.just(4096)
)
#: One thing that changes: an entry of a namespace, a row of the snapshotter, a directory, or that one is not known.
_PLACES = (
    *((space, key, _ENTRY) for space in _SPACES for key in _KEYS),
    *(("rows", name, _ROW) for name in _NAMES),
    *(("directories", name, st.just(True)) for name in "12"),
)
_CHANGES = st.one_of(
    *(
        st.tuples(st.just(which), st.just(name), st.one_of(values, values, st.none()))
        for which, name, values in _PLACES
    ),
    st.tuples(st.just("unknown"), st.sampled_from(("rows", "directories")), st.booleans()),
)


def _same(new: Mapping[str, T], before: Mapping[str, T]) -> Mapping[str, T]:
    """The next edition, with the objects of the one before where they are equal."""
    return Edition({key: before[key] if before.get(key) == one else one for key, one in new.items()}, before)


@settings(max_examples=200)
@given(st.lists(st.lists(_CHANGES, min_size=1, max_size=3), min_size=5, max_size=20))
def test_snapshots_go_on_as_a_first_reading_finds_them(steps: list[list[tuple[str, str, object]]]) -> None:
    going_on = SnapshotsReader()
    last = StoreFiles((), {}, {}, {}, ())
    containers: dict[object, list[Chain]] = {}
    state: dict[str, dict[str, Any]] = defaultdict(dict)
    for step in steps:
        for which, name, value in step:
            state[which][name] = value
        there = {which: {name: one for name, one in of.items() if one} for which, of in state.items()}
        entries_before = {name: one.snapshots.get("overlayfs", {}) for name, one in last.namespaces.items()}
        namespaces = {
            name: replace(_SPACE, snapshots={"overlayfs": _same(there.get(name, {}), entries_before.get(name, {}))})
            for name in _SPACES
            if there.get(name)
        }
        rows_before = last.snapshotters["overlayfs"].rows if last.snapshotters else None
        unknown = there.get("unknown", {})
        known = None if "rows" in unknown else _same(there.get("rows", {}), rows_before or {})
        directories = None if "directories" in unknown else frozenset(there.get("directories", {}))
        files = StoreFiles(
            (), namespaces, {"overlayfs": SnapshotterFiles("overlayfs", ("o",), known, directories)}, {}, ()
        )
        found, fresh = going_on.read(files), SnapshotsReader().read(files)
        assert found.by_node == fresh.by_node
        assert {name: one for name, one in found.by_layer.items() if one} == fresh.by_layer
        assert {name: one for name, one in found.lost.items() if one} == fresh.lost
        assert found.doubled == fresh.doubled
        of_containers = []
        for node in (StoreNode(space, "overlayfs", key) for space in _SPACES for key in _KEYS):
            if node not in found.by_node:
                continue
            chain = found.chain(node)
            assert chain == fresh.chain(node)
            if len(node.name) == 64:
                of_containers.append(chain)
        assert containers.setdefault(found.of_containers, of_containers) == of_containers
        last = files
