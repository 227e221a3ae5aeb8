"""What each step of a plan frees, worked out by hand, and compared with what the prunes free together."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.core.engine_version import PRUNES
from exporter.core.model import BuildCache, ContainerState, ImageId, LayerId, Snapshot, Use
from exporter.core.splices import Change
from exporter.figures.figures import Figures
from exporter.figures.plan import plan
from exporter.figures.prunable import Loading, reasons_against
from exporter.figures.prunes import Category
from tests.support.histories import History
from tests.support.snapshots import container, image, layer, snapshot, tree


def _steps(told: Snapshot, *skipped: Category) -> list[tuple[str, str, int | None]]:
    """Kind, id and bytes (half of those allocated) of each step that frees something."""
    return [
        (step.kind.value, step.of.id if step.of else "", step.allocated and step.allocated // 2)
        for step in plan(told, skipped)
        if step.allocated != 0
    ]


def test_each_step_frees_what_nothing_after_it_needs() -> None:
    layers = tuple(layer(name) for name in ("base", "lib", "app", "old", "own", "cache"))
    images = (
        image("young", "app", "base", references=(("a", "1"),), created=30.0),
        image("aged", "lib", "base", references=(("b", "1"),), created=20.0),
        image("nameless", "old", "lib", "base", dangling=True, created=50.0),
    )
    gone = container("gone", image_id=ImageId("young"), layer=LayerId("own"), chain=(LayerId("app"), LayerId("base")))
    gone = replace(gone, metadata=())
    cache = BuildCache(holds={"overlay2": frozenset((LayerId("cache"), LayerId("lib")))})
    sizes = {"base": 1, "lib": 20, "app": 300, "old": 4000, "own": 50_000, "cache": 600_000}
    measured = {one.trees[0]: tree(sizes[one.id]) for one in layers}
    told = snapshot(measured, layers=layers, images=images, containers=(gone,), build_cache=cache)
    assert _steps(told) == [
        ("build_cache", "", 600_000),
        ("images_dangling", "", 4000),
        ("container", "gone", 50_000),
        ("image", "aged", 20),
        ("image", "young", 301),
    ]
    running = replace(told.inventory, containers=(replace(gone, state=ContainerState.RUNNING),))
    assert _steps(replace(told, inventory=running)) == [
        ("build_cache", "", 600_000),
        ("images_dangling", "", 4000),
        ("image", "aged", 20),
    ]
    assert _steps(told, Category.CONTAINERS_STOPPED, Category.BUILD_CACHE) == [("images_dangling", "", 4000)]


def test_an_image_without_a_name_that_a_stopped_container_uses_goes_after_that() -> None:
    layers = (layer("l"),)
    images = (image("used", "l", dangling=True, created=1.0),)
    gone = container("gone", image_id=ImageId("used"), chain=(LayerId("l"),), metadata=())
    told = snapshot({layers[0].trees[0]: tree(7)}, layers=layers, images=images, containers=(gone,))
    assert [one.kind.value for one in plan(told, ())] == [
        *("build_cache", "container", "image", "layers_orphaned"),
    ]
    assert _steps(told) == [("image", "used", 7)]


def test_what_an_image_was_built_on_goes_after_it_or_with_it() -> None:
    layers = tuple(layer(name) for name in ("base", "middle", "top"))
    images = (
        image("parent", "base", references=(("p", "1"),), created=1.0),
        image("between", "middle", "base", listed=False, parent=ImageId("parent"), created=2.0),
        image("child", "top", "middle", "base", references=(("c", "1"),), parent=ImageId("between"), created=9.0),
    )
    measured = {one.trees[0]: tree(size) for one, size in zip(layers, (1, 20, 300), strict=True)}
    assert _steps(snapshot(measured, layers=layers, images=images)) == [("image", "child", 320), ("image", "parent", 1)]


def test_what_is_not_known_of_a_step_is_not_zero() -> None:
    layers = tuple(layer(name) for name in ("base", "lib"))
    images = (
        image("a", "base", references=(("a", "1"),), created=1.0),
        image("b", "lib", references=(("b", "1"),), created=2.0),
    )
    told = snapshot({layers[0].trees[0]: tree(7)}, layers=layers, images=images)
    lost = replace(told, incomplete=frozenset([layers[1].trees[0]]))
    assert _steps(lost) == [("image", "a", 7), ("image", "b", None)]


def test_layers_that_nothing_refers_to_are_the_last_step() -> None:
    layers = (layer("left", Use.ORPHANED), layer("kept", Use.PENDING))
    measured = {one.trees[0]: tree(5) for one in layers}
    assert _steps(snapshot(measured, layers=layers)) == [("layers_orphaned", "", 5)]
    assert _steps(snapshot(measured, layers=layers), Category.LAYERS_ORPHANED) == []


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 60))
@example(12192008, 10)
def test_all_steps_together_free_what_all_prunes_do(seed: int, length: int) -> None:
    *_, told = History(seed).snapshots(length)
    told = replace(told, inventory=replace(told.inventory, volumes=()))
    if told.inventory.content is not None and told.inventory.engine.has(PRUNES) is False:
        return  # there is no such engine
    freed = Figures(told).reclaim.freed
    loading = Loading()
    loading.advance(Change(told.inventory.containers, ()))
    skipped = reasons_against(told.inventory, loading)
    if any(one.why for category, one in freed.items() if category not in skipped):
        return  # what is not known of one category changes what those after it free
    expected = [one.allocated for category, one in freed.items() if category not in skipped]
    found = [one.allocated for one in plan(told, skipped)]
    assert (None in found) == (None in expected)
    if None not in found:
        assert sum(one or 0 for one in found) == sum(one or 0 for one in expected)
