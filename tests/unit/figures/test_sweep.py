"""What prunes free in a containerd store: roots removed one category after the other, then mark and sweep."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.core.content import ContentStore, Hold, Holder, StoreNode, first_marks
from exporter.core.model import BuildCache, BuildRecord, Container, ContainerId, ContainerState, ImageId, Inventory, Use
from exporter.figures.clean_up import Freed
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category, Command
from exporter.figures.stages import Stages
from exporter.figures.sweep import Sweep, kinds_of, rank_of
from tests.support.snapshots import snapshot, tree
from tests.support.stores import KUBERNETES, MOBY, SNAPSHOTTER, Store

HISTORY = "moby_history"


def _sweep(inventory: Inventory) -> Sweep:
    assert inventory.content is not None
    return Sweep(inventory, inventory.content, kinds_of(inventory, inventory.content, inventory.content.holds))


def _marked(content: ContentStore, removed: bytes) -> dict[StoreNode, Category | None]:
    """With which category each object goes, what is kept longest first."""
    stages, order = Stages(), [*Category, None]
    stages.update(content, removed)
    by_stage = sorted(stages.stages.items(), key=lambda one: one[1])
    return {node: order[rank_of(stage)] for node, stage in by_stage}


def _container(name: str, image: str = "", given: str = "app:1", **fields: Any) -> Container:
    fields.setdefault("state", ContainerState.EXITED)
    fields.setdefault("namespace", MOBY)
    return Container(SNAPSHOTTER, ContainerId(name), image_id=ImageId(image) if image else None, image=given, **fields)


def _freed(store: Store, **inventory: Any) -> dict[str, tuple[int | None, int | None]]:
    """What each category frees, where it frees anything."""
    found = Figures(store.told(**inventory)).reclaim.freed
    return {
        name.value: (one.allocated, one.objects)
        for name, one in found.items()
        if (one.allocated, one.objects) != (0, 0)
    }


def test_a_stopped_container_is_freed_with_its_lease_and_what_only_that_keeps() -> None:
    store = Store()
    base = store.snapshot("sha256:base", 100)
    init = store.snapshot("one-init", 10, base, use=Use.CONTAINER)
    own = store.snapshot("one", 1, init, use=Use.CONTAINER)
    other = store.snapshot("two", 7, base, use=Use.CONTAINER)
    store.hold(Holder.CONTAINER, "one", own)
    store.hold(Holder.CONTAINER, "two", other)
    running = _container("two", state=ContainerState.RUNNING)
    assert _freed(store, containers=(_container("one"), running)) == {"containers_stopped": (22, 1)}
    store.hold(Holder.IMAGE, "docker.io/library/committed:1", store.blob("sha256:c", 3, init))
    assert _freed(store, containers=(_container("one"), running)) == {"containers_stopped": (2, 1)}, "a commit keeps it"


def test_a_blob_of_two_namespaces_is_freed_by_neither_alone() -> None:
    store = Store()
    base = store.blob("sha256:base", 100, namespaces=(MOBY, KUBERNETES))
    store.image(store.blob("sha256:m", 10, base), "docker.io/library/app:1")
    pod = StoreNode(KUBERNETES, "", "sha256:base")
    held = store.hold(Holder.IMAGE, "quay.example/app:1", pod, namespace=KUBERNETES)
    assert _freed(store) == {"images_unused": (20, 1)}
    store.holds.remove(held)
    assert _freed(store) == {"images_unused": (220, 1)}


def test_an_image_prune_takes_what_has_no_name_and_no_container() -> None:
    store = Store()
    for name in ("a", "b", "c"):
        store.image(store.blob(f"sha256:{name}", 10), f"moby-dangling@sha256:{name}", dangling=True)
    store.hold(Holder.IMAGE, "docker.io/library/c:1", StoreNode(MOBY, "", "sha256:c"))
    store.hold(Holder.IMAGE, "moby-dangling@sha256:other", StoreNode(MOBY, "", "sha256:c"))
    user = _container("user", "b", "b:1", state=ContainerState.RUNNING)
    assert _freed(store, containers=(user,)) == {"images_dangling": (20, 1), "images_unused": (20, 1)}


def test_an_image_is_kept_by_the_name_of_a_container_wherever_that_leads_now() -> None:
    store = Store()
    store.image(store.blob("sha256:old", 100), "docker.io/library/old:1")
    store.image(store.blob("sha256:new", 10), "docker.io/library/app:latest", "docker.io/library/app:2")
    user = _container("user", "old", "app", state=ContainerState.RUNNING)
    assert _freed(store, containers=(user,)) == {"images_unused": (200, 1)}


def test_of_an_image_that_a_container_names_by_id_the_last_name_stays() -> None:
    store = Store()
    image = store.blob("sha256:aa", 10)
    names = ["docker.io/library/x:1", "docker.io/library/z:1", "docker.io/library/y:1"]
    store.image(image, *names)
    user = _container("user", "aa", "aa", state=ContainerState.RUNNING)
    told = store.told(containers=(user,)).inventory
    assert told.content is not None
    sweep = _sweep(told)
    assert sweep.remove_images(Category.IMAGES_UNUSED, (user,), every=True) == []
    kept = {hold.name for at, hold in enumerate(told.content.holds) if not sweep.stages()[at]}
    assert kept == {"docker.io/library/z:1"}
    assert _marked(told.content, sweep.stages())[image] is None


def test_a_pull_that_was_cut_off_is_freed_with_the_images_without_a_name() -> None:
    store = Store()
    store.hold(Holder.PULL, "1-abcd", store.blob("sha256:layer", 10))
    store.hold(Holder.TEMPORARY, "2-abcd", store.blob("sha256:work", 100))
    assert _freed(store) == {"images_dangling": (20, 0), "build_cache": (200, 0)}


def test_no_prune_removes_the_leases_of_records_that_the_engine_does_not_know() -> None:
    store = Store()
    store.hold(Holder.BUILD, "known", store.snapshot("known", 10, use=Use.BUILD_CACHE), flat=True)
    store.hold(Holder.BUILD, "lost", store.snapshot("lost", 100, use=Use.BUILD_CACHE), flat=True)
    cache = BuildCache((BuildRecord("known", namespace=MOBY),), unlisted=frozenset({"lost"}))
    assert _freed(store, build_cache=cache) == {"build_cache": (20, 1)}
    figures = Figures(store.told(build_cache=BuildCache((BuildRecord("known", namespace=MOBY),))))
    assert figures.reclaim.freed[Category.BUILD_CACHE].allocated == 220
    figures = Figures(store.told(build_cache=cache), figures)
    assert figures.reclaim.freed[Category.BUILD_CACHE].allocated == 20, "the same leases, and other records"


def test_the_history_of_a_graph_driver_is_not_known_and_that_of_a_former_one_hides_nothing() -> None:
    cache = BuildCache(history=True)
    (one,) = (
        found
        for name, found in Figures(snapshot({}, build_cache=cache)).reclaim.freed.items()
        if name == "build_history"
    )
    assert (one.allocated, one.objects, one.how) == (None, None, Command(""))
    assert "`docker buildx history rm --all` frees it" in one.why
    store = Store()
    store.hold(Holder.HISTORY, "ref_1", store.blob("sha256:log", 1, namespaces=(HISTORY,)), namespace=HISTORY)
    assert _freed(store, build_cache=cache, layouts=("layerdb", "containerd")) == {"build_history": (2, 0)}


def test_an_image_that_a_container_has_mounted_goes_with_the_container() -> None:
    store = Store()
    base = store.snapshot("sha256:base", 100)
    name = "c" * 64
    store.hold(Holder.CONTAINER, name, store.snapshot("one", 1, base, use=Use.CONTAINER))
    store.hold(Holder.CONTAINER, f"{name}-data:1", store.snapshot("mounted", 10, base, use=Use.CONTAINER))
    assert _freed(store, containers=(_container(name),)) == {"containers_stopped": (222, 1)}
    running = _container(name, state=ContainerState.RUNNING)
    assert _freed(store, containers=(running,)) == {}


def test_images_that_are_not_listed_are_freed_and_not_counted() -> None:
    store = Store()
    store.image(store.blob("sha256:a", 10), "moby-dangling@sha256:a", listed=False)
    assert _freed(store) == {"images_dangling": (20, 0)}


def test_build_cache_and_history_are_freed_one_after_the_other() -> None:
    store = Store()
    shared = store.blob("sha256:shared", 10, namespaces=(MOBY, HISTORY))
    step = store.snapshot("step", 100, use=Use.BUILD_CACHE)
    store.hold(Holder.BUILD, "record", step, flat=True)
    store.hold(Holder.BUILD, "record-view", shared)
    past = (StoreNode(HISTORY, "", "sha256:shared"), store.blob("sha256:log", 1, namespaces=(HISTORY,)))
    store.hold(Holder.HISTORY, "ref_1", *past, namespace=HISTORY)
    cache = BuildCache((BuildRecord("record", namespace=MOBY),))
    assert _freed(store, build_cache=cache) == {"build_cache": (200, 1), "build_history": (22, 0)}


def test_what_the_history_does_not_list_is_freed_by_no_prune() -> None:
    """A kill leaves a lease without a build. What is written down during a build has a lease until that has ended."""
    store = Store()
    for at, (holder, name) in enumerate(
        ((Holder.HISTORY, "ref_1"), (Holder.HISTORY, "ref_2"), (Holder.TEMPORARY, "1-abcd"))
    ):
        blob = store.blob(f"sha256:{at}", 10**at, namespaces=(HISTORY,))
        store.hold(holder, name, blob, namespace=HISTORY)
    assert _freed(store) == {"build_history": (22, 0)}
    assert _freed(store, content=replace(store.content(), unlisted=frozenset({"ref_2"}))) == {"build_history": (2, 0)}


def test_other_namespaces_are_no_part_of_any_prune() -> None:
    store = Store()
    for holder in Holder:
        blob = store.blob(f"sha256:{holder}", 10, namespaces=(KUBERNETES,))
        store.hold(holder, "docker.io/library/app:1", blob, namespace=KUBERNETES)
    pod = _container("docker.io/library/app:1", namespace=KUBERNETES, foreign=True)
    assert _freed(store, containers=(pod,)) == {}


def test_an_image_in_the_namespace_of_the_history_is_no_image_of_the_engine() -> None:
    store = Store()
    store.image(store.blob("sha256:a", 10), "docker.io/library/app:1")
    other = store.blob("sha256:b", 100, namespaces=(HISTORY,))
    store.hold(Holder.IMAGE, "docker.io/library/app:1", other, namespace=HISTORY)
    assert _freed(store) == {"images_unused": (20, 1)}


def test_what_an_engine_of_another_store_does_not_load_is_no_part_of_any_prune() -> None:
    store = Store()
    store.image(store.blob("sha256:a", 10), "docker.io/library/a:1", unloaded=True)
    store.hold(Holder.BUILD, "record", store.blob("sha256:step", 100))
    store.hold(Holder.CONTAINER, "one", store.snapshot("one", 5))
    assert _freed(store, layouts=("containerd", "layerdb")) == {}


@pytest.mark.parametrize("layouts", [("containerd",), ("layerdb", "containerd")])
def test_without_docker_no_prune_of_docker_is_advised(layouts: tuple[str, ...]) -> None:
    store = Store(engine="")
    store.image(store.blob("sha256:a", 10, namespaces=(KUBERNETES,)), "docker.io/library/a:1")
    found = Figures(store.told(layouts=layouts)).reclaim.freed
    alone = layouts == ("containerd",)
    for category in Category:
        orphans = category is Category.LAYERS_ORPHANED
        told = (found[category].allocated, found[category].objects)
        assert told == ((None, None) if alone and not orphans else (0, 0))
        assert ("crictl rmi --prune" in found[category].why) == (alone and not orphans)
        assert not found[category].how.commands or not alone


def test_orphans_are_layers_and_blobs() -> None:
    store = Store()
    store.snapshot("extract", 10, use=Use.ORPHANED)
    store.blob("sha256:lost", 1, namespaces=())
    content = store.content(orphaned=frozenset(("sha256:lost", "sha256:gone")))
    assert _freed(store, content=content) == {"layers_orphaned": (22, 2)}


def test_what_goes_with_a_layer_that_is_no_directory_is_not_known() -> None:
    store = Store()
    own = store.snapshot("one", 5, driver="devmapper", use=Use.CONTAINER)
    store.layers[own] = store.layers[own].__class__("devmapper", store.layers[own].id, Use.CONTAINER, namespace=MOBY)
    store.hold(Holder.CONTAINER, "one", own)
    assert _freed(store, containers=(_container("one"),)) == {"containers_stopped": (None, 1)}


def test_what_could_not_be_measured_makes_its_category_unknown() -> None:
    store = Store()
    store.image(store.blob("sha256:a", 10), "docker.io/library/a:1")
    del store.measured["blobs", "sha256:a"]
    assert _freed(store) == {"images_unused": (None, 1)}


def test_the_files_of_a_store_belong_to_it() -> None:
    store = Store()
    store.measured[("meta",)] = tree(5)
    store.measured[("else",)] = tree(7)
    content = store.content(files=(("meta",),))
    assert Figures(store.told(content=content)).reclaim.unattributed == 14


_NODES = [StoreNode(space, sn, name) for space in (MOBY, KUBERNETES, HISTORY) for sn in ("", "o") for name in "abcd"]


@st.composite
def _stores(draw: st.DrawFn) -> ContentStore:
    """Any graph, cycles of references too; parents have none."""
    some = st.lists(st.sampled_from(_NODES), max_size=4).map(tuple)
    holds = draw(
        st.lists(
            st.builds(
                Hold,
                st.sampled_from((MOBY, KUBERNETES, HISTORY)),
                st.sampled_from(Holder),
                st.sampled_from(("app", "docker.io/library/a:1", "moby-dangling@a")),
                some,
                st.booleans(),
            ),
            max_size=12,
        )
    )
    references = draw(st.dictionaries(st.sampled_from(_NODES), some, max_size=12))
    snapshots = [node for node in _NODES if node.snapshotter]
    parents = {
        one: above for one, above in pairwise(snapshots) if one.namespace == above.namespace and draw(st.booleans())
    }
    trees = {node: (((node.name,) if not node.snapshotter else tuple(node)),) for node in _NODES}
    return ContentStore(
        engine=MOBY, history=HISTORY, holds=tuple(holds), references=references, parents=parents, trees=trees
    )


@given(_stores(), st.lists(st.sampled_from([*Category, None]), min_size=12, max_size=12))
def test_marking_from_the_end_is_the_same_as_sweeping_after_each_prune(
    content: ContentStore, stages: list[Category | None]
) -> None:
    expected: dict[Any, Category | None] = {}
    order: list[Category | None] = [*Category, None]
    before = content.marked(content.holds)
    owned = {one for node in before for one in content.trees[node]}
    for at, category in enumerate(order):
        left = (
            [hold for index, hold in enumerate(content.holds) if stages[index] in order[at + 1 :]] if category else []
        )
        after = content.marked(left)
        kept = {one for node in after for one in content.trees[node]}
        expected.update(dict.fromkeys(owned - kept, category))
        owned = kept
    found: dict[Any, Category | None] = {}
    removed = bytes(len(Category) - order.index(stage) for stage in stages[: len(content.holds)])
    for node, stage in _marked(content, removed).items():  # what is kept longest comes first
        for one in content.trees[node]:
            found.setdefault(one, stage)
    assert found == expected


@given(_stores(), st.integers(0, 12))
def test_marking_in_two_steps_is_the_same_as_in_one(content: ContentStore, cut: int) -> None:
    marks = first_marks(content, [(1, content.holds[:cut]), (2, content.holds[cut:])])
    first, second = ({node for node, stage in marks.items() if stage == at} for at in (1, 2))
    assert not first & second
    assert first == content.marked(content.holds[:cut])
    assert first | second == content.marked(content.holds)


def test_a_category_that_frees_nothing_says_so() -> None:
    assert Figures(Store().told()).reclaim.freed[Category.BUILD_HISTORY] == Freed(0, 0)


_NAMES = ("docker.io/library/a:1", "docker.io/library/b:latest", "docker.io/library/c:1")
_GIVEN = ("a:1", "b", "c", "aa", "a:1@sha256:aa", "")


@st.composite
def _hosts(draw: st.DrawFn) -> tuple[Store, tuple[Container, ...]]:
    """A store with blobs that share, images by any names, containers made of them, build cache and history."""
    store = Store()
    shared = [store.blob(f"sha256:l{at}", 3**at, namespaces=(MOBY, HISTORY, KUBERNETES)) for at in range(4)]
    layers: list[StoreNode] = []
    for at in range(4):
        parent = draw(st.sampled_from([None, *layers]))
        layers.append(store.snapshot(f"sha256:s{at}", 1000 * 5**at, parent))

    def some(nodes: list[StoreNode]) -> list[StoreNode]:
        return draw(st.lists(st.sampled_from(nodes), max_size=2))

    for at, digest in enumerate(("aa", "bb", "cc")):
        target = store.blob(f"sha256:{digest}", 10**6 * 2**at, *some(shared), *some(layers))
        names = draw(st.lists(st.sampled_from((*_NAMES, f"moby-dangling@sha256:{digest}")), unique=True))
        taken = {hold.name for hold in store.holds}
        store.image(target, *(name for name in names if name not in taken))
    containers = []
    for at in range(draw(st.integers(0, 3))):
        name = f"container{at}"
        parent = draw(st.sampled_from(layers))
        store.hold(Holder.CONTAINER, name, store.snapshot(name, 10**8 + at, parent, use=Use.CONTAINER))
        image, given_, runs = draw(st.tuples(st.sampled_from(("aa", "bb", "")), st.sampled_from(_GIVEN), st.booleans()))
        state = ContainerState.RUNNING if runs else ContainerState.EXITED
        containers.append(_container(name, image, given_, state=state))
    for holder in (Holder.BUILD, Holder.TEMPORARY, Holder.PULL, Holder.OTHER):
        if draw(st.booleans()):
            store.hold(holder, f"lease {holder}", *some(shared), *some(layers), flat=draw(st.booleans()))
    for holder, space in ((Holder.HISTORY, HISTORY), (Holder.IMAGE, KUBERNETES)):
        if draw(st.booleans()):
            nodes = (StoreNode(space, "", one.name) for one in some(shared))
            store.hold(holder, "docker.io/library/a:1", *nodes, namespace=space)
    return store, tuple(containers)


@given(_hosts())
def test_what_is_promised_for_later_prunes_holds_when_the_earlier_ones_have_run(
    host: tuple[Store, tuple[Container, ...]],
) -> None:
    store, containers = host
    promised = Figures(store.told(containers=containers)).reclaim.freed
    for category in list(Category)[:-1]:
        containers = _prune(store, containers, category)
        left = Figures(store.told(containers=containers)).reclaim.freed
        for other in Category:
            gone = list(Category).index(other) <= list(Category).index(category)
            assert left[other].allocated == (0 if gone else promised[other].allocated), (category, other)


def _prune(store: Store, containers: tuple[Container, ...], category: Category) -> tuple[Container, ...]:
    """Run one prune: remove its roots, and then all that nothing keeps."""
    inventory = store.told(containers=containers).inventory
    assert inventory.content is not None
    sweep = _sweep(inventory)
    stopped = [one for one in containers if not one.runs]
    if category is Category.CONTAINERS_STOPPED:
        sweep.remove_containers(category, stopped)
        containers = tuple(one for one in containers if one.runs)
    elif category in (Category.IMAGES_DANGLING, Category.IMAGES_UNUSED):
        sweep.remove_images(category, containers, every=category is Category.IMAGES_UNUSED)
    elif category is Category.BUILD_CACHE:
        sweep.remove_builds(category)
    elif category is Category.BUILD_HISTORY:
        sweep.remove_history(category)
    store.holds = [hold for at, hold in enumerate(store.holds) if not sweep.stages()[at]]
    kept = inventory.content.marked(store.holds)
    names = {(node.namespace, node.name) for node in kept}
    store.blobs = {
        name: replace(blob, namespaces=left)
        for name, blob in store.blobs.items()
        if (left := tuple(space for space in blob.namespaces if (space, name) in names))
    }
    store.layers = {node: layer for node, layer in store.layers.items() if node in kept}
    here = {("blobs", name) for name in store.blobs} | {one for layer in store.layers.values() for one in layer.trees}
    store.measured = {place: one for place, one in store.measured.items() if place in here}
    store.images = [image for image in store.images if image.digest in store.blobs]
    return containers
