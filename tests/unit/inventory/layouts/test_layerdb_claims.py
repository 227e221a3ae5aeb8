"""What needs each layer of Docker 1.10 and newer, and what is found of it where several things do."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from exporter.core.knowledge import Input
from exporter.core.measured import Changes
from exporter.core.model import Container, Inventory, Layer, LayerId, Use
from exporter.demo.bolt import write_bolt
from tests.support.clock import FakeClock
from tests.support.inventories import Reads, read
from tests.support.product import figures_of, scan
from tests.support.roots.layerdb import DbRoot, digest


def _inventory(built: DbRoot) -> Inventory:
    return scan(built.path, orphaned_after=0).inventory


def _layers(built: DbRoot) -> dict[str, Layer]:
    return {layer.id: layer for layer in _inventory(built).layers}


def _uses(built: DbRoot) -> dict[str, str]:
    """The use of each layer by the name that the test gave it, of other directories by their own."""
    names = {built.cache(name): name for name in built.chains}
    return {names.get(layer.id, layer.id): layer.use.value for layer in _inventory(built).layers}


def _container(built: DbRoot, name: str = "web") -> Container:
    return next(one for one in _inventory(built).containers if one.id == digest("container" + name))


def _config(built: DbRoot, name: str, **about: object) -> None:
    file = built.path / "containers" / digest("container" + name) / "config.v2.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | about))


def test_a_layer_is_an_images_before_it_is_a_containers_before_it_is_the_build_caches(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 1).layer("b", 1, "a").layer("c", 1, "b").layer("left", 1)
    built.image("a", "a", ["a:1"]).container("web", "gone", "b").build("x" * 25, chain="c")
    mount = digest("mountweb")
    assert _uses(built) == {
        "a": "image",
        "b": "container",
        "c": "build_cache",
        "left": "orphaned",
        mount: "container",
        f"{mount}-init": "container",
    }


def test_what_a_build_has_mounted_is_its_own_with_all_below(tmp_path: Path) -> None:
    """BuildKit's mounts have names of 25 digits; their directories may have any name."""
    built = DbRoot(tmp_path).layer("a", 1).layer("b", 1, "a").layer("left", 1)
    built.mount("m" * 25, digest("mounted"), "b", {})
    built.directory("n" * 25, {})
    write_bolt(built.path / "buildkit/metadata_v2.db", {"_main": {}})
    write_bolt(built.path / "buildkit/snapshots.db", {})
    built.directory("n" * 24, {})
    assert _uses(built) == {
        "a": "build_cache",
        "b": "build_cache",
        "left": "orphaned",
        digest("mounted"): "build_cache",
        digest("mounted") + "-init": "build_cache",
        "n" * 25: "build_cache",
        "n" * 24: "orphaned",
    }


def test_the_entry_of_a_container_that_is_gone_holds_its_layers_and_those_below_for_ever(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 1).layer("left", 1).layer("other", 1).image("other", "other", ["o:1"])
    built.container("web", "gone", "a").container("stays", "other", "other")
    shutil.rmtree(built.path / "containers" / digest("containerweb"))
    mount = digest("mountweb")
    assert _uses(built) == {
        **{name: "container" for one in (mount, digest("mountstays")) for name in (one, f"{one}-init")},
        "a": "container",
        "left": "orphaned",
        "other": "image",
    }
    held = {name: layer.held for name, layer in _layers(built).items() if layer.held}
    assert held == dict.fromkeys((mount, f"{mount}-init", built.cache("a")), digest("containerweb"))


def test_what_keeps_a_layer_makes_it_no_other_one_in_each_reading(tmp_path: Path) -> None:
    built = (
        DbRoot(tmp_path).layer("a", 1).layer("b", 1).layer("left", 1, "b").image("b", "b").container("web", "x", "a")
    )
    shutil.rmtree(built.path / "containers" / digest("containerweb"))
    reads = Reads(built.path)
    first, second = reads.again(everything=True).layers, reads.again().layers
    assert {(one.held != "", one.pinned) for one in first} == {(True, False), (False, True), (False, False)}
    assert all(one is other for one, other in zip(first, second, strict=True)), "nothing has changed"


def test_an_entry_without_an_image_pins_the_layers_below_it(tmp_path: Path) -> None:
    """A kill leaves one where the engine has registered a layer, and not yet written the image."""
    built = DbRoot(tmp_path).layer("a", 1).layer("b", 1, "a").layer("left", 1, "b").layer("other", 1)
    built.image("b", "b").image("other", "other", ["o:1"])
    assert _uses(built) == {"a": "image", "b": "image", "left": "orphaned", "other": "image"}
    assert _pinned(built) == {built.cache("a"), built.cache("b")}
    reads = Reads(built.path)
    first, second = reads.again(everything=True).layers, reads.again().layers
    assert all(one is other for one, other in zip(first, second, strict=True)), "nothing has changed"
    (built.base / "layerdb/sha256" / built.chains["left"] / "size").write_text("damaged")
    assert not _pinned(built), "an engine does not load that entry"


def test_what_buildkit_names_without_a_record_pins_the_layers_below_it(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 1).layer("stage", 1, "base", cache="a" * 25).image("base", "base", ["b:1"])
    built.build("a" * 25, chain="stage", size=1)
    assert not _pinned(built), "the record goes with a prune, and then the layer"
    write_bolt(built.path / "buildkit/metadata_v2.db", {"_main": {}})
    assert _pinned(built) == {built.cache("base")}


def test_a_mount_that_buildkit_left_pins_the_layers_below_it(tmp_path: Path) -> None:
    """A kill leaves one of a step; the engine reads it like that of a container."""
    built = DbRoot(tmp_path).layer("base", 1).layer("stage", 1, "base", cache="a" * 25).image("base", "base", ["b:1"])
    built.build("a" * 25, chain="stage", size=1).mount("m" * 25, digest("mounted"), "stage", {})
    assert _pinned(built) == {built.cache("base"), built.cache("stage")}
    figures = figures_of(built.path)
    assert figures("reclaimable_bytes", category="build_cache") == 0
    assert figures("reclaimable_objects", category="build_cache") == 1


def test_a_layer_that_buildkit_takes_for_its_own_goes_without_its_entry(tmp_path: Path) -> None:
    """A kill leaves one between its registration and the write of its chain id. Its entry pins what is below it."""
    built = DbRoot(tmp_path).layer("base", 1).image("base", "base", ["b:1"])
    built.layer("stage", 1, "base", "a" * 25).layer("top", 1, "stage", "b" * 25)
    shutil.rmtree(built.layers / ("b" * 25))
    built.link("b" * 25).unlink()
    built.build("a" * 25, chain="stage", size=1).build("b" * 25, size=1)
    assert _pinned(built) == {built.cache("base"), "a" * 25}
    assert _layers(built)[LayerId("b" * 25)].metadata == (("overlay2", "l", built.link("b" * 25).name),)
    figures = figures_of(built.path)
    assert figures("reclaimable_bytes", category="build_cache") == built.blocks("b" * 25)
    reads = Reads(built.path)
    before = reads.again(everything=True)
    built.build("b" * 25, chain="top", size=1)
    for inventory in (reads.again(everything=True), read(built.path)):
        layers = {one.id: one for one in inventory.layers}
        assert layers[LayerId("b" * 25)].metadata[-1] == ("image", "overlay2", "layerdb", "sha256", built.chains["top"])
        assert not any(one.pinned for one in inventory.layers)
        assert inventory != before


def _pinned(built: DbRoot) -> set[str]:
    return {name for name, layer in _layers(built).items() if layer.pinned}


def test_a_layer_is_told_with_its_chain_its_parent_its_size_and_what_is_kept_of_it(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 10).layer("b", 20, "a").image("b", "b", ["b:1"])
    layers = _layers(built)
    for name, parent, size in (("a", None, 10), ("b", built.cache("a"), 20)):
        layer, cache = layers[built.cache(name)], built.cache(name)
        assert (layer.chain, layer.parent, layer.recorded_size) == (built.chains[name], parent, size)
        assert (layer.content, layer.home) == (("overlay2", cache, "diff"), ("overlay2", cache))
        link = ("overlay2", "l", built.link(cache).name)
        assert layer.metadata == (link, ("image", "overlay2", "layerdb", "sha256", built.chains[name]))


def test_a_containers_layers_are_compared_with_what_is_below_them(tmp_path: Path) -> None:
    built = DbRoot(tmp_path, "vfs").layer("a", 10).layer("b", 20, "a").image("b", "b").container("web", "b", "b")
    own, layers = digest("mountweb"), _layers(built)
    below = ("vfs", "dir", built.cache("b"))
    assert layers[own].changes == Changes(("vfs", "dir", own), (("vfs", "dir", f"{own}-init"),))
    assert layers[f"{own}-init"].changes == Changes(("vfs", "dir", f"{own}-init"), (below,))
    assert (layers[own].parent, layers[f"{own}-init"].parent) == (built.cache("b"), built.cache("b"))
    (built.base / "layerdb/mounts" / digest("containerweb") / "init-id").unlink()
    assert _layers(built)[own].changes == Changes(("vfs", "dir", own), (below,))


def test_a_container_has_its_layers_by_the_mount_and_all_that_is_below_it(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 1).layer("b", 1, "a").image("b", "b").container("web", "b", "b")
    found, own = _container(built), digest("mountweb")
    assert (found.driver, found.layer, found.init) == ("overlay2", own, f"{own}-init")
    assert found.chain == (built.cache("b"), built.cache("a"))
    assert ("image", "overlay2", "layerdb", "mounts", digest("containerweb")) in found.metadata
    built.forget_directory(f"{own}-init")
    found = _container(built)
    assert (found.layer, found.init) == (own, None)
    built.forget_directory(own)
    assert _container(built).layer is None


def test_a_container_that_names_no_driver_or_another_one_is_that_of_the_database_that_knows_it(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 1).image("a", "a").container("web", "a", "a")
    other = DbRoot(tmp_path, "vfs")
    other.mount(digest("containerweb"), digest("copied"), "", {})
    for named, driver, layer in (
        ("overlay2", "overlay2", digest("mountweb")),
        ("vfs", "vfs", digest("copied")),
        ("", "overlay2", digest("mountweb")),
        ("btrfs", "overlay2", digest("mountweb")),
    ):
        _config(built, "web", Driver=named)
        assert (_container(built).driver, _container(built).layer) == (driver, layer), named


@pytest.mark.parametrize("gone", ["layer", "init", "parent", "chain", "entry"])
def test_what_a_container_stands_on_and_is_gone_is_missing(tmp_path: Path, gone: str) -> None:
    built = DbRoot(tmp_path).layer("a", 1).layer("b", 1, "a").container("web", "gone", "b")
    own = digest("mountweb")
    if gone in ("layer", "init"):
        built.forget_directory(own if gone == "layer" else f"{own}-init")
        expected = {digest("containerweb")} if gone == "layer" else set()
    elif gone == "parent":
        shutil.rmtree(built.base / "layerdb/sha256" / built.chains["b"])
        expected = {built.chains["b"]}
    elif gone == "chain":
        built.forget_directory(built.cache("a"))
        expected = {built.chains["a"]}
    else:
        shutil.rmtree(built.base / "layerdb/mounts" / digest("containerweb"))
        expected = set()
        gaps = {(gap.input, gap.object_id) for gap in _inventory(built).knowledge.gaps}
        assert (Input.LAYER_STORES, digest("containerweb")) in gaps, "nothing says which it is"
    assert _inventory(built).missing == {"overlay2": frozenset(expected)}
    _config(built, "web", State={"Dead": True})
    assert _inventory(built).missing == {"overlay2": frozenset()}, "it is being removed"


def test_the_layers_that_are_being_removed_or_made_are_pending(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("going", 1).layer("left", 1)
    entry = built.base / "layerdb/sha256" / built.chains["going"]
    cache = built.cache("going")
    entry.rename(f"{entry}-123-removing")
    assert {layer.id: layer.use for layer in _inventory(built).layers} == {
        cache: Use.PENDING,
        built.cache("left"): Use.ORPHANED,
    }


_GRACE_SECONDS = 600.0
_REFERENCES = (
    *("containers", "buildkit", "buildkit/snapshots.db", "overlay2", "image/overlay2/repositories.json"),
    *(
        f"image/overlay2/{name}"
        for name in ("imagedb/content/sha256", "layerdb/sha256", "layerdb/mounts", "layerdb/tmp")
    ),
)


@pytest.mark.parametrize("place", _REFERENCES)
@pytest.mark.parametrize(("age", "expected"), [(_GRACE_SECONDS - 1, "pending"), (_GRACE_SECONDS, "orphaned")])
def test_a_layer_is_not_orphaned_while_something_that_names_it_may_just_have_gone(
    tmp_path: Path, place: str, age: float, expected: str
) -> None:
    """Where something that refers to a layer comes or goes, a date tells of it."""
    built = DbRoot(tmp_path).layer("a", 1).image("a", "a", ["a:1"]).layer("left", 1).build("x" * 25)
    written = time.time() + 5000
    os.utime(built.path / place, (written, written))
    clock = FakeClock(date=(built.path / place).stat().st_mtime + age)
    layers = scan(built.path, orphaned_after=_GRACE_SECONDS, clock=clock.clock).inventory.layers
    assert {one.id: one.use.value for one in layers}[LayerId(built.cache("left"))] == expected


def test_a_container_without_anything_below_it_has_the_size_of_its_files(tmp_path: Path) -> None:
    built = DbRoot(tmp_path, "vfs").container("web", "gone")
    (built.base / "layerdb/mounts" / digest("containerweb") / "init-id").unlink()
    assert _layers(built)[digest("mountweb")].size_known
