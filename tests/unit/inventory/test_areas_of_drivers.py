"""The directories with one entry for each object: of every driver, each is known, counted, watched and measured so."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.core.model import Inventory
from exporter.inventory.areas import RootAreas, find_areas
from exporter.inventory.drivers import driver_named
from exporter.scan.planner import Planner
from tests.support.product import scan
from tests.support.roots.layerdb import digest

#: By driver the directory of its layers, and the others that it keeps. From daemon/graphdriver of Docker 1.0 to 28.
_DRIVERS: Mapping[str, tuple[str, ...]] = {
    "aufs": ("aufs/diff", "aufs/layers", "aufs/mnt"),
    "btrfs": ("btrfs/subvolumes",),
    "devicemapper": ("devicemapper/metadata", "devicemapper/mnt"),
    "fuse-overlayfs": ("fuse-overlayfs", "fuse-overlayfs/l"),
    "overlay": ("overlay",),
    "overlay2": ("overlay2", "overlay2/l"),
    "vfs": ("vfs/dir",),
    "zfs": ("zfs/graph",),
}
_METADATA = ("imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb/mounts", "layerdb/sha256", "layerdb/tmp")
#: Their entries come and go together with those of another store.
_WITH_ANOTHER = {"aufs/mnt", "devicemapper/mnt", "overlay2/l", "fuse-overlayfs/l"}


def _made(path: Path, *names: str) -> set[Tree]:
    for name in names:
        (path / name).mkdir(parents=True, exist_ok=True)
    return {tuple(name.split("/")) for name in names}


def _found(path: Path) -> RootAreas:
    with DataRoot(str(path)) as root:
        return find_areas(root)


@pytest.mark.parametrize("driver", _DRIVERS)
def test_every_directory_of_a_driver_is_a_store_and_the_layers_are_watched(tmp_path: Path, driver: str) -> None:
    made = _made(tmp_path, *_DRIVERS[driver])
    assert {*_found(tmp_path).stores} == made
    assert {*_found(tmp_path).watched} == {one for one in made if "/".join(one) not in _WITH_ANOTHER}


@pytest.mark.parametrize("driver", _DRIVERS)
def test_a_driver_knows_the_directory_of_its_layers_and_those_that_are_counted(tmp_path: Path, driver: str) -> None:
    known = driver_named(driver)
    assert "/".join(known.layers) == _DRIVERS[driver][0]
    counts = {area.counted: area.path for area in known.areas if area.counted}
    assert {"/".join(tree) for tree in counts.values()} <= {*_DRIVERS[driver]}
    _made(tmp_path, *_DRIVERS[driver], *(f"image/{driver}/{name}" for name in _METADATA))
    for number, name in enumerate(_DRIVERS[driver]):
        _made(tmp_path, *(f"{name}/{digest(f'{name}{at}')}" for at in range(number + 1)))
    counted = {store: count for (_, store), count in scan(tmp_path).inventory.stores.items()}
    expected = {store: len([*(tmp_path / Path(*tree)).iterdir()]) for store, tree in counts.items()}
    assert {store: counted[store] for store in expected} == expected
    assert expected


@pytest.mark.parametrize("driver", _DRIVERS)
def test_every_entry_of_a_store_is_measured_as_a_tree_of_its_own(tmp_path: Path, driver: str) -> None:
    entries = _made(tmp_path, *(f"{name}/entry" for name in _DRIVERS[driver]))
    with DataRoot(str(tmp_path)) as root:
        plan = Planner().make(root, Inventory(directories=tuple(root.names(()))), find_areas(root))
    assert entries <= plan.trees.keys()


def test_the_metadata_of_every_driver_that_has_images_is_watched(tmp_path: Path) -> None:
    made = _made(tmp_path, *(f"image/{driver}/{name}" for driver in _DRIVERS for name in _METADATA))
    also = {("image", driver) for driver in _DRIVERS}
    assert {*_found(tmp_path).stores} == made | also
    assert {*_found(tmp_path).watched} == made | also | {("image",)}


def test_what_was_downloaded_from_is_a_store_and_not_watched(tmp_path: Path) -> None:
    names = ("distribution/diffid-by-digest/sha256", "distribution/v2metadata-by-diffid/sha256")
    made = _made(tmp_path, *(f"image/overlay2/{name}" for name in names))
    assert made <= {*_found(tmp_path).stores}
    assert {*_found(tmp_path).watched} == {("image",), ("image", "overlay2")}


def test_objects_of_every_layout_have_stores_and_what_is_no_directory_is_none(tmp_path: Path) -> None:
    made = _made(tmp_path, "graph", "containers", "volumes", "buildkit")
    assert {*_found(tmp_path).stores} == made
    assert {*_found(tmp_path).watched} == made - {("buildkit",)}
    (tmp_path / "overlay2").write_text("")
    (tmp_path / "vfs").symlink_to("containers")
    assert {*_found(tmp_path).stores} == made


def test_a_path_belongs_to_the_entry_of_the_innermost_store_that_it_lies_in() -> None:
    found = RootAreas((("overlay2",), ("overlay2", "l"), ("containers",)))
    assert found.entry_of(("overlay2", "x", "diff", "f")) == ("overlay2", "x")
    assert found.entry_of(("overlay2", "l", "SHORT")) == ("overlay2", "l", "SHORT")
    assert found.entry_of(("overlay2", "l")) == ("overlay2", "l")
    assert found.entry_of(("containers",)) == ("containers",)
    assert found.entry_of(("tmp", "a", "b")) == ("tmp",)
    assert found.entry_of(()) == ()
