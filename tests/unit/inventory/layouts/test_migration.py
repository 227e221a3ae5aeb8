"""Roots that an engine of Docker 1.10 or newer has taken over from an older one, wholly or in part."""

import json
import os
from pathlib import Path

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places
from exporter.cli.commands.df import df
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Lines
from exporter.cli.commands.whose import whose
from exporter.core.model import Use
from tests.support.product import document_of, figures_of, scan
from tests.support.recorded import unpack
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.roots.migrated import Migrated

_DRIVERS = ("aufs", "overlay", "vfs")


def _graph(path: Path, driver: str = "aufs") -> GraphRoot:
    built = graph_root(path, driver).image("base", size=10, files={"b": 10}, tag="base:1")
    built.image("app", parent="base", size=10, files={"a": 10}, tag="app:1")
    return built.container("web", image="app", writable={"w": 3})


@pytest.mark.parametrize("driver", _DRIVERS)
def test_the_images_of_a_graph_that_was_moved_are_those_of_the_newer_layout(tmp_path: Path, driver: str) -> None:
    moved = Migrated(_graph(tmp_path, driver)).whole()
    document = document_of(moved.path)
    assert {(one.id, one.references) for one in document.images} == {
        (moved.images[hex_id("base")], ("base:1",)),
        (moved.images[hex_id("app")], ("app:1",)),
    }
    (web,) = document.containers
    assert (web.image_id, web.layer) == (moved.images[hex_id("app")], hex_id("web"))
    assert not document.missing
    assert not document.problems
    assert [one.path for one in document.remarks] == [
        "graph",
        f"repositories-{driver}",
        ".migration-v1-images.json",
        ".migration-v1-tags",
    ]


@pytest.mark.parametrize("driver", _DRIVERS)
def test_images_that_the_newer_engine_has_removed_are_gone_and_nothing_is_missing(tmp_path: Path, driver: str) -> None:
    built = _graph(tmp_path, driver)
    built.writer.remove_container(hex_id("web"))
    moved = Migrated(built).whole()
    moved.prune(hex_id("app"))
    moved.prune(hex_id("base"))
    figures = figures_of(moved.path, orphaned_after=0)
    assert figures.sum("images") == figures.sum("missing_layers") == figures.sum("layers") == 0
    assert figures.sum("scan_errors_total") == 0
    assert figures("store_entries", driver=driver, store="graph") == 3
    assert figures("directory_inodes", directory="graph") > 3


@pytest.mark.parametrize("damage", ["{", "[]", ""])
def test_without_the_list_the_marks_in_the_graph_tell_what_was_moved(tmp_path: Path, damage: str) -> None:
    built = _graph(tmp_path)
    built.writer.remove_container(hex_id("web"))
    moved = Migrated(built).whole()
    moved.prune(hex_id("app"))
    (moved.path / ".migration-v1-images.json").write_text(damage)
    document = document_of(moved.path)
    assert [one.id for one in document.images] == [moved.images[hex_id("base")]]
    assert not document.missing
    assert [one.path for one in document.problems] == [".migration-v1-images.json"]


@pytest.mark.parametrize("gone", [["old"], ["old", "app", "base"]])
def test_without_any_file_of_the_move_in_the_root_removed_layers_are_still_not_missing(
    tmp_path: Path, gone: list[str]
) -> None:
    built = _graph(tmp_path).image("old", parent="base", tag="old:1")
    built.writer.remove_container(hex_id("web"))
    moved = Migrated(built).whole()
    for name in gone:
        moved.prune(hex_id(name))
    (moved.path / ".migration-v1-images.json").unlink()
    (moved.path / ".migration-v1-tags").unlink()
    assert not document_of(moved.path).missing


def test_a_graph_that_was_not_moved_stays_one(tmp_path: Path) -> None:
    built = _graph(tmp_path)
    document = document_of(built.path)
    assert {one.id for one in document.images} == {hex_id("base"), hex_id("app")}
    assert not document.remarks
    built.writer.remove_container(hex_id("web"))
    built.writer._remove_layer(hex_id("app"))
    assert [one.layer for one in document_of(built.path).missing] == [hex_id("app")]


def test_a_move_that_stopped_after_the_checksums_has_moved_nothing(tmp_path: Path) -> None:
    built = _graph(tmp_path)
    Migrated(built).checksums()
    document = document_of(built.path)
    assert {one.references for one in document.images} == {("base:1",), ("app:1",)}
    assert not document.remarks
    assert not document.missing


def test_a_move_that_stopped_amid_the_images_has_each_image_once(tmp_path: Path) -> None:
    built = _graph(tmp_path)
    moved = Migrated(built).checksums().move_images([hex_id("base")])
    document = document_of(built.path, orphaned_after=0)
    assert {one.id for one in document.images} == {moved.images[hex_id("base")], hex_id("app")}
    assert not document.remarks
    assert not document.missing
    assert not [one for one in document.layers if one.use == Use.ORPHANED]


@pytest.mark.parametrize("step", ["images", "list", "containers"])
def test_until_the_names_are_moved_no_image_is_called_dangling(tmp_path: Path, step: str) -> None:
    """The next start of the engine moves them. A prune before that would have removed the images."""
    moved = Migrated(_graph(tmp_path)).checksums().move_images()
    if step != "images":
        moved.save_list()
    if step == "containers":
        moved.move_containers()
    figures = figures_of(moved.path)
    assert figures("known", input="names") == 0
    assert not figures.all("images")
    assert not figures.all("reclaimable_bytes", category="images_dangling")
    assert not document_of(moved.path).remarks
    moved.save_list().move_names()
    assert figures_of(moved.path)("known", input="names") == 1


def test_without_names_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    moved = Migrated(_graph(tmp_path)).checksums().move_images().save_list().move_containers()
    (moved.path / "repositories-aufs").unlink()
    figures = figures_of(moved.path)
    assert figures("known", input="names") == 0, "image/aufs/repositories.json is missing"
    (moved.base / "repositories.json").write_text('{"Repositories":{}}')
    figures = figures_of(moved.path)
    assert figures("known", input="names") == 1
    assert (figures("images", state="used"), figures("images", state="intermediate")) == (1, 1)


def test_names_that_an_old_engine_has_written_since_are_not_known_to_the_newer_one(tmp_path: Path) -> None:
    built = _graph(tmp_path)
    moved = Migrated(built).whole()
    built.writer.tag("app", "late", hex_id("app"))
    _date(moved.path, {".migration-v1-tags": 0, "repositories-aufs": 60})
    figures = figures_of(moved.path)
    assert figures("known", input="names") == 0
    assert not figures.all("images")
    assert not document_of(moved.path).remarks, "the old engine reads its graph"
    _date(moved.path, {".migration-v1-tags": 61})
    assert figures_of(moved.path)("known", input="names") == 1


def _date(root: Path, files: dict[str, int]) -> None:
    for name, seconds in files.items():
        os.utime(root / name, (1_700_000_000 + seconds, 1_700_000_000 + seconds))


def test_images_of_a_driver_that_was_not_moved_stay(tmp_path: Path) -> None:
    other = graph_root(tmp_path, "aufs").image("left", size=4, files={"l": 4}, tag="left:1")
    built = GraphRoot(other.path, "overlay").image("base", size=10, files={"b": 10}, tag="base:1")
    moved = Migrated(built).move_images([hex_id("base")]).save_list().move_names()
    (other.path / "graph" / hex_id("base") / ".migration-diffid").write_text("x")
    moved.prune(hex_id("base"))
    document = document_of(other.path, orphaned_after=0)
    assert [(one.driver, one.references) for one in document.images] == [("aufs", ("left:1",))]
    assert not document.missing
    assert not document.remarks
    assert [one.use for one in document.layers] == [Use.IMAGE]


def test_an_image_that_could_not_be_moved_without_its_layer_is_not_missing(tmp_path: Path) -> None:
    built = _graph(tmp_path).image("lost", size=1, tag="lost:1")
    built.writer._remove_layer(hex_id("lost"))
    moved = Migrated(built).checksums().move_images([hex_id("base"), hex_id("app")])
    moved.save_list().move_containers().move_names()
    document = document_of(built.path)
    assert not document.missing
    assert len(document.images) == 2


def test_an_old_engine_that_was_started_again_has_its_new_images_and_containers(tmp_path: Path) -> None:
    built = _graph(tmp_path)
    moved = Migrated(built).whole()
    built.image("new", parent="base", size=10, files={"n": 10}, tag="new:1")
    built.container("late", image="base", writable={"w": 3})
    document = document_of(built.path, orphaned_after=0)
    assert ("new:1",) in {one.references for one in document.images}
    assert {one.name: one.image_id for one in document.containers}["late"] == moved.images[hex_id("base")]
    assert {one.id: one.state for one in document.images}[moved.images[hex_id("base")]] == "used"
    assert not document.missing
    assert not document.remarks
    assert not [one for one in document.layers if one.use == Use.ORPHANED]


def test_without_the_newer_stores_no_layer_of_a_moved_image_is_orphaned(tmp_path: Path) -> None:
    built = _graph(tmp_path)
    moved = Migrated(built).whole()
    moved.base.parent.rename(tmp_path / "elsewhere")
    uses = {one.use for one in scan(moved.path, orphaned_after=0).inventory.layers}
    assert uses == {Use.PENDING, Use.CONTAINER}


def test_the_terminal_says_what_is_left_behind_and_what_can_be_done(tmp_path: Path) -> None:
    index = Index(document_of(Migrated(_graph(tmp_path)).whole().path))
    plan = backup(index, Places(), {}, docker=False)
    for answer in (df(index.document), plan):
        said = [line for part in answer.parts if isinstance(part, Lines) for line in part.lines]
        assert any(f"rm -r {index.document.root}/graph {index.document.root}/.migration" in line for line in said)
    for path in ("graph", f"graph/{hex_id('app')}/json", "repositories-aufs", ".migration-v1-tags"):
        (owner,) = whose(index, path).data["owners"]
        assert "left behind by the upgrade" in owner["text"]
    commands = plan.parts[-1]
    assert isinstance(commands, Lines)
    assert not [line for line in commands.lines if "repositories-aufs" in line or "./graph" in line]


def test_the_recorded_root_has_no_images_and_nothing_missing(tmp_path: Path) -> None:
    root = unpack("upgraded-1.9.1-to-1.10.3-overlay.tgz", tmp_path)
    figures = figures_of(root, orphaned_after=0)
    assert figures.sum("images") == figures.sum("missing_layers") == figures.sum("layers") == 0
    assert figures.sum("scan_errors_total") == 0
    assert figures("store_entries", driver="overlay", store="graph") == 5
    moved = json.loads((root / ".migration-v1-images.json").read_text())
    assert len(moved) == 4
    assert "graph" in {one.path for one in document_of(root).remarks}
