"""Files that are linked from one tree to another after it was measured: they never count twice in a sum."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.dirty import Dirty
from exporter.core.links import Links
from exporter.core.measured import Measured, Tree, Usage
from exporter.core.model import Snapshot, Trigger, Use
from exporter.figures.figures import Figures
from exporter.figures.tally import disjoint
from exporter.measure.cache import Cache
from exporter.measure.pool.pool import Pool
from exporter.scan.hard_links import gained_links, unaccounted, without_unaccounted
from exporter.scan.scan_run import ScanRun
from exporter.scan.scanner import Scanner
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.roots.layerdb import DbRoot
from tests.support.usage import allocated

_BIG = 1_000_000
_SIZE = 10


def _measured(files: dict[int, int]) -> Measured:
    """A tree as it is measured now: how many links each file has, of which one is in it."""
    links = {inode: (_SIZE, 4096, count, 1) for inode, count in files.items() if count > 1}
    return Measured(Usage(_SIZE * len(files), 4096 * len(files), len(files)), (1, 2, 3), Links.of(links))


_FILES = st.frozensets(st.integers(1, 8))


@given(st.lists(_FILES, min_size=1, max_size=4), st.lists(_FILES, min_size=1, max_size=3))
def test_what_was_measured_before_it_was_linked_counts_once(
    old: list[frozenset[int]], new: list[frozenset[int]]
) -> None:
    """First there are the `old` trees, then the `new` ones come, linked to files of theirs, and are measured alone."""
    before, after = _count(old), _count([*old, *new])
    measured: dict[Tree, Measured] = {
        ("old", str(at)): _measured({one: before[one] for one in files}) for at, files in enumerate(old)
    }
    known = disjoint([measured.values()])[0]
    linked = [{one: after[one] for one in files if one in before} for files in new]
    measured |= {("new", str(at)): _measured(files) for at, files in enumerate(linked)}
    provisional = [tree for tree in measured if tree[0] == "new"]
    stale = {one for one, count in before.items() if count == 1}
    assert {tree: {*dict(links.items())} for tree, links in unaccounted(measured, provisional).items()} == {
        tree: stale & files.keys() for tree, files in zip(provisional, linked, strict=True) if stale & files.keys()
    }
    counted = measured | without_unaccounted(measured, provisional)
    assert disjoint([counted.values()])[0] == known


def _count(trees: list[frozenset[int]]) -> dict[int, int]:
    return {one: sum(one in files for files in trees) for files in trees for one in files}


def test_a_tree_gains_links_only_where_they_were_none_before() -> None:
    assert gained_links(None, _measured({1: 2}))
    assert gained_links(_measured({1: 1}), _measured({1: 2}))
    assert not gained_links(_measured({1: 2, 2: 2}), _measured({1: 3}))
    assert not gained_links(None, _measured({1: 1}))
    assert not gained_links(_measured({1: 2}), None)


def _scans(scanner: Scanner, *entries: Tree) -> Iterator[Snapshot]:
    """Scan entries as events would have it; what would be served whenever something was measured, and in the end."""
    scanner.begin(Trigger.EVENT, Dirty(frozenset(entries)))
    while scanner.runs:
        scanner.collect(1.0)
        yield scanner.snapshot()


def _allocated(snapshot: Snapshot) -> int:
    return sum(usage.allocated for usage in Figures(snapshot).directories.values() if usage)


def _agrees(path: Path, snapshots: Iterator[Snapshot]) -> Snapshot:
    """Nothing counts twice on the way, and the last one is right."""
    *early, last = snapshots
    now = allocated(path)
    assert all(_allocated(one) <= now for one in early)
    assert _allocated(last) == now
    return last


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    return graph_root(tmp_path, "overlay").image("base", size=_BIG, files={"d/big": b"x" * _BIG, "e": 9}, tag="base:1")


def _start(built: GraphRoot, name: str, parent: str) -> Tree:
    """Begin a layer as the engine does: by linking all files of its parent into it."""
    home = built.path / "overlay" / hex_id(name)
    home.mkdir()
    source = built.path / "overlay" / hex_id(parent) / "root"
    shutil.copytree(source, home / "tmproot", symlinks=True, copy_function=os.link)
    (home / "tmproot" / name).write_bytes(b"y" * 5000)
    return "overlay", hex_id(name)


def _complete(built: GraphRoot, name: str) -> Tree:
    home = built.path / "overlay" / hex_id(name)
    (home / "tmproot").rename(home / "root")
    return "overlay", hex_id(name)


def _register(built: GraphRoot, name: str, parent: str) -> Tree:
    made = built.path / "graph/_tmp" / hex_id(name)
    made.mkdir()
    (made / "json").write_text(json.dumps({"id": hex_id(name), "parent": hex_id(parent)}))
    (made / "layersize").write_text("5000")
    made.rename(built.path / "graph" / hex_id(name))
    return "graph", hex_id(name)


@pytest.mark.parametrize("seen", [True, False])
def test_layers_that_link_their_parents_files(built: GraphRoot, pool: Pool, seen: bool) -> None:
    """Whether or not the layer is scanned between the end of its making and its registration."""
    scanner = Scanner(str(built.path), 600, pool)
    assert _allocated(scanner.scan()) == allocated(built.path)
    for name, parent in (("child", "base"), ("grandchild", "child"), ("sibling", "base")):
        snapshot = _agrees(built.path, _scans(scanner, _start(built, name, parent)))
        assert [one.use for one in snapshot.inventory.layers if one.id == hex_id(name)] == [Use.PENDING]
        entry = _complete(built, name)
        if seen:
            _agrees(built.path, _scans(scanner, entry))
        snapshot = _agrees(built.path, _scans(scanner, _register(built, name, parent)))
        assert [one.content for one in snapshot.inventory.layers if one.id == hex_id(name)] == [
            ("overlay", hex_id(name), "root")
        ]
    assert scanner.counters.scans  # and all of that without a scan of everything
    shutil.rmtree(built.path / "graph" / hex_id("grandchild"))
    shutil.rmtree(built.path / "overlay" / hex_id("grandchild"))
    _agrees(built.path, _scans(scanner, ("graph", hex_id("grandchild")), ("overlay", hex_id("grandchild"))))


def test_a_layer_and_its_parent_that_come_together(built: GraphRoot, pool: Pool) -> None:
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    dirty = [
        entry for name, parent in (("child", "base"), ("grandchild", "child")) for entry in _made(built, name, parent)
    ]
    _agrees(built.path, _scans(scanner, *dirty))


def _made(built: GraphRoot, name: str, parent: str) -> tuple[Tree, Tree]:
    _start(built, name, parent)
    return _complete(built, name), _register(built, name, parent)


def test_only_the_parent_is_measured_again(built: GraphRoot, pool: Pool) -> None:
    for number in range(20):
        built.image(f"i{number}", parent="base", files={f"own{number}": 10})
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    snapshot = _agrees(built.path, _scans(scanner, *_made(built, "child", "i7")))
    layer = sum(len(files) + len(names) for _, names, files in os.walk(built.path / "overlay" / hex_id("child")))
    assert sum(one.entries for one in snapshot.collectors.values()) <= 4 * layer


def test_a_layer_that_came_while_the_exporter_was_down(built: GraphRoot, tmp_path: Path, pool: Pool) -> None:
    """The cache knows the parent as it was before others were linked to it."""
    file = tmp_path / "cache"
    scanner = Scanner(str(built.path), 600, pool, Cache(str(file)))
    scanner.scan()
    scanner.save_cache()
    _made(built, "child", "base")
    again = Scanner(str(built.path), 600, pool, Cache(str(file)))
    assert _allocated(again.scan(Trigger.EVENT)) == allocated(built.path)


def test_a_layer_that_was_left_half_made(built: GraphRoot, pool: Pool) -> None:
    scanner = Scanner(str(built.path), 0, pool)
    scanner.scan()
    entry = _start(built, "child", "base")
    snapshot = _agrees(built.path, _scans(scanner, entry))
    assert [one.use for one in snapshot.inventory.layers if one.id == hex_id("child")] == [Use.ORPHANED]
    shutil.rmtree(built.path / "overlay" / hex_id("base"))
    _agrees(built.path, _scans(scanner, ("overlay", hex_id("base"))))


def test_layers_of_the_newer_layout_as_well(tmp_path: Path, pool: Pool) -> None:
    built = DbRoot(tmp_path, "overlay").layer("base", _BIG).image("base", "base", ["base:1"])
    base = built.layers / built.cache("base")
    (base / "root").mkdir()
    (base / "base").rename(base / "root/base")
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    built.layer("child", 10, "base")
    child = built.layers / built.cache("child")
    shutil.copytree(base / "root", child / "root", copy_function=os.link)
    built.image("app", "child", ["app:1"])
    content = ("imagedb", "content", "sha256", built.images["app"]), ("layerdb", "sha256", built.chains["child"])
    images = (("image", "overlay", *one) for one in (("repositories.json",), *content))
    snapshot = _agrees(built.path, _scans(scanner, *images, ("overlay", child.name)))
    assert {one.use for one in snapshot.inventory.layers} == {Use.IMAGE}


def test_volumes_that_are_linked_leave_a_doubt(built: GraphRoot, pool: Pool) -> None:
    """Nobody knows which volume the other link is in: whoever decides what is measured is told."""
    first, second = (built.path / "volumes" / name / "_data" for name in ("first", "second"))
    first.mkdir(parents=True)
    (first / "file").write_bytes(b"x" * _BIG)
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    shutil.copytree(first, second, copy_function=os.link)
    assert [one.doubtful for one in _rounds(scanner, Dirty(frozenset([("volumes", "second")])))] == [True]
    scanner.remeasure([("volumes", "first", "_data")], 1.0)
    assert [one.doubtful for one in _collected(scanner)] == [False]
    assert _allocated(scanner.snapshot()) == allocated(built.path)
    assert [one.doubtful for one in _rounds(scanner, Dirty(everything=True))] == [False]


def _rounds(scanner: Scanner, dirty: Dirty) -> list[ScanRun]:
    scanner.begin(Trigger.EVENT, dirty)
    return _collected(scanner)


def _collected(scanner: Scanner) -> list[ScanRun]:
    done: list[ScanRun] = []
    while scanner.runs:
        done += scanner.collect(1.0)
    return done
