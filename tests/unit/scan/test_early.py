"""Trees that are measured before the metadata is read: the figures are the same, and nothing is measured twice."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.model import Snapshot, Trigger
from exporter.demo.writer import GraphWriter
from exporter.inventory.areas import find_areas
from exporter.inventory.opening import open_root
from exporter.measure.pool.pool import Pool
from exporter.measure.pool.task import Task
from exporter.scan.early import early_trees
from exporter.scan.scanner import Scanner
from tests.support.roots.layerdb import DbRoot


def _layerdb(place: Path, driver: str) -> Path:
    built = DbRoot(place, driver).layer("base", 1000).image("base", "base", ["base:1"]).volume("data", 5000)
    (built.path / "volumes/plain/_data").mkdir(parents=True)
    (built.path / "volumes/elsewhere/_data").mkdir(parents=True)
    options = json.dumps({"MountType": "nfs", "MountDevice": "server:/export", "MountOpts": ""})
    (built.path / "volumes/elsewhere/opts.json").write_text(options)
    (built.path / "volumes/link").symlink_to("data")
    (built.path / "volumes/empty").mkdir()
    return built.path


def _builds(place: Path, driver: str) -> Path:
    built = DbRoot(place, driver).layer("base", 1000).image("base", "base", ["base:1"])
    built.build("step0", chain="base").build("step1", parent="step0", size=70).build("step2", parent="step1", size=7)
    return built.path


def _graph(place: Path, driver: str) -> Path:
    built = GraphWriter(place / "docker", driver)
    built.image("1" * 64, files={"a": 1000, "b/c": 7})
    built.image("2" * 64, "1" * 64, files={"d": 1})
    built.volume("data", {"d": 10}, form="1.9")
    return built.root


def _scanned(root: Path, pool: Pool, *, whole: bool) -> Snapshot:
    scanner = Scanner(str(root), 600, pool)
    scanner.begin(Trigger.STARTUP, Dirty(everything=True), whole=whole)
    while scanner.runs:
        scanner.collect(0)
    return scanner.snapshot()


_ROOTS = [
    *((_layerdb, driver) for driver in ("aufs", "overlay", "overlay2", "vfs", "fuse-overlayfs")),
    *((_graph, driver) for driver in ("aufs", "overlay", "vfs")),
    *((_builds, driver) for driver in ("overlay", "overlay2", "vfs")),
]


@pytest.mark.parametrize(("build", "driver"), _ROOTS)
def test_figures_are_those_of_trees_that_wait_for_the_metadata(
    build: Callable[[Path, str], Path], driver: str, tmp_path: Path, pool: Pool
) -> None:
    root = build(tmp_path, driver)
    waiting, early = (_scanned(root, pool, whole=whole) for whole in (False, True))
    assert early.measured == waiting.measured
    assert (early.incomplete, early.problems) == (waiting.incomplete, waiting.problems)
    assert early.inventory == waiting.inventory


def test_volumes_of_old_engines_are_measured_as_they_are_divided(tmp_path: Path, pool: Pool) -> None:
    built = GraphWriter(tmp_path / "docker", "aufs")
    for number, form in enumerate(("1.0", "1.3", "1.9")):
        built.volume(str(number) * 64, {"d": 10}, form=form)
    waiting, early = (_scanned(built.root, pool, whole=whole) for whole in (False, True))
    assert early.measured == waiting.measured


@pytest.mark.parametrize("build", [_graph, lambda place, driver: DbRoot(place, driver).layer("base", 1000).path])
def test_what_is_divided_as_its_area_says_is_measured_once(
    build: Callable[[Path, str], Path], tmp_path: Path, pool: Pool
) -> None:
    root = build(tmp_path, "aufs")
    (root / "volumes/more/_data/a/b").mkdir(parents=True)
    once, again = (_scanned(root, pool, whole=whole).progress for whole in (False, True))
    assert once is not None
    assert again is not None
    assert again.entries == 2 * once.entries, "the pool counts the entries of both scans"


def test_a_layer_is_not_taken_for_complete_that_was_completed_after_it_was_measured(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 1000)
    with open_root(str(built.path)) as root:
        early = early_trees(root, find_areas(root), list)
        assert early.begun(root) is early.lots
        built.layer("more", 10)
        assert early.begun(root), "the scan still reads what was listed"
        root.forget_listings()
        assert not early.begun(root)


def test_layers_do_not_wait_for_the_databases_of_buildkit(tmp_path: Path, pool: Pool) -> None:
    root = _builds(tmp_path, "overlay2")
    own: set[Tree] = {("overlay2", "step1"), ("overlay2", "step1", "diff")}
    with open_root(str(root)) as opened:
        lots = early_trees(opened, find_areas(opened), list).lots
        assert {tree for lot in lots for tree in lot.trees} >= own
    scanner = Scanner(str(root), 600, pool)
    scanner.begin(Trigger.STARTUP, Dirty(everything=True), whole=True)
    assert scanner.plan.trees.keys() >= own
    assert len(scanner.plan.immutable) == 2, "those of the layer of the image: a snapshot that is none may change"


def test_nothing_is_touched_in_which_or_around_which_something_is_mounted(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).volume("a", 1).volume("b", 1).volume("c", 1).layer("base", 1)
    with open_root(str(built.path)) as root:
        root.mounts = frozenset({("volumes", "a", "_data"), ("volumes", "b"), ("overlay2",)})
        given: list[Task] = []
        lots = early_trees(root, find_areas(root), given.extend).lots
    assert given == lots
    trees = [tree for lot in lots for tree in lot.trees]
    assert {tree for tree in trees if tree[0] in ("volumes", "overlay2")} == {
        ("volumes", "c"),
        ("volumes", "c", "_data"),
    }
