"""The table of areas: what a path is, and what follows from a row for the rest of the exporter."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.cli.commands.index import Index
from exporter.cli.commands.whose import whose
from exporter.core.area import DRIVER, FURTHER, FURTHER_ROOT, Area, AreaTable, Signature
from exporter.core.data_root import DataRoot
from exporter.core.model import Collector
from exporter.inventory import areas, drivers
from exporter.inventory.areas import RootAreas, find_areas, table
from exporter.inventory.drivers import Driver
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from exporter.schedule.reconcile import Reconciler
from exporter.schedule.remeasure import RemeasureSchedule
from tests.support.product import document_of
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot

_LAYERDB = ("image", "overlay2", "layerdb")
_TAPEFS = Driver(
    "tapefs",
    ("tapefs",),
    (
        Area(
            ("tapefs",),
            "layers on tape",
            store=True,
            watched=True,
            signature=Signature(changes=True, files=("spool",)),
            counted="tapes",
        ),
        Area(("tapefs", "index"), store=True, audited=False, counted="index"),
    ),
    own=("index",),
    sums_files=True,
)


@pytest.fixture
def tapefs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A graph driver that exists nowhere else, registered in one place."""
    monkeypatch.setattr(drivers, "DRIVERS", (*drivers.DRIVERS, _TAPEFS))
    areas.table.cache_clear()
    yield
    areas.table.cache_clear()


@pytest.fixture
def built(tmp_path: Path, tapefs: None) -> DbRoot:
    built = DbRoot(tmp_path, "tapefs").layer("base", 1000).image("base", "base", ["base:1"])
    built.container("web", "base", "base", writable={"w": 30})
    (built.path / "tapefs/index").mkdir()
    (built.path / "tapefs/index/short").write_text("x")
    for name in os.listdir(built.path / "tapefs"):  # long ago: nothing of it is still changing
        if name != "index":
            (built.path / "tapefs" / name / "spool").write_text("1")
            os.utime(built.path / "tapefs" / name / "spool", (1, 1))
    return built


def test_a_driver_of_ones_own_is_watched_and_its_entries_are_counted(built: DbRoot, pool: Pool) -> None:
    with DataRoot(str(built.path)) as root:
        found = find_areas(root)
    assert ("tapefs",) in found.watched
    assert ("tapefs", "index") in found.stores
    assert ("tapefs", "index") not in found.watched
    counts = Scanner(str(built.path), 600, pool).scan().inventory.stores
    assert (counts["tapefs", "tapes"], counts["tapefs", "index"]) == (4, 1)


def test_a_driver_of_ones_own_is_looked_at(built: DbRoot) -> None:
    reconciler = Reconciler()

    def look() -> set[tuple[str, ...]]:
        with DataRoot(str(built.path)) as root:
            return reconciler.compare_signatures(root, find_areas(root), {}).entries

    look()
    assert not look()
    layer = next(name for name in os.listdir(built.path / "tapefs") if name != "index")
    (built.path / "tapefs" / layer / "spool").write_text("22")
    assert look() == {("tapefs", layer)}


def test_a_driver_of_ones_own_is_measured_by_object_and_audited(built: DbRoot, pool: Pool) -> None:
    scanner = Scanner(str(built.path), 600, pool)
    inventory = scanner.scan().inventory
    trees = {tree for layer in inventory.layers for tree in layer.trees}
    assert {tree[0] for tree in trees} == {"tapefs"}
    assert trees < scanner.measured.keys()
    assert ("tapefs", "index", "short") in scanner.measured
    schedule = RemeasureSchedule(60)
    schedule.plan(scanner.plan, inventory, (), 0.0, time.time())
    due = schedule.due(1e9)
    writable = next(one for one in inventory.containers if one.name == "web").layer
    assert ("tapefs", writable) in due
    assert ("tapefs", "index", "short") not in due


def test_a_driver_of_ones_own_has_a_name_for_people(built: DbRoot) -> None:
    text = whose(Index(document_of(built.path)), "tapefs/index/short").data["owners"][0]["text"]
    assert text.startswith("tapefs: layers on tape; ")


def test_every_driver_has_its_layers_watched_counted_and_named() -> None:
    for driver in drivers.DRIVERS:
        area = table().of(driver.layers)
        assert area.path == driver.layers
        assert area.store
        assert area.watched
        assert area.audited
        assert area.counted
        assert driver.name in table().of((driver.name,)).label
        for small in (driver.links, driver.parents):
            assert small is None or not table().of(small).audited


def test_a_path_has_the_nearest_area_around_it() -> None:
    outer, inner = Area(("a",), "outer"), Area(("a", "<driver>", "c"), "inner")
    named, files = Area(("a", "b"), "named"), Area(("tags-<driver>",), "files")
    known = AreaTable((inner, outer, named, files))
    assert known.of(("a",)) is outer
    assert known.of(("a", "x")) is outer
    assert known.of(("a", "x", "c")) is inner
    assert known.of(("a", "x", "c", "d", "e")) is inner
    assert known.around(("a", "x", "c")) is outer
    assert known.of(("a", "b")) is named
    assert known.of(("tags-aufs",)) is files
    assert known.of(("b",)).path == ()


def test_the_events_collector_and_audit_of_an_image_database_are_those_of_its_row() -> None:
    area = table().of(("image", "overlay2", "layerdb", "sha256", "x"))
    assert area.path == ("image", "<driver>", "layerdb", "sha256")
    assert (area.objects, area.collector, area.audited) == (Collector.IMAGES, Collector.IMAGES, False)


def test_only_directories_that_are_there_are_found(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=3, files={"a": 1}, tag="base:1")
    (built.path / "overlay2").write_text("a file")
    with DataRoot(str(built.path)) as root:
        found = find_areas(root)
    assert found.stores == tuple(sorted(found.stores))
    assert ("aufs", "diff") in found.stores
    assert ("overlay2",) not in found.stores
    assert ("aufs", "mnt") not in found.watched
    assert found.deep == {("containers",)}


def test_a_path_belongs_to_the_entry_of_the_innermost_store() -> None:
    found = RootAreas(
        (("containers",), ("image", "overlay2"), ("image", "overlay2", "layerdb", "sha256"), ("overlay2",))
    )
    layer = ("image", "overlay2", "layerdb", "sha256", hex_id("l"))
    assert found.entry_of(("containers", "c", "config.json")) == ("containers", "c")
    assert found.entry_of(("overlay2", "x", "diff", "y")) == ("overlay2", "x")
    assert found.entry_of(("image", "overlay2", "repositories.json")) == ("image", "overlay2", "repositories.json")
    assert found.entry_of((*layer, "size")) == layer
    assert found.entry_of(("tmp", "x")) == ("tmp",)
    assert found.entry_of(("containers",)) == ("containers",)


def test_an_entry_of_a_further_root_is_one_of_that_root() -> None:
    top = ("/var/lib/containerd",)
    found = RootAreas((("containers",), (*top, "snapshotter", "snapshots")), tops=((), top))
    assert found.entry_of((*top, "content", "blobs", "x")) == (*top, "content")
    assert found.entry_of((*top, "content")) == (*top, "content")
    assert found.entry_of((*top, "snapshotter", "snapshots", "7", "fs")) == (*top, "snapshotter", "snapshots", "7")
    assert found.entry_of((*top, "snapshotter", "metadata.db")) == (*top, "snapshotter")
    assert found.entry_of(top) == top


def test_several_components_of_an_areas_path_may_be_variable(tmp_path: Path) -> None:
    for name in ("d/snap.a/7", "c/snap.a/1", "c/snap.b/2", "c/snap.b/<driver>", "c/other/3"):
        (tmp_path / name).mkdir(parents=True)
    top = str(tmp_path / "c")
    with DataRoot(str(tmp_path / "d"), [top]) as root:
        assert [*areas.paths_of(root, (FURTHER, "snap." + DRIVER, DRIVER))] == [
            (top, "snap.a", "1"),
            (top, "snap.b", "2"),
            (top, "snap.b", "<driver>"),
        ]
        assert [*areas.paths_of(root, (FURTHER, "x"))] == [(top, "x")]
        assert [*areas.paths_of(root, (DRIVER, "x", "snap." + DRIVER))] == []
        assert [*areas.paths_of(root, ("snap." + DRIVER, DRIVER))] == [("snap.a", "7")]
    with DataRoot(top) as root:
        assert [*areas.paths_of(root, (FURTHER, "x"))] == []


def test_a_row_with_several_variable_components_is_found() -> None:
    inner = Area((FURTHER, "snap." + DRIVER, "snapshots", DRIVER), "a snapshot")
    known = AreaTable([FURTHER_ROOT, inner])
    assert known.of(("/c", "snap.a", "snapshots", "1", "fs")) is inner
    assert known.of(("/c", "snap.a", "metadata.db")) is FURTHER_ROOT
    assert known.of(("snap.a", "snapshots", "1")).path == ()


def test_a_further_root_is_watched(tmp_path: Path) -> None:
    (tmp_path / "d/containers").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    top = (str(tmp_path / "c"),)
    with DataRoot(str(tmp_path / "d"), top) as root:
        found = find_areas(root)
    assert found.tops == ((), top)
    assert top in found.watched
    assert not found.is_store(top)
