"""A limit of exactly as many series as a kind of object has drops none of it, and one less drops the smallest."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.config.limits import LIMITED, Limited, Shown
from exporter.core.measured import Usage
from exporter.core.model import BuildCache, BuildRecord, ContainerState, ImageId, LayerId, Log, Snapshot, Use
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.families import families
from exporter.expose.metrics.family import MetricFamily
from exporter.figures.figures import Figures
from tests.support.snapshots import container, image, layer, snapshot, tree, volume

#: The families whose series each collector's limit counts: all that have a series for each object.
_FAMILIES: Mapping[str, tuple[c.Metric, ...]] = {
    "binds": (c.BIND_SIZE, c.BIND_ALLOCATED),
    "directories": (c.DIRECTORY_SIZE, c.DIRECTORY_ALLOCATED, c.DIRECTORY_INODES),
    "layers": (c.LAYER_SIZE, c.LAYER_INFO),
    "images": (
        c.IMAGE_VIRTUAL_SIZE,
        c.IMAGE_UNIQUE_SIZE,
        c.IMAGE_PROPORTIONAL_SIZE,
        c.IMAGE_LAYERS,
        c.IMAGE_CONTAINERS,
        c.IMAGE_CREATED,
        c.IMAGE_INFO,
        c.IMAGE_TAG_INFO,
    ),
    "containers": (
        c.CONTAINER_WRITABLE_SIZE,
        c.CONTAINER_WRITABLE_ALLOCATED,
        c.CONTAINER_WRITABLE_INODES,
        c.CONTAINER_VIRTUAL_SIZE,
        c.CONTAINER_LOG_SIZE,
        c.CONTAINER_LOG_LIMIT,
        c.CONTAINER_LOG_BOUNDED,
        c.CONTAINER_CHECKPOINTS,
        c.CONTAINER_RUNNING,
        c.CONTAINER_CREATED,
        c.CONTAINER_FINISHED,
        c.CONTAINER_INFO,
        c.CONTAINER_MOUNT_INFO,
    ),
    "volumes": (c.VOLUME_SIZE, c.VOLUME_ALLOCATED, c.VOLUME_INODES, c.VOLUME_CONTAINERS, c.VOLUME_INFO),
    "build_cache": (
        c.BUILD_RECORD_SIZE,
        c.BUILD_RECORD_CREATED,
        c.BUILD_RECORD_USED,
        c.BUILD_RECORD_USES,
        c.BUILD_RECORD_INFO,
    ),
}


@pytest.fixture(scope="module")
def told() -> Snapshot:
    """Of each kind one object of which everything is known, one of which little is, and one between them."""
    layers = (layer("base", recorded_size=70), layer("app", recorded_size=5), layer("odd", size_known=False))
    images = (
        image("app", "app", "base", references=(("a", "1"), ("a", "2")), created=1.0),
        image("base", "base"),
        image("lost", broken=True, created=1.0),
    )
    containers = (
        container(
            "full",
            layer=LayerId("web"),
            image_id=ImageId("app"),
            log=Log("json-file", limit=10, bounded=True),
            volumes=("data", "more"),
            created=1.0,
            finished=1.0,
            checkpoints=("containers", "full", "checkpoints"),
        ),
        container("unknown", state=ContainerState.UNKNOWN),
        container("some", created=1.0, volumes=("data",)),
    )
    records = (BuildRecord("full", "regular", 9, None, 1.0, 1.0, 1), BuildRecord("bare"), BuildRecord("used", size=3))
    measured = {
        ("overlay2", "web"): tree(8),
        ("containers", "full", "checkpoints"): tree(6),
        ("volumes", "data", "_data"): tree(5),
        ("volumes", "data"): tree(1),
        ("volumes",): tree(1),
    }
    made = snapshot(
        measured,
        layers=(*layers, layer("web", Use.CONTAINER)),
        images=images,
        containers=containers,
        volumes=(volume("data"), volume("away", tree=None), volume("lost")),
        build_cache=BuildCache(records),
        directories=("volumes",),
    )
    binds = {"/srv/large": Usage(9, 512, 1), "/srv/more": Usage(8, 1024, 2), "/srv/small": Usage()}
    return replace(made, logs={containers[0].id: 100, containers[2].id: 10}, binds=binds)


def _families(told: Snapshot, collector: str = "", most: int = 0) -> dict[str, MetricFamily]:
    shown = Shown(each_layer=True, most=((collector, most),) if collector else ())
    return {one.name: one for one in families(Figures(told), shown)}


def _samples(found: Mapping[str, MetricFamily], collector: str) -> Iterator[Any]:
    for metric in _FAMILIES[collector]:
        yield from found[metric.name.removesuffix("_info") if metric.kind == "info" else metric.name].samples


def _dropped(found: Mapping[str, MetricFamily], collector: str) -> float:
    return next(one.value for one in found[c.SERIES_DROPPED.name].samples if one.labels["collector"] == collector)


def test_every_collector_with_a_limit_is_looked_at_here() -> None:
    assert _FAMILIES.keys() == {*LIMITED}


@pytest.mark.parametrize("collector", LIMITED)
def test_a_limit_of_exactly_as_many_series_as_there_are_drops_nothing(told: Snapshot, collector: str) -> None:
    everything = _families(told)
    count = len([*_samples(everything, collector)])
    for most in (count, count + 1, 0):
        found = _families(told, collector, most)
        assert [*_samples(found, collector)] == [*_samples(everything, collector)]
        assert _dropped(found, collector) == 0


@pytest.mark.parametrize("collector", LIMITED)
def test_with_a_limit_of_one_less_one_object_is_dropped_and_the_rest_stays_within_it(
    told: Snapshot, collector: str
) -> None:
    everything = [*_samples(_families(told), collector)]
    found = _families(told, collector, len(everything) - 1)
    kept = [*_samples(found, collector)]
    assert _dropped(found, collector) == 1
    assert 0 < len(kept) < len(everything)
    assert all(one in everything for one in kept)
    for other in {*LIMITED} - {collector}:
        assert [*_samples(found, other)] == [*_samples(_families(told), other)]
        assert _dropped(found, other) == 0


def test_ninety_series_of_containers_are_within_a_limit_of_ninety() -> None:
    """Ten of them, with nine series each: what is not known of them is no series."""
    containers = tuple(
        container(f"c{at}", log=Log("json-file", limit=1, bounded=True), created=1.0, finished=1.0, volumes=("a", "b"))
        for at in range(10)
    )
    told = replace(snapshot({}, containers=containers), logs={one.id: 1 for one in containers})
    found = _families(told, "containers", 90)
    assert len([*_samples(found, "containers")]) == 90
    assert _dropped(found, "containers") == 0
    assert _dropped(_families(told, "containers", 89), "containers") == 1


_Made = tuple[int, int, int]
_OBJECTS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9), st.integers(0, 30)), max_size=12)


def _kept(limited: Limited, objects: list[tuple[int, _Made]]) -> list[tuple[tuple[int, _Made], bool]]:
    """Each object is its size, and how many series it has of those with one value and of those with many."""
    return limited.keep("images", objects, lambda one: one[1][0], lambda one: one[1][1], lambda one: one[1][2])


@given(_OBJECTS, st.integers(1, 90))
def test_many_valued_series_go_first_and_only_then_small_objects(objects: list[_Made], most: int) -> None:
    limited = Limited(Shown(most=(("images", most),)))
    named = [*enumerate(objects)]
    kept = _kept(limited, named)
    assert [one for one in named if one in [left for left, _ in kept]] == [left for left, _ in kept], "in their order"
    assert sum(one[1][1] + one[1][2] * whole for one, whole in kept) <= most
    assert limited.dropped["images"] == len(named) - sum(whole for _, whole in kept)
    if len(kept) < len(named):
        assert not any(whole and one[1][2] for one, whole in kept), "no object goes before all such series"
        ordered = sorted(named, key=lambda one: (-one[1][0], one[0]))
        assert {one for one, _ in kept} == {*ordered[: len(kept)]}, "the largest stay"
        assert sum(one[1][1] for one in ordered[: len(kept) + 1]) > most, "one more would be too many"
    else:
        whole = [one[1][2] for one, whole in kept if whole]
        cut = [one[1][2] for one, whole in kept if not whole]
        assert not cut or max(whole, default=0) <= min(cut), "those with the most give theirs up"
        singles = sum(one[1][1] for one in named)
        assert not cut or singles + sum(whole) + min(cut) > most, "no more than are needed"


def test_an_image_with_very_many_tags_takes_no_series_of_others_away() -> None:
    names = tuple(("repository", str(at)) for at in range(300))
    images = (
        image("many", "one", references=names),
        *(image(f"i{at}", "one", references=names[:1]) for at in range(9)),
    )
    found = _families(snapshot({}, images=images), "images", 200)
    assert {one.labels["image_id"] for one in found[c.IMAGE_INFO.name.removesuffix("_info")].samples} >= {
        "many",
        "i0",
        "i8",
    }
    assert len(found[c.IMAGE_TAG_INFO.name.removesuffix("_info")].samples) == 9
    assert _dropped(found, "images") == 1


def test_a_container_with_very_many_mounts_takes_no_series_of_others_away() -> None:
    many = tuple(map(str, range(300)))
    containers = (container("many", volumes=many), *(container(f"c{at}", volumes=("a",)) for at in range(9)))
    found = _families(snapshot({}, containers=containers), "containers", 200)
    assert len(found[c.CONTAINER_INFO.name.removesuffix("_info")].samples) == 10
    assert len(found[c.CONTAINER_MOUNT_INFO.name.removesuffix("_info")].samples) == 9
    assert _dropped(found, "containers") == 1


def test_without_a_limit_everything_is_kept() -> None:
    for shown in (Shown(), Shown(most=(("volumes", 1),)), Shown(most=(("images", 0),))):
        limited = Limited(shown)
        kept = limited.keep("images", [1, 2, 3], lambda one: one, lambda _: 10**6, lambda _: 10**6)
        assert kept == [(1, True), (2, True), (3, True)]
        assert limited.dropped == dict.fromkeys(LIMITED, 0)
