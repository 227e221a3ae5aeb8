"""Which objects are served: by collector and by name."""

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from exporter.cli.main import main
from exporter.config.limits import COLLECTORS, SUMS, Shown
from exporter.core.model import Snapshot
from exporter.expose.metrics.families import families
from exporter.figures.figures import Figures
from tests.support.snapshots import container, image, snapshot, tree, volume


def _told() -> Snapshot:
    images = (
        image("a", references=(("shop/web", "1"), ("web", "2"))),
        image("b", references=(("db", "1"),)),
        image("c", dangling=True),
    )
    containers = tuple(replace(container(name), name=name) for name in ("web-1", "db-1"))
    return snapshot(
        {("volumes", "v"): tree(1)}, images=images, containers=containers, volumes=(volume("data"), volume("tmp-1"))
    )


def _served(shown: Shown) -> dict[str, set[str]]:
    """The objects of each kind that have series, and the names of all families under "all"."""
    found = {one.metric.name: one for one in families(Figures(_told()), shown)}

    def labels(name: str, at: int) -> set[str]:
        return {key[at] for key in found[name].series} if name in found else set()

    return {
        "images": labels("docker_storage_image_layers", 2),
        "containers": labels("docker_storage_container_info", 3),
        "volumes": labels("docker_storage_volume_info", 0),
        "all": {name for name, one in found.items() if one.series},
    }


def test_without_a_choice_all_are_served() -> None:
    served = _served(Shown())
    assert {kind: len(served[kind]) for kind in ("images", "containers", "volumes")} == {
        "images": 3,
        "containers": 2,
        "volumes": 2,
    }


@pytest.mark.parametrize(
    ("pattern", "included"), [("^web", 1), ("web", 1), ("shop/web:1", 1), ("<none>", 1), ("^db:1$|<none>", 2), ("x", 0)]
)
def test_an_image_has_all_its_names(pattern: str, included: int) -> None:
    assert len(_served(Shown(include=(("images", pattern),)))["images"]) == included
    assert len(_served(Shown(exclude=(("images", pattern),)))["images"]) == 3 - included


def test_containers_and_volumes_are_chosen_by_their_names_and_sums_have_all() -> None:
    served = _served(Shown(include=(("containers", "^web-"),), exclude=(("volumes", "^tmp"),)))
    assert served["containers"] == {"web-1"}
    assert served["volumes"] == {"data"}
    all_, some = (
        {one.metric.name: dict(one.series) for one in families(Figures(_told()), shown)}
        for shown in (Shown(), Shown(exclude=(("volumes", "."), ("containers", "."))))
    )
    for name in ("docker_storage_volumes", "docker_storage_containers", "docker_storage_directory_allocated_bytes"):
        assert some[name] == all_[name]


@pytest.mark.parametrize("collector", [*COLLECTORS])
def test_a_collector_that_is_off_has_no_family(collector: str) -> None:
    served = _served(Shown(off=(collector,)))["all"]
    beginnings = tuple(f"docker_storage_{one}" for one in COLLECTORS[collector])
    assert not [name for name in served if name.startswith(beginnings)]
    assert served
    sums = {name for name in _served(Shown())["all"] if name.startswith(tuple(f"docker_storage_{one}" for one in SUMS))}
    assert sums, "there are some"
    assert sums <= served


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--collector.images.include", "("), "no regular expression"),
        (("--collector.images.include", "a", "--collector.images.exclude", "b"), "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(flags: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(main, ["once", *flags])
    assert done.exit_code == 2
    assert said in done.output
