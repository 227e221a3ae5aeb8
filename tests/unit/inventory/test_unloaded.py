"""Which containers an engine does not load when it starts: each kind was tried with Docker 20.10.24 and 26.1.5."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.core.model import Container
from tests.support.product import figures_of, scan
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest

_ID = digest("containerweb")


def _built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("a", 1).layer("b", 1, "a").image("b", "b", ["b:1"])
    return built.container("web", "b", "b").container("sound", "b", "b")


def _unloaded(root: Path) -> dict[str, str]:
    containers: tuple[Container, ...] = scan(root).inventory.containers
    return {one.id: one.unloaded for one in containers if one.unloaded}


def _write(file: str, content: str) -> Callable[[DbRoot], None]:
    def damage(built: DbRoot) -> None:
        (built.path / file.format(home=f"containers/{_ID}", mount=f"image/overlay2/layerdb/mounts/{_ID}")).write_text(
            content
        )

    return damage


def _remove(file: str) -> Callable[[DbRoot], None]:
    def damage(built: DbRoot) -> None:
        path = built.path / file.format(home=f"containers/{_ID}", mount=f"image/overlay2/layerdb/mounts/{_ID}")
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


_DAMAGE = [
    (_write("{home}/config.v2.json", ""), "config.v2.json is empty"),
    (_write("{home}/config.v2.json", '{"ID"'), "config.v2.json is damaged"),
    (_write("{home}/config.v2.json", json.dumps({"ID": "0" * 64})), "config.v2.json has the id of another container"),
    (
        _write("{home}/config.v2.json", json.dumps({"ID": _ID, "State": []})),
        "State in config.v2.json is not an object",
    ),
    (_write("{home}/hostconfig.json", '{"Binds": "x"}'), "Binds in hostconfig.json is not an array"),
    (_write("{home}/hostconfig.json", ""), "hostconfig.json is empty"),
    (_write("{home}/hostconfig.json", "{"), "hostconfig.json is damaged"),
    (_remove("{mount}"), "it has no entry in image/overlay2/layerdb/mounts"),
    (_write("{mount}/mount-id", ""), "its entry in image/overlay2/layerdb/mounts is damaged"),
    (_write("{mount}/parent", ""), "its entry in image/overlay2/layerdb/mounts is damaged"),
    (_write("{mount}/parent", f"sha256:{'0' * 64}"), "a layer below it is damaged or missing"),
]


@pytest.mark.parametrize(("damage", "why"), _DAMAGE, ids=[why for _, why in _DAMAGE])
def test_a_damaged_container_is_not_loaded(tmp_path: Path, damage: Callable[[DbRoot], None], why: str) -> None:
    built = _built(tmp_path)
    assert _unloaded(built.path) == {}
    damage(built)
    assert _unloaded(built.path) == {_ID: why}


def test_a_container_without_its_configuration_is_not_loaded(tmp_path: Path) -> None:
    built = _built(tmp_path)
    (built.path / "containers" / _ID / "config.v2.json").unlink()
    (why,) = _unloaded(built.path).values()
    assert why.endswith("is missing")


def test_containers_on_a_damaged_layer_are_not_loaded(tmp_path: Path) -> None:
    built = _built(tmp_path).layer("other", 1).image("other", "other", ["o:1"]).container("third", "other", "other")
    (built.base / "layerdb/sha256" / built.chains["a"] / "diff").write_text("")
    why = "a layer below it is damaged or missing"
    assert _unloaded(built.path) == {digest(f"container{name}"): why for name in ("web", "sound")}


def test_a_value_that_is_null_is_of_every_type(tmp_path: Path) -> None:
    built = _built(tmp_path)
    (built.path / "containers" / _ID / "hostconfig.json").write_text('{"Binds": null, "LogConfig": null}')
    assert _unloaded(built.path) == {}


def test_a_missing_hostconfig_is_an_empty_one_to_every_engine(tmp_path: Path) -> None:
    built = _built(tmp_path)
    (built.path / "containers" / _ID / "hostconfig.json").unlink()
    assert _unloaded(built.path) == {}


@pytest.mark.parametrize("current", ["overlay2", "vfs"])
def test_an_engine_loads_what_is_of_the_driver_whose_directory_changed_last(tmp_path: Path, current: str) -> None:
    built = _built(tmp_path)
    other = DbRoot(tmp_path, "vfs").layer("v", 1).image("v", "v", ["v:1"]).container("vast", "v", "v")
    for one in (built, other):
        date = 2000 if one.driver == current else 1000
        os.utime(one.layers, (date, date))
    inventory = scan(built.path).inventory
    assert {one.name for one in inventory.containers if one.unloaded} == (
        {"vast"} if current == "overlay2" else {"web", "sound"}
    )
    assert {one.driver for one in inventory.images if not one.unloaded} == {current}


def test_where_the_entries_cannot_be_listed_nothing_is_said_of_containers(tmp_path: Path) -> None:
    built = _built(tmp_path)
    os.rename(built.base / "layerdb/mounts", built.base / "layerdb/elsewhere")
    (built.base / "layerdb/mounts").symlink_to("elsewhere")
    assert _unloaded(built.path) == {}


@pytest.mark.parametrize("part", ["image", "image/overlay2", "image/overlay2/layerdb/mounts"])
def test_an_engine_loads_no_container_where_all_entries_are_gone(tmp_path: Path, part: str) -> None:
    built = _built(tmp_path).volume("spare", 5).build("c" * 25, size=1)
    os.rename(built.path / part, tmp_path / "gone")
    assert _unloaded(built.path).keys() == {path.name for path in (built.path / "containers").iterdir()}
    assert figures_of(built.path).all("reclaimable_objects", category="volumes_unused") == []


def test_what_only_this_program_cannot_read_says_nothing_of_the_engine(tmp_path: Path) -> None:
    built = _built(tmp_path)
    file = built.path / "containers" / _ID / "hostconfig.json"
    file.rename(built.path / "elsewhere.json")
    file.symlink_to(built.path / "elsewhere.json")
    assert _unloaded(built.path) == {}


def test_a_container_of_docker_1_9_or_older_is_loaded_whatever_its_layers_are(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=5).container("web", image="app")
    shutil.rmtree(built.path / "graph" / hex_id("app"))
    assert _unloaded(built.path) == {}
    (built.path / "containers" / hex_id("web") / "hostconfig.json").write_text("")
    assert _unloaded(built.path) == {hex_id("web"): "hostconfig.json is empty"}
