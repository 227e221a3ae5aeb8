"""A data root and the root of a containerd beside it: both are measured, and each adds up by itself."""

import os
import shutil
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Measured, Tree, Usage
from exporter.core.model import FurtherRoot, Snapshot, Trigger
from exporter.expose.metrics.families import families
from exporter.expose.metrics.render import render
from exporter.expose.metrics.status import status_families
from exporter.figures.directory_sums import place_of
from exporter.figures.figures import Figures
from exporter.inventory.areas import find_areas
from exporter.inventory.opening import open_mounted
from exporter.measure.cache import Cache
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from exporter.schedule.reconcile import Reconciler
from tests.support.local_pool import LocalPool
from tests.support.product import Samples
from tests.support.roots.two import CONTAINERD, two_roots
from tests.support.usage import allocated, inodes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return two_roots(tmp_path, "web").root


@pytest.fixture
def beside(data: Path) -> Path:
    return data.parent / CONTAINERD


def _scanner(data: Path, beside: Path, pool: Pool, cache: Cache | None = None) -> Scanner:
    return Scanner(str(data), 600, pool, cache, containerd=str(beside))


def test_each_root_adds_up_to_du_of_itself(data: Path, beside: Path, pool: Pool) -> None:
    scanner = _scanner(data, beside, pool)
    taken = scanner.scan()
    assert not taken.problems
    usages = {key: one for key, one in Figures(taken).directories.items() if one is not None}
    for root, path in (("", data), (str(beside), beside)):
        mine = [usage for key, usage in usages.items() if place_of(taken, key)[0] == root]
        assert sum(one.allocated for one in mine) == allocated(path)
        assert sum(one.inodes for one in mine) == inodes(path)
    made = [*families(Figures(taken)), *status_families(taken, scanner.counters)]
    samples = Samples(render(made, "text").decode())
    assert samples.sum("directory_allocated_bytes", root=str(beside)) == allocated(beside)
    assert samples.sum("directory_allocated_bytes", root=str(data)) == allocated(data)
    assert samples.sum("directory_inodes") == inodes(data) + inodes(beside)
    assert samples("root_info", root=str(beside), layout="containerd") == 1
    assert samples("root_info", root=str(data), layout="containerd") == 1


def test_with_one_root_its_directories_have_no_label_for_it(data: Path, pool: Pool) -> None:
    scanner = Scanner(str(data), 600, pool)
    samples = Samples(render(families(Figures(scanner.scan())), "text").decode())
    assert {frozenset(labels) for labels, _ in samples.all("directory_inodes")} == {frozenset(["directory"])}


def test_a_change_in_the_second_root_costs_what_changed(data: Path, beside: Path, pool: Pool) -> None:
    scanner = _scanner(data, beside, pool)
    scanner.scan()
    entry = (str(beside), "tmpmounts")
    (beside / "tmpmounts/new").mkdir(parents=True)
    scanner.begin(Trigger.EVENT, Dirty(frozenset({entry})))
    assert [task.tree for run in scanner.runs for task in run.pending] == [entry]
    while scanner.runs:
        scanner.collect(1.0)
    assert scanner.measured[entry].usage.inodes == 2


@pytest.mark.parametrize("gone", [False, True])
def test_another_second_root_is_scanned_anew(data: Path, beside: Path, pool: Pool, gone: bool) -> None:
    scanner = _scanner(data, beside, pool)
    scanner.scan()
    beside.rename(beside.parent / "former")
    if not gone:
        shutil.copytree(beside.parent / "former", beside, symlinks=True)
    taken = scanner.scan()
    assert [one.path for one in taken.further] == ([] if gone else [str(beside)])
    assert {tree[0] for tree in taken.measured if tree[:1] == (str(beside),)} == (set() if gone else {str(beside)})
    assert not gone or taken.inventory.directories


def test_a_tree_of_the_second_root_is_known_again_from_the_cache(tmp_path: Path) -> None:
    cache = Cache(str(tmp_path / "cache"))
    tree, other = ("/c d/é\udcff", "snapshots", "1"), ("overlay2", "x")
    known = {tree: Measured(Usage(1, 2, 3), (1, 2, 3)), other: Measured(Usage(4, 5, 6), (4, 5, 6))}
    cache.update(known, {tree: ((1, 2, 3), 7)})
    cache.save()
    again = Cache(str(tmp_path / "cache"))
    assert again.tree(tree, (1, 2, 3)) == known[tree]
    assert again.tree(other, (4, 5, 6)) == known[other]
    assert again.size(tree, (1, 2, 3)) == 7


def test_work_for_another_second_root_is_not_done(data: Path, beside: Path) -> None:
    with LocalPool() as pool:
        scanner = _scanner(data, beside, pool)
        scanner.begin(Trigger.STARTUP, Dirty(everything=True))
        shutil.rmtree(beside)
        while scanner.runs:
            scanner.collect(0.0)
        assert not [tree for tree in scanner.measured if tree[:1] == (str(beside),) and len(tree) > 1]
        assert ("volumes",) in scanner.measured


def test_a_look_finds_changes_in_the_second_root(data: Path, beside: Path) -> None:
    looks = Reconciler()
    os.utime(beside, (1, 1))

    def look() -> tuple[set[Tree], set[Tree]]:
        with DataRoot(str(data), [str(beside)]) as root:
            found = looks.compare_signatures(root, find_areas(root), {})
            return found.stores, found.entries

    assert look() == (set(), set())
    (beside / "new").mkdir()
    assert look() == ({(str(beside),)}, set())
    (beside / "new").rmdir()
    (beside / "new").write_text("a file")
    stores, entries = look()
    assert (stores, entries) == ({(str(beside),)}, {(str(beside), "new")})
    with DataRoot(str(data), [str(beside)]) as root:
        (beside / "new").write_text("another size")
        looks.mark_seen(root, find_areas(root), Dirty(everything=True), ())
    assert look() == (set(), set())


def test_a_tree_is_here_when_it_is_on_the_filesystem_of_its_own_root() -> None:
    measured = {
        ("a",): Measured(Usage(), (1, 1, 1)),
        ("/c", "x"): Measured(Usage(), (2, 1, 1)),
        ("/c", "y"): Measured(Usage(), (1, 1, 1)),
        ("/other", "x"): Measured(Usage(), (1, 1, 1)),
    }
    taken = Snapshot("/", 0.0, device=1, measured=measured, further=(FurtherRoot("/c", 2),))
    assert [taken.is_here(tree) for tree in measured] == [True, True, False, False]
    taken = Snapshot("/", 0.0, device=1, measured=measured, further=(FurtherRoot("/c", 2, subvolumes=True),))
    assert taken.is_here(("/c", "y"))


def test_the_filesystem_of_the_second_root_is_named(data: Path, beside: Path, pool: Pool) -> None:
    scanner = _scanner(data, beside, pool)
    scanner.scan()
    assert scanner.mounted_below[0] == str(beside)
    with open_mounted(str(data), further=[str(beside)]) as root:
        assert root.further == (str(beside),)


@pytest.mark.parametrize("setting", ["auto", "none"])
def test_what_comes_after_the_root_was_opened_is_listed(data: Path, pool: Pool, setting: str) -> None:
    """Signatures and watches are made after the opening. What is older must not be read beside them."""
    scanner = Scanner(str(data), 600, pool, containerd=setting)
    for opened in (scanner.open_root, scanner.look):
        with opened() as root:
            for store in ((), ("containers",), ("buildkit",)):
                name = f"{opened.__name__}"
                data.joinpath(*store, name).mkdir()
                assert name in root.names(store)
