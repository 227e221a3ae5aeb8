"""What each prune removes and what it frees, worked out by hand: each category is taken after those before it."""

from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.core.engine_version import EngineVersion
from exporter.core.measured import Measured, Tree
from exporter.core.model import BuildCache, BuildRecord, ContainerState, ImageId, Layer, LayerId, Snapshot, Use
from exporter.figures.clean_up import Freed
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category
from tests.support.snapshots import ELSEWHERE, container, image, layer, shared, snapshot, tree, volume

_IMAGES = (Category.IMAGES_DANGLING, Category.IMAGES_UNUSED)


def _freed(told: Snapshot) -> dict[str, tuple[int | None, int | None]]:
    """The categories in which something is freed: bytes of size (half of those allocated) and objects."""
    found = Figures(told).reclaim.freed
    return {
        category.value: (None if one.allocated is None else one.allocated // 2, one.objects)
        for category, one in found.items()
        if one != Freed(0, 0)
    }


def _measured(layers: Iterable[Layer], **sizes: int) -> dict[Tree, Measured]:
    return {one.trees[0]: tree(sizes[one.id]) for one in layers if one.id in sizes}


def test_all_categories_are_told_also_those_that_free_nothing() -> None:
    assert list(Figures(snapshot({})).reclaim.freed) == list(Category)
    assert _freed(snapshot({})) == {}


def test_a_layer_goes_with_the_last_category_that_needs_it() -> None:
    layers = tuple(layer(name) for name in ("base", "lib", "app", "old"))
    images = (
        image("dangling", "old", "lib", "base", dangling=True),
        image("unused", "lib", "base", references=(("a", "1"),)),
        image("used", "app", "base", references=(("b", "1"),)),
    )
    one = container("web", image_id=ImageId("used"), chain=(LayerId("app"), LayerId("base")), metadata=())
    told = snapshot(
        _measured(layers, base=1, lib=20, app=300, old=4000), layers=layers, images=images, containers=(one,)
    )
    # The stopped container goes first, and then nothing uses its image any more.
    assert _freed(told) == {"containers_stopped": (0, 1), "images_dangling": (4000, 1), "images_unused": (321, 2)}
    running = replace(told.inventory, containers=(replace(one, state=ContainerState.RUNNING),))
    kept = replace(told, inventory=running)
    assert _freed(kept) == {"images_dangling": (4000, 1), "images_unused": (20, 1)}


def test_the_metadata_of_what_is_removed_goes_with_it() -> None:
    images = (image("dangling", dangling=True), image("unused", references=(("a", "1"),)))
    measured = {("image", "dangling"): tree(1), ("image", "unused"): tree(20), ("containers", "web"): tree(300)}
    told = snapshot(measured, images=images, containers=(container("web"),))
    assert _freed(told) == {"images_dangling": (1, 1), "images_unused": (20, 1), "containers_stopped": (300, 1)}


def test_a_dangling_image_that_a_container_uses_or_an_image_is_built_on_stays() -> None:
    images = (
        image("used", dangling=True),
        image("parent", listed=False),
        image("child", parent="parent", references=(("a", "1"),)),
    )
    one = container("web", image_id=ImageId("used"), state=ContainerState.RUNNING, metadata=())
    other = container("db", metadata=())
    told = snapshot({}, images=images, containers=(one, other))
    assert _freed(told) == {"containers_stopped": (0, 1), "images_unused": (0, 1)}


def test_a_container_of_another_driver_holds_no_image_of_the_same_id() -> None:
    one = container("web", image_id=ImageId("app"), driver="vfs", state=ContainerState.RUNNING, metadata=())
    told = snapshot({}, images=(image("app", dangling=True),), containers=(one,))
    assert _freed(told) == {"images_dangling": (0, 1)}


def test_nameless_parents_go_with_the_last_of_their_children_and_only_listed_images_count() -> None:
    images = (
        image("a", listed=False),
        image("b", listed=False, parent="a"),
        image("c", parent="b", dangling=True),
        image("d", parent="b", dangling=True),
        image("named", references=(("n", "1"),)),
        image("e", parent="named", dangling=True),
    )
    measured = {("image", one.id): tree(10**at) for at, one in enumerate(images)}
    assert _freed(snapshot(measured, images=images)) == {"images_dangling": (101111, 3), "images_unused": (10000, 1)}
    user = container("web", image_id=ImageId("d"), state=ContainerState.RUNNING, metadata=())
    with_use = snapshot(measured, images=images, containers=(user,))
    assert _freed(with_use) == {"images_dangling": (100100, 2), "images_unused": (10000, 1)}


def test_an_image_with_a_digest_alone_is_unused_and_not_removed_with_its_child() -> None:
    images = (
        image("pinned", digests=("a@sha256:1",)),
        image("child", parent="pinned", dangling=True),
    )
    measured = {("image", "pinned"): tree(5), ("image", "child"): tree(70)}
    assert _freed(snapshot(measured, images=images)) == {"images_dangling": (70, 1), "images_unused": (5, 1)}


def test_an_image_whose_parent_is_not_there_is_removed_all_the_same() -> None:
    told = snapshot({("image", "a"): tree(5)}, images=(image("a", parent="gone", dangling=True),))
    assert _freed(told) == {"images_dangling": (5, 1)}


_STATES = [
    *((state, True) for state in (ContainerState.CREATED, ContainerState.EXITED)),
    *((state, True) for state in (ContainerState.DEAD, ContainerState.REMOVING)),
    *((state, False) for state in (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)),
    *((state, False) for state in (ContainerState.STALE, ContainerState.UNKNOWN)),
]


@pytest.mark.parametrize(("state", "goes"), _STATES)
def test_only_a_container_that_surely_does_not_run_goes_with_its_layers_and_then_its_volumes(
    state: ContainerState, goes: bool
) -> None:
    assert {one for one, _ in _STATES} == {*ContainerState}
    layers = (layer("own", Use.CONTAINER), layer("init", Use.CONTAINER), layer("base", Use.CONTAINER))
    one = container(
        "web",
        state=state,
        layer=LayerId("own"),
        init=LayerId("init"),
        chain=(LayerId("base"),),
        volumes=("data",),
    )
    measured = _measured(layers, own=1, init=20, base=300)
    measured |= {("containers", "web"): tree(4000), ("volumes", "data"): tree(5), ("volumes", "data", "_data"): tree(9)}
    told = snapshot(measured, layers=layers, containers=(one,), volumes=(volume("data"),))
    expected = {"containers_stopped": (4321, 1), "volumes_unused": (14, 1)}
    assert _freed(told) == (expected if goes else {})


def test_a_volume_that_any_container_that_is_left_mounts_stays_and_so_does_one_of_a_plugin() -> None:
    containers = (container("runs", volumes=("used",), state=ContainerState.RUNNING),)
    volumes = (volume("used"), volume("unused"), volume("plugin", driver="nfs"), volume("away", home=None, tree=None))
    measured = {one.tree: tree(7) for one in volumes if one.tree is not None}
    measured |= {("volumes", one.name): tree(1) for one in volumes}
    told = snapshot(measured, containers=containers, volumes=volumes)
    assert _freed(told) == {"volumes_unused": (8, 2)}


def test_a_volume_with_driver_options_stays() -> None:
    volumes = (volume("plain"), volume("bound", optioned=True))
    measured = {("volumes", one.name): tree(1) for one in volumes} | {one.tree: tree(7) for one in volumes if one.tree}
    assert _freed(snapshot(measured, volumes=volumes)) == {"volumes_unused": (8, 1)}


def test_a_layer_that_the_entry_of_a_lost_container_holds_is_freed_by_nothing() -> None:
    layers = (layer("base", held="lost"), layer("app"), layer("own", Use.CONTAINER, held="lost"))
    images = (image("one", "app", "base", dangling=True, metadata=()),)
    told = snapshot(_measured(layers, base=1, app=20, own=300), layers=layers, images=images)
    assert _freed(told) == {"images_dangling": (20, 1)}


def test_a_layer_below_an_entry_that_nothing_needs_is_freed_by_nothing() -> None:
    layers = (layer("base", pinned=True), layer("app"), layer("left", Use.ORPHANED))
    images = (image("one", "app", "base", dangling=True, metadata=()),)
    told = snapshot(_measured(layers, base=1, app=20, left=300), layers=layers, images=images)
    assert _freed(told) == {"images_dangling": (20, 1), "layers_orphaned": (300, 1)}
    loose = replace(told, inventory=replace(told.inventory, layers=(layer("base"), *layers[1:])))
    assert Figures(loose, Figures(told)).reclaim.freed[Category.IMAGES_DANGLING].allocated == 2 * 21, "it is removed"


def test_while_the_engine_does_not_load_a_container_no_prune_of_images_or_volumes_is_advised() -> None:
    layers = (layer("base"), layer("own", Use.CONTAINER), layer("lost", Use.CONTAINER), layer("stage", Use.BUILD_CACHE))
    images = (image("one", "base", dangling=True, metadata=()), image("two", references=(("a", "1"),)))
    containers = (
        container("done", layer=LayerId("own"), metadata=()),
        container("web", layer=LayerId("lost"), metadata=(), unloaded="hostconfig.json is empty"),
    )
    cache = BuildCache((BuildRecord("one"),), holds={"overlay2": frozenset({LayerId("stage"), LayerId("base")})})
    told = snapshot(
        _measured(layers, base=1, own=20, lost=300, stage=4000),
        layers=layers,
        images=images,
        containers=containers,
        volumes=(volume("data"),),
        build_cache=cache,
    )
    assert _freed(told) == {
        "containers_stopped": (20, 1),
        "images_dangling": (None, None),
        "images_unused": (None, None),
        "volumes_unused": (None, None),
        "build_cache": (4000, 1),
    }
    found = Figures(told).reclaim.freed
    for category in (*_IMAGES, Category.VOLUMES_UNUSED):
        assert found[category].how.commands == ()
        assert "the container web: hostconfig.json is empty" in found[category].why
    for category in (Category.CONTAINERS_STOPPED, Category.BUILD_CACHE):
        assert found[category].why == ""
        assert found[category].how.commands


def test_what_a_half_removed_container_used_is_free_and_the_rest_of_it_stays() -> None:
    """Its layers are removed first, and then the engine does not load it any more."""
    one = container(
        "web", image_id=ImageId("app"), volumes=("data",), state=ContainerState.DEAD, unloaded="it has no entry"
    )
    measured = {("containers", "web"): tree(1), ("volumes", "data"): tree(20), ("volumes", "data", "_data"): tree(300)}
    images = (image("app", references=(("a", "1"),), metadata=()),)
    told = snapshot(measured, containers=(one,), volumes=(volume("data"),), images=images)
    assert _freed(told) == {"images_unused": (0, 1), "volumes_unused": (320, 1)}


def test_of_containers_with_one_name_it_is_not_known_which_the_engine_loads() -> None:
    twins = (replace(container(name), name="web") for name in "ab")
    containers = (*twins, container("c", unloaded="it is damaged"))
    told = Figures(snapshot({}, containers=containers, volumes=(volume("data"),))).reclaim.freed
    for category in (*_IMAGES, Category.CONTAINERS_STOPPED, Category.VOLUMES_UNUSED):
        assert (told[category].allocated, told[category].objects) == (None, None)
        assert "2 containers have the name web" in told[category].why
    assert told[Category.BUILD_CACHE].why == ""


def test_an_image_that_the_engine_does_not_load_is_pruned_by_nothing_and_holds_nothing() -> None:
    layers = (layer("base"), layer("app"), layer("lost"))
    images = (
        image("lost", "lost", "base", references=(("l", "1"),), broken=True, unloaded=True),
        image("app", "app", "base", references=(("a", "1"),), metadata=()),
    )
    told = snapshot(_measured(layers, base=1, app=20, lost=300), layers=layers, images=images)
    assert _freed(told) == {"images_unused": (21, 1)}


def test_an_engine_without_prunes_is_told_what_to_remove_by_name() -> None:
    images = (
        image("child000000000", parent="parent", references=(("a", "1"), ("b", "2"))),
        image("parent", references=(("p", "1"),)),
        image("digest", digests=("d@sha256:1",)),
        image("none0000000000", dangling=True),
    )
    told = snapshot(
        {},
        images=images,
        containers=(container("done00000000000"), container("runs", state=ContainerState.RUNNING)),
        volumes=(volume("data"),),
        engine=EngineVersion((1, 9), (1, 10)),
    )
    commands = {category.value: freed.how.commands for category, freed in Figures(told).reclaim.freed.items()}
    assert commands == {
        "containers_stopped": ("docker rm done00000000",),
        "images_dangling": ("docker rmi none0000000000",),
        "images_unused": (commands["images_unused"][0],),
        "volumes_unused": ("docker volume rm data",),
        "build_cache": (),
        "build_history": (),
        "layers_orphaned": (),
    }
    words = commands["images_unused"][0].split()
    assert words[:2] == ["docker", "rmi"]
    assert {*words[2:]} == {"a:1", "b:2", "p:1", "d@sha256:1"}
    assert words.index("p:1") > words.index("b:2") > words.index("a:1"), "a parent after its children"


def test_a_bind_mount_with_the_name_of_a_volume_does_not_hold_it() -> None:
    one = container("runs", state=ContainerState.RUNNING, volumes=("data",))
    bound = replace(one, mounts=tuple(replace(mount, kind="bind") for mount in one.mounts))
    measured = {("volumes", "data", "_data"): tree(7), ("volumes", "data"): tree(0)}
    assert _freed(snapshot(measured, volumes=(volume("data"),), containers=(one,))) == {}
    assert _freed(snapshot(measured, volumes=(volume("data"),), containers=(bound,))) == {"volumes_unused": (7, 1)}


def test_the_build_cache_frees_the_layers_that_only_it_needs_and_none_of_its_own_files() -> None:
    layers = (layer("base"), layer("stage", Use.BUILD_CACHE), layer("alien", Use.BUILD_CACHE, driver="vfs"))
    cache = BuildCache(
        records=(BuildRecord("one"), BuildRecord("two")),
        holds={"overlay2": frozenset({LayerId("base"), LayerId("stage")}), "vfs": frozenset({LayerId("alien")})},
        content=(("buildkit", "content"),),
        files=(("buildkit",),),
    )
    measured = _measured(layers, base=1, stage=20, alien=300) | {("buildkit",): tree(4000)}
    images = (image("app", "base"),)
    told = snapshot(measured, layers=layers, build_cache=cache, images=images, drivers=("overlay2", "vfs"))
    assert _freed(told) == {"images_unused": (0, 1), "build_cache": (321, 2)}
    used = snapshot(
        measured,
        layers=layers,
        build_cache=cache,
        images=images,
        containers=(container("web", image_id=ImageId("app"), state=ContainerState.RUNNING),),
        drivers=("overlay2", "vfs"),
    )
    assert _freed(used) == {"build_cache": (320, 2)}


def test_orphaned_layers_are_counted_and_pending_ones_are_kept() -> None:
    layers = (layer("left", Use.ORPHANED), layer("coming", Use.PENDING))
    told = snapshot(_measured(layers, left=10, coming=300), layers=layers)
    assert _freed(told) == {"layers_orphaned": (10, 1)}


def test_all_trees_of_a_layer_go_with_it() -> None:
    one = layer(
        "a",
        content=("overlay2", "a", "diff"),
        home=("overlay2", "a"),
        metadata=(("overlay2", "l", "A"), ("image", "x")),
    )
    measured: dict[Tree, Measured] = {
        ("overlay2", "a"): tree(1),
        ("overlay2", "a", "diff"): tree(20),
        ("overlay2", "a", "diff", "mounted-inside"): tree(300),
        ("overlay2", "l", "A"): tree(4000),
        ("image", "x"): tree(50000),
        ("overlay2", "l", "B"): tree(600000),
    }
    told = snapshot(measured, layers=(one,), images=(image("app", "a", metadata=()),))
    assert _freed(told) == {"images_unused": (54321, 1)}
    assert Figures(told).reclaim.unattributed == 2 * 600000


@pytest.mark.parametrize("use", [Use.IMAGE, Use.ORPHANED])
def test_what_a_category_frees_is_not_known_where_a_tree_of_it_was_not_measured(use: Use) -> None:
    layers = (layer("a", use), layer("b", use))
    images = (image("one", "a", metadata=()), image("two", "b", metadata=())) if use is Use.IMAGE else ()
    category = "images_unused" if use is Use.IMAGE else "layers_orphaned"
    assert _freed(snapshot(_measured(layers, a=1, b=2), layers=layers, images=images)) == {category: (3, 2)}
    assert _freed(snapshot(_measured(layers, a=1), layers=layers, images=images)) == {category: (None, 2)}


def test_a_tree_that_was_not_measured_makes_only_its_own_category_unknown() -> None:
    volumes = (volume("data"),)
    layers = (layer("left", Use.ORPHANED),)
    told = snapshot({("volumes", "data"): tree(1), ("overlay2", "left"): tree(2)}, volumes=volumes, layers=layers)
    assert _freed(told) == {"volumes_unused": (None, 1), "layers_orphaned": (2, 1)}


def test_what_a_category_frees_is_not_known_where_its_layers_are_no_directories() -> None:
    layers = (layer("a", content=None, driver="devicemapper"),)
    images = (image("one", "a", driver="devicemapper", metadata=()),)
    told = snapshot({}, layers=layers, images=images, drivers=("devicemapper",))
    assert _freed(told) == {"images_unused": (None, 1)}


def test_metadata_of_images_and_short_names_of_layers_need_not_be_there() -> None:
    one = layer("a", metadata=(("overlay2", "l", "GONE"), ("image", "overlay2", "layerdb", "sha256", "a")))
    told = snapshot({("overlay2", "a"): tree(5)}, layers=(one,), images=(image("app", "a"),))
    assert _freed(told) == {"images_unused": (5, 1)}


def test_an_inode_is_freed_with_the_last_category_that_has_a_link_to_it() -> None:
    """Of 1000 bytes with links in each of five categories, the last one frees them; one that is kept, none does."""
    layers = (layer("old"), layer("base"), layer("left", Use.ORPHANED), layer("kept"))
    images = (
        image("dangling", "old", dangling=True, metadata=()),
        image("unused", "base", references=(("a", "1"),), metadata=()),
        image("used", "kept", references=(("b", "1"),), metadata=()),
    )
    containers = (container("web", state=ContainerState.RUNNING, image_id=ImageId("used"), metadata=()),)
    link = {7: shared(1000, links=4)}
    trees: dict[Tree, Measured] = {
        ("overlay2", "old"): tree(1001, link, inodes=2),
        ("overlay2", "base"): tree(1020, link, inodes=2),
        ("volumes", "data"): tree(0),
        ("volumes", "data", "_data"): tree(1300, link, inodes=2),
        ("overlay2", "left"): tree(5000, link, inodes=2),
        ("overlay2", "kept"): tree(60000),
    }
    objects = {"layers": layers, "images": images, "containers": containers, "volumes": (volume("data"),)}
    expected = {"images_dangling": (1, 1), "images_unused": (20, 1), "volumes_unused": (300, 1)}
    assert _freed(snapshot(trees, **objects)) == {**expected, "layers_orphaned": (5000, 1)}
    kept = trees | {("overlay2", "kept"): tree(60000, link)}
    assert _freed(snapshot(kept, **objects)) == {**expected, "layers_orphaned": (4000, 1)}


def test_what_belongs_to_no_object_is_told_without_what_it_shares_with_objects() -> None:
    layers = (layer("left", Use.ORPHANED),)
    trees: dict[Tree, Measured] = {
        ("overlay2", "left"): tree(1000, {7: shared(1000)}),
        ("tmp",): tree(1005, {7: shared(1000)}, inodes=2),
        ("tmp", "more"): tree(60),
        ("nfs",): tree(9000, device=ELSEWHERE),
    }
    told = snapshot(trees, layers=layers)
    assert _freed(told) == {"layers_orphaned": (1000, 1)}
    assert Figures(told).reclaim.unattributed == 2 * 65


def _everything() -> tuple[dict[Tree, Measured], dict[str, Any]]:
    """A root in which each tree is an object's, with trees in those that are nobody's own."""
    one = layer("a", content=("overlay2", "a", "diff"), home=("overlay2", "a"), metadata=(("image", "layerdb", "a"),))
    objects = {
        "layers": (one,),
        "images": (image("app", "a"),),
        "containers": (container("web", image_id=ImageId("app"), state=ContainerState.RUNNING),),
        "volumes": (volume("data", tree=("vfs", "dir", "data")),),
        "build_cache": BuildCache(files=(("buildkit",),), content=(("content",),)),
    }
    trees: list[Tree] = [("overlay2", "a"), ("overlay2", "a", "diff"), ("overlay2", "a", "work")]
    trees += [("image", "layerdb", "a"), ("image", "app"), ("containers", "web"), ("containers", "web", "x", "y")]
    trees += [("volumes", "data"), ("vfs", "dir", "data"), ("buildkit",), ("buildkit", "metadata.db"), ("content",)]
    return {one: tree(10**at) for at, one in enumerate(trees)}, objects


def test_what_an_object_has_or_what_lies_in_it_is_the_objects() -> None:
    measured, objects = _everything()
    assert Figures(snapshot(measured, **objects)).reclaim.unattributed == 0


@pytest.mark.parametrize("left", ["layers", "images", "containers", "volumes", "build_cache"])
def test_without_the_object_its_trees_belong_to_nothing(left: str) -> None:
    measured, objects = _everything()
    owned: dict[str, list[Tree]] = {
        "layers": [("overlay2", "a"), ("image", "layerdb", "a")],
        "images": [("image", "app")],
        "containers": [("containers", "web")],
        "volumes": [("volumes", "data"), ("vfs", "dir", "data")],
        "build_cache": [("buildkit",), ("content",)],
    }
    homes = owned[left]
    expected = sum(
        one.usage.allocated for at, one in measured.items() if any(at[: len(home)] == home for home in homes)
    )
    objects.pop(left)
    assert Figures(snapshot(measured, **objects)).reclaim.unattributed == expected


def test_a_layer_that_is_not_on_disk_frees_nothing_and_hides_nothing() -> None:
    layers = (layer("a"),)
    images = (image("app", "a", "gone", metadata=()),)
    assert _freed(snapshot(_measured(layers, a=5), layers=layers, images=images)) == {"images_unused": (5, 1)}
