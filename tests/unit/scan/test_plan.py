from pathlib import Path

import pytest

from exporter.core.dirty import Dirty
from exporter.core.model import Trigger
from exporter.figures.figures import Figures
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from tests.support.product import scan
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.usage import allocated, inodes


def _build(path: Path, driver: str) -> GraphRoot:
    built = graph_root(path, driver).image("base", size=None, files={"a": 5, "b": 6000}, tag="base:1")
    built.writer.volume(hex_id("v"), {"data": 7})
    return built.image("app", parent="base", size=None, files={"c": 9}).container("web", image="app", writable={"w": 1})


@pytest.mark.parametrize("driver", ["aufs", "vfs", "overlay"])
def test_the_trees_are_disjoint_and_all_of_the_root(driver: str, tmp_path: Path) -> None:
    built = _build(tmp_path, driver)
    (built.path / "tmp/deep/er").mkdir(parents=True)
    usages = [one for one in Figures(scan(built.path)).directories.values() if one]
    assert sum(usage.inodes for usage in usages) == inodes(built.path)
    assert sum(usage.allocated for usage in usages) == allocated(built.path)


@pytest.mark.parametrize("driver", ["aufs", "vfs", "overlay"])
def test_a_change_costs_what_changed(driver: str, tmp_path: Path, pool: Pool) -> None:
    built = _build(tmp_path, driver)
    for number in range(50):
        built.image(f"i{number}", parent="base", size=1, files={"x": 1})
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    before = inodes(built.path)
    built.container("new", image="app", writable={"w": 1})
    changed = inodes(built.path) - before
    scanner.begin(Trigger.EVENT, Dirty(frozenset({("containers", hex_id("new"))})))
    while scanner.runs:
        scanner.collect(1.0)
    snapshot = scanner.snapshot()
    assert sum(one.inodes for one in Figures(snapshot).directories.values() if one) == before + changed
    scanned = [one for one in snapshot.collectors if scanner.counters.scans.get((one, Trigger.EVENT))]
    looked_at = sum(snapshot.collectors[one].entries for one in scanned)
    assert changed <= looked_at <= 2 * changed
