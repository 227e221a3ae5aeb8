import os
import shutil
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Measured, Tree
from exporter.inventory.areas import RootAreas, find_areas
from exporter.schedule.findings import Findings
from exporter.schedule.reconcile import Reconciler
from tests.support.clock import FakeClock
from tests.support.product import scan
from tests.support.roots import GraphRoot, graph_root, hex_id


class _Looks:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.time = FakeClock()
        self.reconciler = Reconciler(self.time.clock)
        self.measured: dict[Tree, Measured] = dict(scan(path).measured)
        self()

    def mark_seen(self, *entries: Tree, everything: bool = False) -> None:
        """Have a scan of these."""
        self.measured = dict(scan(self.path).measured)
        with DataRoot(str(self.path)) as root:
            self.reconciler.mark_seen(root, find_areas(root), Dirty(frozenset(entries), everything), ())

    def __call__(self) -> Findings:
        with DataRoot(str(self.path)) as root:
            return self.reconciler.compare_signatures(root, find_areas(root), self.measured)


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    built = graph_root(tmp_path).image("base", size=3, files={"a": 1}, tag="base:1")
    built.container("web", image="base", writable={"w": 1})
    for directory, _, files in os.walk(built.path, topdown=False):  # long ago: nothing of it is still settling
        for name in files:
            os.utime(Path(directory) / name, (1, 1), follow_symlinks=False)
        os.utime(directory, (1, 1))
    return built


@pytest.fixture
def looks(built: GraphRoot) -> _Looks:
    return _Looks(built.path)


def test_where_nothing_changed_nothing_is_found(looks: _Looks) -> None:
    assert not looks()


def test_a_file_that_is_rewritten_in_place_is_found(looks: _Looks) -> None:
    with (looks.path / "containers" / hex_id("web") / "config.json").open("r+") as file:
        file.write(" ")
    findings = looks()
    assert findings.entries == {("containers", hex_id("web"))}
    assert not findings.stores


def test_tags_that_are_rewritten_in_place_are_found(looks: _Looks) -> None:
    with (looks.path / "repositories-aufs").open("a") as file:
        file.write(" ")
    assert looks().entries == {("repositories-aufs",)}


def test_what_comes_and_goes_is_found_in_its_store(looks: _Looks) -> None:
    (looks.path / "graph" / hex_id("new")).mkdir()
    assert looks().stores == {("graph",)}
    shutil.rmtree(looks.path / "aufs/diff" / hex_id("web"))
    assert looks().stores == {("aufs", "diff")}


def test_a_layer_that_is_another_one_under_its_name_is_found(looks: _Looks) -> None:
    layer = looks.path / "aufs/diff" / hex_id("base")
    shutil.copytree(layer, layer.parent / "copy")
    shutil.rmtree(layer)
    (layer.parent / "copy").rename(layer)
    findings = looks()
    assert ("aufs", "diff", hex_id("base")) in findings.entries
    assert ("aufs", "diff", hex_id("web")) not in findings.entries


def test_a_writable_layer_in_use_is_no_finding(looks: _Looks) -> None:
    (looks.path / "aufs/diff" / hex_id("web") / "written").write_text("x")
    assert not looks()


def test_a_time_that_was_set_back_is_a_change(looks: _Looks) -> None:
    os.utime(looks.path / "graph", (0.5, 0.5))
    assert looks().stores == {("graph",)}


def test_what_changed_just_now_is_looked_at_again(looks: _Looks) -> None:
    (looks.path / "graph" / hex_id("new")).mkdir()
    looks.time.date = (looks.path / "graph").stat().st_mtime
    first = looks()
    assert ("graph",) in first.stores
    looks.time.advance(1)
    assert ("graph",) in looks().again
    assert not looks()


def test_what_the_engine_adds_to_an_entry_of_image_metadata_is_found(built: GraphRoot) -> None:
    entry = built.path / "image/aufs/imagedb/metadata/sha256" / hex_id("base")
    entry.mkdir(parents=True)
    looks = _Looks(built.path)
    (entry / "lastUpdated").write_text("2026-01-01T00:00:00Z")
    assert ("image", "aufs", "imagedb", "metadata", "sha256", hex_id("base")) in looks().entries


def test_a_store_that_cannot_be_seen_any_more_is_found(looks: _Looks) -> None:
    with DataRoot(str(looks.path)) as root:
        left = RootAreas(tuple(store for store in find_areas(root).stores if store != ("containers",)))
        assert looks.reconciler.compare_signatures(root, left, looks.measured).stores == {("containers",)}
        assert looks.reconciler.compare_signatures(root, find_areas(root), looks.measured).stores == {("containers",)}


def test_permission_that_changes_is_found(looks: _Looks) -> None:
    (looks.path / "containers").chmod(0o711)
    assert looks().stores == {("containers",)}


def test_what_was_told_is_no_finding_and_what_comes_later_is_one(looks: _Looks) -> None:
    home = looks.path / "containers" / hex_id("web")
    (looks.path / "graph" / hex_id("told")).mkdir()
    (home / "config.json").write_text("{}")
    looks.mark_seen(("graph", hex_id("told")), ("containers", hex_id("web")))
    findings = looks()
    assert not findings.stores
    assert not findings.entries
    (looks.path / "graph" / hex_id("later")).mkdir()
    (home / "config.json").write_text("{ }")
    looks.mark_seen(("volumes", "another"))
    findings = looks()
    assert findings.stores == {("graph",)}
    assert findings.entries == {("containers", hex_id("web"))}


def test_of_a_store_that_was_told_of_as_a_whole_nothing_is_a_finding(looks: _Looks) -> None:
    shutil.copytree(looks.path / "containers", looks.path / "copy")
    shutil.rmtree(looks.path / "containers")
    (looks.path / "copy").rename(looks.path / "containers")
    shutil.rmtree(looks.path / "volumes")
    looks.mark_seen(("containers",), ("volumes",), ("copy",))
    findings = looks()
    assert not findings.stores
    assert not findings.entries
    (looks.path / "graph" / hex_id("new")).mkdir()
    looks.mark_seen(everything=True)
    assert not looks().stores


def test_a_store_that_is_new_is_scanned_as_a_whole(looks: _Looks) -> None:
    (looks.path / "overlay2" / "l").mkdir(parents=True)
    looks.mark_seen(("graph", "something"))
    assert looks().stores == {()}, "the root itself was not told of"
