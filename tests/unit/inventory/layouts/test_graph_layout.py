"""What needs each layer of Docker 1.0 to 1.9, and what it is compared with to size it."""

import json
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.core.measured import Changes, Tree
from exporter.core.model import Inventory, Layer, Use
from exporter.inventory.layouts import graph as module
from tests.support.clock import FakeClock
from tests.support.product import scan
from tests.support.roots import GraphRoot, graph_root, hex_id

_DAY = 24 * 3600.0


def _inventory(built: GraphRoot) -> Inventory:
    return scan(built.path, orphaned_after=0).inventory


def _uses(built: GraphRoot) -> dict[str, str]:
    return {layer.id: layer.use.value for layer in _inventory(built).layers}


def _layer(built: GraphRoot, name: str) -> Layer:
    return next(one for one in _inventory(built).layers if one.id == name)


def _left(built: GraphRoot, name: str = "left") -> Path:
    """A directory of the driver's that nothing refers to."""
    home = built.path / "aufs/diff" / hex_id(name)
    home.mkdir()
    return home


def test_a_layer_is_an_images_or_a_containers_or_nobodys(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base").image("app", parent="base").container("web", image="app")
    _left(built)
    assert _uses(built) == {
        hex_id("base"): "image",
        hex_id("app"): "image",
        hex_id("web"): "container",
        hex_id("web") + "-init": "container",
        hex_id("left"): "orphaned",
    }


@pytest.mark.parametrize("reference", ["tag", "parent", "image of a container", "list of a container"])
def test_a_layer_that_something_refers_to_is_not_orphaned_where_the_graph_has_lost_it(
    tmp_path: Path, reference: str
) -> None:
    built = graph_root(tmp_path).image("app").container("web", image="app")
    _left(built)
    assert _uses(built)[hex_id("left")] == "orphaned"
    if reference == "tag":
        built.writer.tag("left", "1", hex_id("left"))
    elif reference == "parent":
        about = built.path / "graph" / hex_id("app") / "json"
        about.write_text(json.dumps(json.loads(about.read_text()) | {"parent": hex_id("left")}))
    elif reference == "image of a container":
        about = built.path / "containers" / hex_id("web") / "config.json"
        about.write_text(json.dumps(json.loads(about.read_text()) | {"Image": hex_id("left")}))
    else:
        (built.path / "aufs/layers" / hex_id("web")).write_text(f"{hex_id('web')}-init\n{hex_id('left')}\n")
    assert _uses(built)[hex_id("left")] == "pending"


def test_beside_an_image_whose_description_is_lost_nothing_is_orphaned(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("bottom").image("base", parent="bottom").image("app", parent="base")
    for name in ("base", "bottom"):
        shutil.rmtree(built.path / "graph" / hex_id(name))
    _left(built)
    assert _uses(built) == {
        hex_id("app"): "image",
        hex_id("base"): "pending",
        hex_id("bottom"): "pending",
        hex_id("left"): "pending",
    }


def test_what_an_overlay_layer_lies_on_is_referred_to_by_its_lower_id(tmp_path: Path) -> None:
    built = graph_root(tmp_path, "overlay").image("base")
    shutil.copytree(built.path / "overlay" / hex_id("base"), built.path / "overlay" / hex_id("left"))
    assert _uses(built)[hex_id("left")] == "orphaned"
    for name, expected in (("other", "pending"), (hex_id("other"), "pending"), (hex_id("x") + "-init", "pending")):
        home = built.path / "overlay" / name
        home.mkdir()
        (home / "lower-id").write_text(hex_id("left") + "\n")
        is_a_layer = name != "other"
        assert _uses(built)[hex_id("left")] == (expected if is_a_layer else "orphaned")
        shutil.rmtree(home)


@pytest.mark.parametrize(("age", "expected"), [(_DAY - 1, "pending"), (_DAY, "orphaned")])
def test_a_download_lets_nothing_be_called_orphaned_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, expected: str
) -> None:
    built = graph_root(tmp_path).image("app")
    _left(built)
    download = built.path / "graph/_tmp/download"
    download.mkdir()
    started = time.time() + 1000
    os.utime(download, (started, started))
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: download.stat().st_mtime + age))
    assert _uses(built)[hex_id("left")] == expected


def test_a_container_is_compared_with_its_init_layer_and_that_with_the_image(tmp_path: Path) -> None:
    built = graph_root(tmp_path, "vfs").image("base", size=None).image("app", parent="base", size=None)
    built.container("web", image="app")

    def place(name: str) -> Tree:
        return "vfs", "dir", name

    web, init = hex_id("web"), hex_id("web") + "-init"
    assert _layer(built, web).changes == Changes(place(web), (place(init),))
    assert _layer(built, init).changes == Changes(place(init), (place(hex_id("app")),))
    assert _layer(built, hex_id("app")).changes == Changes(place(hex_id("app")), (place(hex_id("base")),))
    assert _layer(built, hex_id("base")).changes is None
    shutil.rmtree(built.path / "vfs/dir" / init)
    assert _layer(built, web).changes == Changes(place(web), (place(hex_id("app")),))
    assert _layer(built, web).parent == hex_id("app")


def test_a_size_that_is_written_down_is_not_compared(tmp_path: Path) -> None:
    built = graph_root(tmp_path, "vfs").image("base", size=7).image("app", parent="base", size=0)
    layer = _layer(built, hex_id("app"))
    assert (layer.recorded_size, layer.changes, layer.size_known) == (0, None, True)


def test_a_full_copy_whose_parent_is_gone_has_no_size_and_a_sum_of_files_has(tmp_path: Path) -> None:
    copied = graph_root(tmp_path / "a", "vfs").image("base", size=None).image("app", parent="base", size=None)
    shutil.rmtree(copied.path / "vfs/dir" / hex_id("base"))
    assert not _layer(copied, hex_id("app")).size_known
    summed = graph_root(tmp_path / "b", "aufs").image("base", size=None).image("app", parent="base", size=None)
    shutil.rmtree(summed.path / "aufs/diff" / hex_id("base"))
    assert _layer(summed, hex_id("app")).size_known


@pytest.mark.parametrize("gone", ["layer", "image", "graph"])
def test_what_a_container_needs_and_is_gone_is_missing(tmp_path: Path, gone: str) -> None:
    built = graph_root(tmp_path).image("app").container("web", image="app")
    assert _inventory(built).missing == {"aufs": frozenset()}
    if gone == "layer":
        shutil.rmtree(built.path / "aufs/diff" / hex_id("web"))
    else:
        shutil.rmtree(built.path / "graph" / hex_id("app"))
    if gone == "image":
        shutil.rmtree(built.path / "aufs/diff" / hex_id("app"))
    expected = hex_id("web" if gone == "layer" else "app")
    assert _inventory(built).missing == {"aufs": frozenset({expected})}
    file = built.path / "containers" / hex_id("web") / "config.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"State": about["State"] | {"Dead": True}}))
    assert _inventory(built).missing == {"aufs": frozenset()}, "it is being removed"


def test_a_layer_that_is_an_image_and_named_like_a_container_is_the_images(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("both")
    built.writer._layer(hex_id("web") + "-init", hex_id("both"))
    home = built.path / "containers" / hex_id("both")
    home.mkdir()
    (home / "config.json").write_text(json.dumps({"ID": hex_id("both"), "Driver": "aufs", "Image": hex_id("both")}))
    assert _layer(built, hex_id("both")).use is Use.IMAGE


@pytest.mark.parametrize("place", ["graph", "containers", "volumes", "repositories-aufs", "aufs/diff"])
@pytest.mark.parametrize(("age", "expected"), [(599, "pending"), (600, "orphaned")])
def test_a_layer_is_not_orphaned_while_something_that_names_it_may_just_have_gone(
    tmp_path: Path, place: str, age: float, expected: str
) -> None:
    built = graph_root(tmp_path).image("app")
    _left(built)
    written = time.time() + 5000
    os.utime(built.path / place, (written, written))
    clock = FakeClock(date=(built.path / place).stat().st_mtime + age)
    layers = scan(built.path, orphaned_after=600, clock=clock.clock).inventory.layers
    assert {str(one.id): one.use.value for one in layers}[hex_id("left")] == expected
