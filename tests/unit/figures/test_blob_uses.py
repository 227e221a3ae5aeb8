"""What the blobs of a containerd store are for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.core.content import BlobUse, Holder, Ingest, StoreNode
from exporter.core.knowledge import Gap, Input, Knowledge
from exporter.core.model import BuildCache, BuildRecord, Use
from exporter.figures.blob_uses import BlobSum
from exporter.figures.figures import Figures
from tests.support.snapshots import snapshot, tree
from tests.support.stores import KUBERNETES, MOBY, Store

_HISTORY = "moby_history"


def _uses(store: Store) -> dict[str, str]:
    return {digest.removeprefix("sha256:"): use.value for digest, use in Figures(store.told()).uses_of_blobs.items()}


def test_a_blob_counts_for_the_first_use_that_it_has() -> None:
    store = Store()
    base = store.blob("sha256:base", 1)
    step = store.blob("sha256:step", 1, base)
    store.hold(Holder.IMAGE, "docker.io/library/a:1", store.blob("sha256:m", 1, base))
    store.hold(Holder.BUILD, "record", step)
    store.hold(Holder.HISTORY, "ref_1", store.blob("sha256:log", 1, step, namespaces=(_HISTORY,)), namespace=_HISTORY)
    store.hold(Holder.TEMPORARY, "1-a", step, store.blob("sha256:work", 1))
    store.hold(Holder.PULL, "1-b", store.blob("sha256:pull", 1))
    store.hold(Holder.OTHER, "mine", store.blob("sha256:kept", 1))
    store.hold(Holder.CONTAINER, "one", store.blob("sha256:own", 1))
    store.blob("sha256:new", 1)
    assert _uses(store) == {
        "base": "image",
        "m": "image",
        "step": "build_cache",
        "log": "build_history",
        "work": "ingest",
        "pull": "ingest",
        "kept": "image",
        "own": "image",
        "new": "ingest",
    }


def test_what_only_other_namespaces_need_is_theirs_and_also_while_work_is_under_way() -> None:
    store = Store()
    both = store.blob("sha256:both", 1, namespaces=(MOBY, KUBERNETES))
    pod = store.blob("sha256:pod", 1, namespaces=(KUBERNETES,))
    store.hold(Holder.IMAGE, "docker.io/library/a:1", both)
    store.hold(Holder.IMAGE, "a:1", pod, both._replace(namespace=KUBERNETES), namespace=KUBERNETES)
    store.hold(Holder.TEMPORARY, "1-a", pod)
    store.hold(Holder.BUILD, "x", store.blob("sha256:build", 1, namespaces=("nerdctl",)), namespace="nerdctl")
    assert _uses(store) == {"both": "image", "pod": "other_namespace", "build": "other_namespace"}


def test_without_docker_all_namespaces_are_alike() -> None:
    store = Store(engine="")
    store.hold(Holder.IMAGE, "a:1", store.blob("sha256:pod", 1, namespaces=(KUBERNETES,)), namespace=KUBERNETES)
    store.hold(Holder.BUILD, "x", store.blob("sha256:build", 1, namespaces=("nerdctl",)), namespace="nerdctl")
    assert _uses(store) == {"pod": "image", "build": "build_cache"}


def test_the_sums_have_the_blocks_of_the_blobs_and_of_what_is_being_written() -> None:
    store = Store()
    store.hold(Holder.IMAGE, "docker.io/library/a:1", store.blob("sha256:a", 10))
    store.blob("sha256:lost", 3, namespaces=())
    store.ingests.append(Ingest(("ingest", "x"), "moby/1/layer", 100))
    store.measured["ingest", "x"] = tree(7)
    told = store.told(content=store.content(orphaned=frozenset(("sha256:lost",))))
    nothing = BlobSum(0, 0)
    assert Figures(told).blobs == {
        BlobUse.IMAGE: BlobSum(1, 20),
        BlobUse.BUILD_CACHE: nothing,
        BlobUse.BUILD_HISTORY: nothing,
        BlobUse.INGEST: BlobSum(1, 14),
        BlobUse.OTHER_NAMESPACE: nothing,
        BlobUse.ORPHANED: BlobSum(1, 6),
    }


@pytest.mark.parametrize("missing", ["measure", "file"])
def test_a_use_has_no_blocks_where_those_of_one_blob_are_not_known(missing: str) -> None:
    store = Store()
    store.hold(Holder.IMAGE, "docker.io/library/a:1", store.blob("sha256:a", 10))
    if missing == "file":
        store.blobs["sha256:a"] = replace(store.blobs["sha256:a"], tree=None)
    else:
        del store.measured["blobs", "sha256:a"]
    assert Figures(store.told()).blobs[BlobUse.IMAGE] == BlobSum(1, None)
    assert Figures(store.told()).blobs[BlobUse.ORPHANED] == BlobSum(0, 0)


def test_of_a_store_that_was_not_read_whole_nothing_is_told() -> None:
    store = Store()
    store.hold(Holder.IMAGE, "docker.io/library/a:1", store.blob("sha256:a", 10))
    figures = Figures(store.told(knowledge=Knowledge((Gap(Input.IMAGE_STORE, "meta.db", "is damaged"),))))
    assert (figures.blobs, figures.history) == ({}, None)
    assert Figures(store.told()).history == 0


def test_other_layouts_have_neither_blobs_nor_a_history() -> None:
    figures = Figures(snapshot({}))
    assert (figures.blobs, figures.history) == ({}, None)
    assert figures.build_cache.allocated["content"] == 0


def test_the_build_cache_has_its_blobs_and_the_recorded_or_measured_sizes_of_its_records() -> None:
    store = Store()
    step = store.snapshot("step", 100, use=Use.BUILD_CACHE)
    mount = store.snapshot("mount", 3, use=Use.BUILD_CACHE, recorded_size=None, by_blocks=True)
    store.snapshot("pod", 7, namespace=KUBERNETES, use=Use.BUILD_CACHE)
    store.hold(Holder.BUILD, "a", step, store.blob("sha256:step", 10))
    records = (
        BuildRecord("a", size=55, namespace=MOBY, layer=store.key(step)),
        BuildRecord("b", namespace=MOBY, layer=store.key(mount)),
    )
    found = Figures(store.told(build_cache=BuildCache(records))).build_cache
    assert (found.size, found.records) == (61, {"a": 55, "b": 6})
    assert found.allocated == {"snapshots": 206, "content": 20, "metadata": 0}


_HOLDS = st.lists(
    st.tuples(st.sampled_from(Holder), st.sampled_from((MOBY, KUBERNETES)), st.sampled_from("abcd")), max_size=8
)


@given(_HOLDS)
def test_every_blob_has_one_use_and_what_something_keeps_is_no_orphan(given_: list[tuple[Holder, str, str]]) -> None:
    store = Store()
    for name in "abcd":
        store.blob(name, 1, namespaces=(MOBY, KUBERNETES))
    for holder, namespace, name in given_:
        store.hold(holder, "x", StoreNode(namespace, "", name), namespace=namespace)
    content = store.content(orphaned=frozenset("abcd"))
    uses = Figures(store.told(content=content)).uses_of_blobs
    assert uses.keys() == {*"abcd"}
    held = {name for _, _, name in given_}
    assert {name for name, use in uses.items() if use is not BlobUse.ORPHANED} == held
    mine = {name for holder, namespace, name in given_ if holder is Holder.IMAGE and namespace == MOBY}
    assert {name for name in mine if uses[name] is not BlobUse.IMAGE} == set()
