"""Images and layers of Docker 1.0 to 1.9, driver by driver."""

import json
import os
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.core.data_root import DataRoot
from exporter.core.model import Trigger
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from tests.support.clock import FakeClock
from tests.support.product import figures_of
from tests.support.roots import graph_root, hex_id
from tests.support.usage import allocated, inodes

DRIVERS = ["aufs", "vfs", "overlay"]


def short(name: str) -> str:
    return hex_id(name)[:12]


@pytest.mark.parametrize("driver", DRIVERS)
def test_virtual_size_is_the_sum_of_the_recorded_layer_sizes(tmp_path: Path, driver: str) -> None:
    built = graph_root(tmp_path, driver).image("base", size=100, files={"a": 100})
    built.image("app", parent="base", size=23, files={"b": 23}, tag="app:1").image("other", parent="base", size=7)
    figures = figures_of(built.path)
    assert figures("image_virtual_size_bytes", driver=driver, image_id=short("app")) == 123
    assert figures("image_unique_size_bytes", image_id=short("app")) == 23
    assert figures("image_proportional_size_bytes", image_id=short("app")) == 73
    assert figures("images", driver=driver, state="dangling") == 1
    assert figures("images", driver=driver, state="intermediate") == 1
    assert figures("layers", driver=driver, use="image") == 3
    assert figures("layers_size_bytes", driver=driver, use="image") == 130


@pytest.mark.parametrize("driver", DRIVERS)
def test_without_a_recorded_size_it_is_the_drivers_difference(tmp_path: Path, driver: str) -> None:
    built = graph_root(tmp_path, driver).image("base", size=None, files={"a": 100, "d/c": 40})
    built.image("app", parent="base", size=-1, files={"b": 23, "d/c": 41}, tag="app:1")
    figures = figures_of(built.path, intermediate=True)
    assert figures("image_virtual_size_bytes", image_id=short("base")) == 140
    assert figures("image_virtual_size_bytes", image_id=short("app")) == 204


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_container_has_written_what_differs_from_its_init_layer(tmp_path: Path, driver: str) -> None:
    built = graph_root(tmp_path, driver).image("base", size=150, files={"a": 100, "b": 50}, tag="base:1")
    built.container("web", image="base", writable={"new": 9, "etc/hosts": b"12345", "b": 51})
    figures = figures_of(built.path)
    assert figures("container_writable_size_bytes", driver=driver, container_id=short("web")) == 65
    assert figures("container_virtual_size_bytes", container_id=short("web")) == 215
    assert figures("layers", driver=driver, use="container") == 2
    assert figures("image_containers", image_id=short("base")) == 1
    assert figures("images", state="used") == 1
    assert figures("missing_layers", driver=driver) == 0


@pytest.mark.parametrize("driver", DRIVERS)
def test_directories_add_up_to_du_with_every_hard_link_once(tmp_path: Path, driver: str) -> None:
    built = graph_root(tmp_path, driver).image("base", files={"a": b"x" * 50_000, "d/c": 40})
    for index in range(3):
        built.image(f"i{index}", parent="base", files={f"f{index}": b"y" * 9000}, tag=f"i{index}:1")
    built.container("web", image="i1", writable={"w": b"z" * 5000})
    os.link(built.path / "graph" / hex_id("base") / "json", built.path / "tmp" / "linked")
    figures = figures_of(built.path)
    assert figures.sum("directory_allocated_bytes") == allocated(built.path)
    assert figures.sum("directory_inodes") == inodes(built.path)
    store = {"aufs": "aufs/diff", "vfs": "vfs/dir", "overlay": "overlay"}[driver]
    layers = allocated(built.path / store) - (built.path / store).stat().st_blocks * 512
    assert figures.sum("layers_allocated_bytes", driver=driver) == layers


def test_intermediate_images_are_served_on_demand_and_change_no_other_figure(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=100).image("app", parent="base", size=5, tag="app:1")
    without, having = figures_of(built.path), figures_of(built.path, intermediate=True)
    assert not without.all("image_virtual_size_bytes", image_id=short("base"))
    assert having("image_virtual_size_bytes", image_id=short("base")) == 100
    for name in ("image_unique_size_bytes", "image_proportional_size_bytes", "images"):
        assert without.all(name) == having.all(name)


def test_an_image_goes_by_its_first_tag_and_digests_are_no_tags(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=1)
    tags = {"z": {"1": hex_id("app")}, "b": {"2": hex_id("app"), "sha256:" + "a" * 64: hex_id("app")}}
    (built.path / "repositories-aufs").write_text(json.dumps({"Repositories": tags, "ConfirmDefPush": True}))
    figures = figures_of(built.path)
    assert figures("image_info", image="b:2", digest=hex_id("app")) == 1
    assert len(figures.all("image_tag_info")) == 2


def test_a_parent_without_a_layer_ends_the_sum_and_is_missing(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=100).image("app", parent="base", size=5, tag="app:1")
    shutil.rmtree(built.path / "graph" / hex_id("base"))
    shutil.rmtree(built.path / "aufs/diff" / hex_id("base"))
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("image_virtual_size_bytes", image_id=short("app")) == 5
    assert figures("missing_layers", driver="aufs") == 1


def test_a_parent_of_which_only_the_description_is_lost_makes_the_sizes_unknown(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=100).image("app", parent="base", size=5, tag="app:1")
    shutil.rmtree(built.path / "graph" / hex_id("base"))
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("known", input="image_configs") == 0
    assert not figures.all("image_virtual_size_bytes", image_id=short("app"))
    assert not figures.all("missing_layers"), "the layer is on disk"
    assert not figures.all("layers", use="orphaned"), "the files are still what the image stands on"


def test_an_image_whose_layer_is_gone_is_named_without_figures(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=100).image("app", parent="base", size=5, tag="app:1")
    shutil.rmtree(built.path / "aufs/diff" / hex_id("app"))
    figures = figures_of(built.path)
    assert figures("missing_layers", driver="aufs") == 1
    assert figures("image_tag_info", repository="app") == 1
    assert not figures.all("image_virtual_size_bytes", image_id=short("app"))


def test_leftovers_are_pending_for_the_grace_time_and_then_orphaned(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=5, tag="app:1")
    for name in (hex_id("left"), hex_id("gone") + "-removing"):
        (built.path / "aufs/diff" / name).mkdir()
    assert figures_of(built.path)("layers", use="pending") == 2
    assert figures_of(built.path, orphaned_after=0)("layers", use="orphaned") == 2
    (built.path / "graph/_tmp/download").mkdir()
    assert figures_of(built.path, orphaned_after=0.5)("layers", use="orphaned") == 0


def test_a_layer_that_is_watched_for_the_grace_time_is_orphaned(tmp_path: Path, pool: Pool) -> None:
    """Whatever the wall clock is set to meanwhile."""
    built = graph_root(tmp_path).image("app", size=5)
    (built.path / "aufs/diff" / hex_id("left")).mkdir()
    time = FakeClock(date=(built.path / "aufs/diff").stat().st_mtime)
    scanner = Scanner(str(built.path), 600, pool, clock=time.clock)

    def use() -> str:
        (layer,) = (one for one in scanner.scan(Trigger.STARTUP).inventory.layers if one.id == hex_id("left"))
        return layer.use

    assert use() == "pending"
    time.date = 10**10
    time.advance(599)
    assert use() == "pending"
    time.date = 0
    time.advance(1)
    assert use() == "orphaned"


def test_several_drivers_keep_their_own_figures(tmp_path: Path) -> None:
    built = graph_root(tmp_path, "aufs").image("old", size=100, files={"a": 1}, tag="old:1")
    new = graph_root(tmp_path / "other", "vfs").image("new", size=30, files={"b": 30}, tag="new:1")
    new.container("c", image="new", writable={"w": 4})
    shutil.copytree(new.path, built.path, dirs_exist_ok=True, symlinks=True)
    figures = figures_of(built.path)
    assert figures("image_virtual_size_bytes", driver="aufs") == 100
    assert figures("image_virtual_size_bytes", driver="vfs") == 30
    assert figures("store_entries", driver="aufs", store="graph") == 1
    assert figures("container_writable_size_bytes", driver="vfs") == 4
    assert figures.sum("missing_layers") == 0


def test_a_ring_of_parents_is_a_loop_and_is_served(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("a", size=1).image("b", parent="a", size=2)
    path = built.path / "graph" / hex_id("a") / "json"
    path.write_text(json.dumps({"id": hex_id("a"), "parent": hex_id("b")}))
    figures = figures_of(built.path)
    assert figures("scan_errors_total", collector="images", reason="loop") == 2
    assert figures.sum("image_proportional_size_bytes") == 3


def test_an_image_with_torn_json_keeps_its_chain_through_the_driver(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=100).image("app", parent="base", size=5, tag="app:1")
    (built.path / "graph" / hex_id("app") / "json").write_text('{"id": "')
    figures = figures_of(built.path)
    assert figures("image_virtual_size_bytes", image_id=short("app")) == 105
    assert figures("scan_success", collector="images") == 0
    assert figures("scan_errors_total", collector="images", reason="decode") == 1


def test_the_last_good_value_of_a_torn_container_stays(tmp_path: Path, pool: Pool) -> None:
    built = graph_root(tmp_path).image("app", size=5).container("web", image="app")
    scanner = Scanner(str(built.path), 600, pool)
    (good,) = scanner.scan(Trigger.STARTUP).inventory.containers
    (built.path / "containers" / hex_id("web") / "config.json").write_text('{"Sta')
    unread = replace(good, unloaded="config.json is damaged")
    assert scanner.scan(Trigger.AUDIT).inventory.containers == (unread,)


def test_a_driver_directory_that_is_a_link_is_an_error_and_not_followed(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=5, tag="app:1")
    (built.path / "aufs").rename(tmp_path / "other-disk")
    (built.path / "aufs").symlink_to(tmp_path / "other-disk")
    figures = figures_of(built.path)
    assert figures("scan_errors_total", collector="images", reason="not_regular") >= 1
    assert figures("image_tag_info", repository="app") == 1
    assert not figures.all("missing_layers"), "the layers may all be there"


def test_an_object_that_vanishes_between_the_listing_and_the_look_is_no_error(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=5).container("web", image="app")
    gone = built.path / "containers" / hex_id("web")
    real = DataRoot.names

    def names(root: DataRoot, tree: tuple[str, ...]) -> list[str]:
        listed = real(root, tree)
        if tree == ("containers",) and gone.exists():
            shutil.rmtree(gone)
        return listed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataRoot, "names", names)
        figures = figures_of(built.path)
    assert figures("scan_errors_total", collector="containers", reason="vanished") >= 1
    assert figures("scan_success", collector="containers") == 1
