"""What keeps what: the roots and references of containerd's garbage collector."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from exporter.core.content import ContentStore, Holder, StoreNode
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

_NOW = 1_800_000_000.0
_PAST, _FUTURE = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
_RECORD = "dgp538d7v1vcw1ghojqgb9pr8"


def _key(name: str) -> SnapshotKey:
    return SnapshotKey("overlayfs", name)


def _blob(**labels: str) -> BlobEntry:
    return BlobEntry(5, tuple((f"containerd.io/gc.{key.replace('__', '.')}", value) for key, value in labels.items()))


def _space(**fields: Any) -> NamespaceEntry:
    empty: dict[str, Mapping[Any, Any]] = {name: {} for name in NamespaceEntry.__struct_fields__}
    by_name: dict[str, dict[str, SnapshotEntry]] = defaultdict(dict)
    for key, snapshot in fields.get("snapshots", {}).items():
        by_name[key.snapshotter][key.key] = snapshot
    return NamespaceEntry(**{**empty, **fields, "snapshots": by_name})


def _graph(namespaces: Mapping[str, NamespaceEntry]) -> Graph:
    graph = Graph()
    graph.update(namespaces, _NOW)
    return graph


def _kept(space: NamespaceEntry, *holders: Holder) -> set[str]:
    graph = _graph({"moby": space})
    store = ContentStore(references=graph.references, parents=graph.parents)
    return {node.name for node in store.marked(one for one in graph.holds if not holders or one.holder in holders)}


def test_an_image_keeps_all_that_its_blobs_and_snapshots_name() -> None:
    space = _space(
        images={"app": ImageEntry("index", labels={"containerd.io/gc.ref.content.more": "extra", "other": "no"})},
        blobs={
            "index": _blob(ref__content__m="manifest"),
            "manifest": _blob(ref__content="config", **{"ref__content/l.0": "layer", "ref__contents": "no"}),
            "config": BlobEntry(5, (("containerd.io/gc.ref.snapshot.overlayfs/x", "top"),)),
        },
        snapshots={_key("top"): SnapshotEntry("1", "below"), _key("below"): SnapshotEntry("2")},
    )
    assert _kept(space) == {"index", "manifest", "config", "layer", "top", "below", "extra"}


def test_a_flat_lease_keeps_what_it_names_and_the_parents_of_snapshots() -> None:
    blobs = {"blob": _blob(ref__content__x="more")}
    snapshots = {_key("top"): SnapshotEntry("1", "below", (("containerd.io/gc.ref.content", "more"),))}
    snapshots[_key("below")] = SnapshotEntry("2")
    lease = LeaseEntry(None, {"containerd.io/gc.flat": "x"}, ("blob",), (_key("top"),))
    assert _kept(_space(blobs=blobs, snapshots=snapshots, leases={_RECORD: lease})) == {"blob", "top", "below"}
    whole = LeaseEntry(None, {}, ("blob",), (_key("top"),))
    assert _kept(_space(blobs=blobs, snapshots=snapshots, leases={"l": whole})) == {"blob", "top", "below", "more"}


def test_a_lease_with_a_name_of_an_image_keeps_that() -> None:
    space = _space(images={"app": ImageEntry("index")}, leases={"l": LeaseEntry(images=("app", "gone"))})
    assert _kept(space, Holder.OTHER) == {"index"}


@pytest.mark.parametrize(("expires", "kept"), [(_PAST, False), (_FUTURE, True), ("soon", True), ("2020-01-01", True)])
def test_a_lease_keeps_nothing_after_its_time(expires: str, *, kept: bool) -> None:
    lease = LeaseEntry(None, {"containerd.io/gc.expire": expires}, ("blob",))
    assert (_kept(_space(leases={"1-aaaa": lease}), Holder.TEMPORARY) == {"blob"}) is kept


def test_what_refers_to_its_owner_by_itself_is_kept_by_that() -> None:
    space = _space(
        images={"app": ImageEntry("index")},
        blobs={
            "of-blob": _blob(bref__content="index"),
            "of-image": _blob(bref__image__x="app"),
            "of-container": _blob(bref__container="c"),
            "of-snapshot": BlobEntry(5, (("containerd.io/gc.bref.snapshot.overlayfs", "top"),)),
            "of-nobody": _blob(bref__content="gone"),
        },
        snapshots={_key("top"): SnapshotEntry("1")},
        containers={"c": ContainerEntry(snapshot=_key("top"))},
    )
    assert _kept(space, Holder.IMAGE) == {"index", "of-blob", "of-image"}
    assert _kept(space, Holder.CONTAINER) == {"top", "of-snapshot", "of-container"}


def test_an_object_that_is_marked_to_be_kept_is_kept() -> None:
    space = _space(blobs={"root": _blob(root="2020"), "other": _blob(), "if": _blob(cond__snapshot="usedat>1h|x")})
    assert _kept(space) == {"root", "if"}


def test_a_sandbox_and_a_container_keep_what_their_labels_name() -> None:
    labels = {"containerd.io/gc.ref.content.x": "blob"}
    assert _kept(_space(sandboxes={"s": labels}), Holder.CONTAINER) == {"blob"}
    assert _kept(_space(containers={"c": ContainerEntry(labels=labels)}), Holder.CONTAINER) == {"blob"}


def test_a_container_of_docker_is_held_by_its_lease() -> None:
    name = "c" * 64
    leases = {
        name: LeaseEntry(snapshots=(_key(name),)),
        f"{name}-app:1": LeaseEntry(snapshots=(_key("mounted"),)),
        f"{name}0": LeaseEntry(snapshots=(_key("other"),)),
    }
    graph = _graph({"moby": _space(leases=leases)})
    assert [(one.holder, one.name) for one in graph.holds] == [
        (Holder.CONTAINER, name),
        (Holder.CONTAINER, name),
        (Holder.OTHER, f"{name}0"),
    ]


def test_leases_are_told_by_their_names_and_labels() -> None:
    flat = {"containerd.io/gc.flat": "x"}
    leases = {
        _RECORD: LeaseEntry(labels=flat),
        f"{_RECORD}-variants": LeaseEntry(),
        f"{_RECORD}-view": LeaseEntry(labels={**flat, "buildkit/lease.temporary": "x"}),
        "150604897-XJbL": LeaseEntry(labels={"buildkit/lease.temporary": "x"}),
        "copy": LeaseEntry(labels={"containerd.io/gc.expire": _FUTURE}),
        "pull": LeaseEntry(labels={"containerd.io/gc.expire": _FUTURE, "moby/prune.images": "true"}),
        "ctr": LeaseEntry(),
    }
    history = {
        "ref_x": LeaseEntry(content=("log",)),
        _RECORD: LeaseEntry(),
        "604897150-JXbL": LeaseEntry(labels={"buildkit/lease.temporary": "x", "containerd.io/gc.expire": _FUTURE}),
    }
    spaces = {"moby": _space(leases=leases), "moby_history": _space(leases=history)}
    graph = _graph(spaces)
    assert [one.holder.value for one in graph.holds] == [
        *("build", "build", "build", "temporary", "temporary", "pull", "other"),
        *("history", "history", "temporary"),
    ]


def test_references_do_not_leave_a_namespace() -> None:
    graph = _graph({"a": _space(images={"app": ImageEntry("x")}), "b": _space(blobs={"x": _blob()})})
    assert ContentStore().marked(graph.holds) == {StoreNode("a", "", "x")}


def test_circles_end() -> None:
    space = _space(
        images={"app": ImageEntry("x")},
        blobs={"x": _blob(ref__content="y"), "y": _blob(ref__content="x")},
        snapshots={_key("p"): SnapshotEntry("1", "q"), _key("q"): SnapshotEntry("2", "p")},
        leases={_RECORD: LeaseEntry(labels={"containerd.io/gc.flat": ""}, snapshots=(_key("p"),))},
    )
    assert _kept(space) == {"x", "y", "p", "q"}
