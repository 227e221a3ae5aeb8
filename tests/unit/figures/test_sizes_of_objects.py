"""The sizes of images, containers, volumes and build records, each worked out by hand."""

from fractions import Fraction

import pytest
from msgspec.structs import replace

from exporter.core.measured import Changes, Usage
from exporter.core.model import (
    BuildCache,
    BuildRecord,
    ContainerState,
    ImageId,
    ImageState,
    Layer,
    LayerId,
    LayerKey,
    Use,
)
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category
from tests.support.snapshots import (
    ELSEWHERE,
    container,
    container_key,
    image,
    image_key,
    layer,
    shared,
    snapshot,
    tree,
    volume,
)


def _recorded(**sizes: int) -> tuple[Layer, ...]:
    return tuple(layer(name, recorded_size=size) for name, size in sizes.items())


def test_a_layers_size_is_what_docker_wrote_down_before_what_was_compared_before_what_was_measured() -> None:
    changes = Changes(("overlay2", "b"), (("overlay2", "a"),))
    layers = (
        layer("a", recorded_size=0, changes=changes),
        layer("b", changes=changes),
        layer("c"),
        layer("uncompared", changes=changes),
        layer("untold", size_known=False),
        layer("unmeasured"),
        layer("elsewhere", content=None),
    )
    told = snapshot({one.content: tree(9) for one in layers[:5] if one.content is not None}, layers=layers)
    made = Figures(told).layer_sizes
    assert made == {("overlay2", "a"): 0, ("overlay2", "c"): 9}
    compared = replace(told, differences={LayerKey("overlay2", LayerId("b")): 4})
    assert Figures(compared).layer_sizes[LayerKey("overlay2", LayerId("b"))] == 4


def test_a_layer_that_images_share_counts_in_full_for_each_and_in_parts_for_their_shares() -> None:
    images = (
        image("first", "app", "lib", "base"),
        image("second", "web", "base"),
        image("third", "base"),
        image("hidden", "lib", "base", listed=False),
        image("empty"),
    )
    found = Figures(snapshot({}, layers=_recorded(base=1000, lib=70, app=5, web=3), images=images)).images
    figures = {name: found[image_key(name)] for name in ("first", "second", "third", "hidden", "empty")}
    assert {name: one.virtual for name, one in figures.items()} == {
        "first": 1075,
        "second": 1003,
        "third": 1000,
        "hidden": 1070,
        "empty": 0,
    }
    assert {name: one.unique for name, one in figures.items()} == {
        "first": 75,  # the hidden one shares `lib`, and does not count
        "second": 3,
        "third": 0,
        "hidden": None,
        "empty": 0,
    }
    third = float(Fraction(1000, 3))
    assert [figures[name].proportional for name in figures] == [75 + third, 3 + third, third, None, 0]


def test_images_of_two_drivers_share_no_layer_of_one_name() -> None:
    layers = (layer("base", recorded_size=10), layer("base", driver="vfs", recorded_size=30))
    images = (image("one", "base"), image("two", "base", driver="vfs"))
    found = Figures(snapshot({}, layers=layers, images=images, drivers=("overlay2", "vfs"))).images
    assert [(one.virtual, one.unique, one.proportional) for one in found.values()] == [(10, 10, 10.0), (30, 30, 30.0)]


def test_an_image_has_no_size_where_one_of_its_layers_has_none() -> None:
    layers = (*_recorded(base=1000), layer("odd", size_known=False))
    found = Figures(snapshot({}, layers=layers, images=(image("one", "odd", "base"), image("two", "base")))).images
    assert (found[image_key("one")].virtual, found[image_key("one")].unique) == (None, None)
    assert found[image_key("one")].proportional is None
    assert found[image_key("two")].virtual == 1000


def test_of_an_image_that_has_lost_layers_the_shares_of_the_others_are_still_told() -> None:
    """The graph layout counts no further than the gap, as Docker does; the newer one would give no size at all."""
    images = (
        image("gap", "base", broken=True, digest="sha256:1"),
        image("old", "base", broken=True),
        image("gone", broken=True),
        image("whole", "base", digest="sha256:2"),
    )
    found = Figures(snapshot({}, layers=_recorded(base=1000), images=images)).images
    sizes = {name: (one.virtual, one.unique, one.proportional) for (_, _, name), one in found.items()}
    third = float(Fraction(1000, 3))
    assert sizes == {
        "gap": (None, None, third),
        "old": (1000, 0, third),
        "gone": (None, None, None),
        "whole": (1000, 0, third),
    }


def test_an_image_is_used_before_it_is_dangling_and_intermediate_before_both() -> None:
    images = (
        image("used", dangling=True),
        image("dangling", dangling=True),
        image("unused"),
        image("inner", listed=False),
    )
    containers = (
        container("a", image_id=ImageId("used")),
        container("b", image_id=ImageId("used")),
        container("c", image_id=ImageId("inner")),
        container("d", image_id=ImageId("unused"), driver="vfs"),
    )
    found = Figures(snapshot({}, images=images, containers=containers)).images
    assert {name: (one.state, one.containers) for (_, _, name), one in found.items()} == {
        "used": (ImageState.USED, 2),
        "dangling": (ImageState.DANGLING, 0),
        "unused": (ImageState.UNUSED, 0),
        "inner": (ImageState.INTERMEDIATE, 1),
    }


@pytest.mark.parametrize("use", Use)
def test_layers_of_a_use_have_a_sum_where_each_has_a_size(use: Use) -> None:
    """What nothing refers to has no size with Docker: its files are summed instead."""
    layers = (layer("a", use, recorded_size=5), layer("b", use, size_known=False))
    measured = {("overlay2", "a"): tree(30, {7: shared(20)}), ("overlay2", "b"): tree(20, {7: shared(20)})}
    found = Figures(snapshot(measured, layers=layers)).layers["overlay2", "", use]
    assert (found.count, found.usage) == (2, Usage(30, 60, 1))
    assert found.size == (30 if use in (Use.PENDING, Use.ORPHANED) else None)
    complete = Figures(snapshot(measured, layers=layers[:1])).layers["overlay2", "", use]
    assert complete.size == (30 if use in (Use.PENDING, Use.ORPHANED) else 5)


def test_every_use_of_every_driver_has_a_sum_also_of_nothing() -> None:
    found = Figures(snapshot({}, drivers=("aufs", "vfs"))).layers
    assert found.keys() == {(driver, "", use) for driver in ("aufs", "vfs") for use in Use}
    assert all((one.count, one.size, one.usage) == (0, 0, Usage()) for one in found.values())


def test_a_container_is_as_large_as_its_layer_and_all_that_it_stands_on() -> None:
    layers = (*_recorded(base=1000, lib=70), layer("own", Use.CONTAINER))
    containers = (
        container("chained", layer=LayerId("own"), chain=(LayerId("lib"), LayerId("base"))),
        container("imaged", layer=LayerId("own"), image_id=ImageId("app")),
        container("gap", layer=LayerId("own"), chain=(LayerId("lib"), LayerId("gone")), image_id=ImageId("app")),
        container("lost", image_id=ImageId("app")),
        container("alone", layer=LayerId("own")),
        container("unmeasured", layer=LayerId("other"), image_id=ImageId("app")),
    )
    measured = {("overlay2", "own"): tree(6, inodes=3)}
    told = snapshot(measured, layers=layers, images=(image("app", "base"),), containers=containers)
    items = Figures(told).containers.items()
    found = {name: (one.writable_size, one.writable, one.virtual) for (_, name), one in items}
    usage = Usage(6, 12, 3)
    assert found == {
        "chained": (6, usage, 1076),
        "imaged": (6, usage, 1006),
        "gap": (6, usage, None),
        "lost": (None, None, None),
        "alone": (6, usage, None),
        "unmeasured": (None, None, None),
    }


def test_a_container_has_another_size_when_a_layer_below_has_also_where_others_on_it_came_and_went() -> None:
    layers = (layer("base"), layer("app", recorded_size=5), layer("w1", Use.CONTAINER), layer("w2", Use.CONTAINER))
    own = {("overlay2", name): tree(3) for name in ("w1", "w2")}
    chain = (LayerId("app"), LayerId("base"))
    first, second = (container(name, layer=LayerId(f"w{name}"), chain=chain) for name in ("1", "2"))
    base, figures = ("overlay2", "base"), None
    for size, there, expected in (
        (100, (first,), {"1": 108}),
        (100, (first, second), {"1": 108, "2": 108}),
        (200, (first, second), {"1": 208, "2": 208}),
        (200, (second,), {"2": 208}),
        (300, (second,), {"2": 308}),
        (300, (), {}),
        (400, (first,), {"1": 408}),
        (500, (first,), {"1": 508}),
    ):
        figures = Figures(snapshot({**own, base: tree(size)}, layers=layers, containers=there), figures)
        found = figures.containers
        assert {key.id: one.virtual for key, one in found.items()} == expected
        figures.forget_before()


def test_layers_go_with_the_last_container_that_stands_on_them() -> None:
    layers = (layer("base"), layer("w1", Use.CONTAINER), layer("w2", Use.CONTAINER))
    own = {("overlay2", name): tree(3) for name in ("w1", "w2", "base")}
    homes = {("containers", name): tree(0) for name in "12"}
    stopped, runs = (
        container(str(at), state=state, layer=LayerId(f"w{at}"), chain=(LayerId("base"),))
        for at, state in ((1, ContainerState.EXITED), (2, ContainerState.RUNNING))
    )
    figures = None
    for there, freed in (
        ((stopped,), 6 + 6),  # with what it stands on
        ((stopped, runs), 6),
        ((runs,), 0),
        ((), 0),
        ((stopped,), 6 + 6),
    ):
        figures = Figures(snapshot({**own, **homes}, layers=layers, containers=there), figures)
        assert figures.reclaim.freed[Category.CONTAINERS_STOPPED].allocated == freed, there
        figures.forget_before()


def test_what_a_container_has_written_goes_with_its_layer_also_of_one_without_a_size() -> None:
    """The parent of a full copy is gone: its size cannot be known, but what it occupies is. Then it goes as well."""
    one, own = container("c", layer=LayerId("own")), layer("own", Use.CONTAINER, size_known=False)
    first = Figures(snapshot({("overlay2", "own"): tree(5)}, layers=(own,), containers=(one,)))
    first.forget_before()
    assert first.containers[one.key].writable == Usage(5, 10, 1)
    assert Figures(snapshot({}, containers=(one,)), first).containers[one.key].writable is None


def test_a_container_does_not_stand_on_an_image_of_another_driver() -> None:
    layers = (layer("own", Use.CONTAINER, recorded_size=1), layer("base", driver="vfs", recorded_size=1000))
    one = container("web", layer=LayerId("own"), image_id=ImageId("app"))
    told = snapshot({}, layers=layers, images=(image("app", "base", driver="vfs"),), containers=(one,))
    assert Figures(told).containers[container_key("web")].virtual is None


def test_a_volume_has_the_usage_of_its_data_wherever_that_lies() -> None:
    volumes = (volume("here"), volume("mounted"), volume("away", tree=None), volume("failed"))
    measured = {("volumes", "here", "_data"): tree(5), ("volumes", "mounted", "_data"): tree(7, device=ELSEWHERE)}
    assert Figures(snapshot(measured, volumes=volumes)).volumes == {
        "here": Usage(5, 10, 1),
        "mounted": Usage(7, 14, 1),
        "away": None,
        "failed": None,
    }


def test_of_two_volumes_with_one_tree_both_have_what_is_there_now() -> None:
    """An entry of Docker 1.3 to 1.6 may name the data of another one."""
    one, other = volume("one", tree=("vfs", "dir", "x")), volume("other", tree=("vfs", "dir", "x"))
    first = Figures(snapshot({("vfs", "dir", "x"): tree(5)}, volumes=(one,)))
    first.forget_before()
    now = Figures(snapshot({("vfs", "dir", "x"): tree(7)}, volumes=(one, other)), first)
    assert now.volumes == dict.fromkeys(("one", "other"), Usage(7, 14, 1))


def test_a_container_counts_once_for_each_volume_however_often_it_mounts_it() -> None:
    containers = (
        container("twice", volumes=("data", "data", "log")),
        container("once", volumes=("data",), state=ContainerState.RUNNING),
    )
    volumes = (volume("data"), volume("log"))
    told = snapshot({}, containers=containers, volumes=volumes)
    assert [Figures(told).volume_containers(name) for name in ("data", "log")] == [2, 1]
    bound = [replace(one, mounts=tuple(replace(mount, kind="bind") for mount in one.mounts)) for one in containers]
    told = snapshot({}, containers=tuple(bound), volumes=volumes)
    assert [Figures(told).volume_containers(name) for name in ("data", "log")] == [0, 0]


def test_the_build_cache_is_the_sum_of_the_records_whose_layers_are_no_images() -> None:
    records = (
        BuildRecord("sized", size=100, content=("overlay2", "x")),
        BuildRecord("shared", size=5000, shared=True),
        BuildRecord("measured", content=("overlay2", "x")),
    )
    measured = {("overlay2", "x"): tree(30)}
    found = Figures(snapshot(measured, build_cache=BuildCache(records))).build_cache
    assert (found.size, found.records) == (130, {"sized": 100, "shared": 5000, "measured": 30})
    unknown = BuildCache((*records, BuildRecord("unknown")))
    assert Figures(snapshot(measured, build_cache=unknown)).build_cache.size is None
    one_that_is_an_image = BuildCache((*records, BuildRecord("unknown", shared=True)))
    assert Figures(snapshot(measured, build_cache=one_that_is_an_image)).build_cache.size == 130


def test_the_build_caches_disk_space_is_its_snapshots_then_its_blobs_then_its_own_files() -> None:
    cache = BuildCache(content=(("buildkit", "content"),), files=(("buildkit",),))
    layers = (layer("snap", Use.BUILD_CACHE), layer("base"))
    measured = {
        ("overlay2", "snap"): tree(10, {7: shared(10)}),
        ("overlay2", "base"): tree(1000),
        ("buildkit",): tree(1),
        ("buildkit", "metadata.db"): tree(20),
        ("buildkit", "content"): tree(300, {7: shared(10), 8: shared(5)}),
        ("buildkit", "content", "blob"): tree(4000, {8: shared(5)}),
    }
    found = Figures(snapshot(measured, build_cache=cache, layers=layers)).build_cache
    assert found.allocated == {"snapshots": 20, "content": 2 * (300 - 10 + 4000 - 5), "metadata": 42}


def test_of_two_records_with_one_id_nothing_goes_on() -> None:
    unsized, sized = BuildRecord("a", content=("buildkit", "a")), BuildRecord("a", size=5)
    figures = None
    for records in ((unsized,), (unsized, sized), (sized,)):
        figures = Figures(snapshot({}, build_cache=BuildCache(records)), figures)
        figures.forget_before()
    assert figures is not None
    assert figures.build_cache.size == 5


def test_where_there_is_no_build_cache_it_occupies_nothing() -> None:
    found = Figures(snapshot({("overlay2", "base"): tree(1000)}, layers=(layer("base"),))).build_cache
    assert (found.size, found.allocated) == (0, {"snapshots": 0, "content": 0, "metadata": 0})


def test_what_could_not_be_measured_is_no_part_of_a_sum() -> None:
    layers = (layer("a", recorded_size=5), layer("gone", recorded_size=70))
    told = snapshot({("overlay2", "a"): tree(5)}, layers=layers)
    assert Figures(told).layers["overlay2", "", Use.IMAGE].usage == Usage(5, 10, 1)
    assert Figures(told).layers["overlay2", "", Use.IMAGE].size == 75
    assert "." not in Figures(replace(told, measured={("overlay2", "a"): tree(5)})).directories
