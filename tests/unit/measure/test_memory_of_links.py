"""Files with two links, from the walk to the sums: 64 bytes for each, over all that one process after another keeps."""

import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.core import links as packed
from exporter.core.links import Links
from exporter.core.measured import Measured, Reason, Tree, Usage
from exporter.core.model import Collector
from exporter.figures.tally import disjoint
from exporter.measure import cache as caches
from exporter.measure import total as totals
from exporter.measure.cache import Cache
from exporter.measure.pool.task import Result, Task
from exporter.measure.total import Total
from exporter.scan import measurements as module
from exporter.scan.hard_links import gained_links, without_unaccounted
from exporter.scan.measurements import Measurements
from tests.support.totals import sent

_FILES = 20_000
_EACH = 64


def _statuses(files: int, links: int) -> Iterator[os.stat_result]:
    for number in range(files):
        fields = (0o100644, 1_000_000 + 7 * number, 1, links, 0, 0, 5000 + number, 0, 0, 0)
        yield os.stat_result(fields, {"st_blocks": 8 * (1 + number % 100)})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """With fewer files there is less of what takes the same room for any number of them."""
    monkeypatch.setattr(totals, "_RECENT", 1024)
    monkeypatch.setattr(totals, "_LEAST", 8192)
    monkeypatch.setattr(packed, "_SWEPT", 2048)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("links", [2, 3])
def test_what_is_kept_of_a_file_takes_few_bytes_at_any_time(links: int) -> None:
    """Both links in one tree, met far from each other, and the third one in another tree."""
    assert _peak(2 * _FILES, links) - _peak(_FILES, links) < _EACH * _FILES


def _peak(files: int, links: int) -> int:
    """The bytes that are in use at most until there are sums."""
    trees: dict[Tree, Measured] = {}
    tracemalloc.start()
    try:
        for name, passes in (("a", 2), ("b", links - 2)):
            total = Total()
            for _ in range(passes):
                for status in _statuses(files, links):
                    if total.first_link(status):
                        total.inodes += 1
            trees[name,] = sent(total, alone=name == "b").result((1, 2, 3))
            del total
        usages = disjoint([[tree] for tree in trees.values()])
        gained_links(trees["a",], trees["b",])
        unaltered = not without_unaccounted(trees, trees)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert unaltered
    assert [usage.inodes for usage in usages] == [files, 0]
    return peak


def test_the_cache_holds_links_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = Links.packed((inode, 5000, 8192, 2, 1) for inode in range(0, 7 * _FILES, 7))
    monkeypatch.setattr(caches, "_MAX_LINK_BYTES", 5 * links.packed_size)
    trees: dict[Tree, Measured] = {
        ("overlay", str(number)): Measured(Usage(), (1, 2, number), links) for number in range(20)
    }
    bare: Tree = ("overlay", "bare")
    cache = Cache(str(tmp_path / "cache"))
    cache.update({**trees, bare: Measured(Usage(), (1, 2, 99))}, {})
    cache.save()
    again = Cache(str(tmp_path / "cache"))
    known = [tree for tree, one in trees.items() if again.tree(tree, one.identity) == one]
    assert len(known) == 5
    assert again.tree(bare, (1, 2, 99)) is not None


def test_a_tree_with_links_beyond_what_is_remembered_of_all_has_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    links = Links.packed((inode, 5000, 8192, 2, 1) for inode in range(1000))
    monkeypatch.setattr(module, "MOST_LINK_BYTES", 3 * links.packed_size)
    kept = Measurements()

    def measure(number: int, measured: Measured) -> Result:
        result = Result(Task(("volumes", str(number))), measured)
        kept.refuse_excess(result)
        kept.note_result(result, Collector.VOLUMES)
        return result

    with_links, without = Measured(Usage(1, 2, 3), (1, 2, 3), links), Measured(Usage(1, 2, 3), (1, 2, 3))
    assert all(measure(number, with_links).measured for number in (0, 1, 2, 2))
    refused = measure(3, with_links)
    assert refused.measured is None
    assert refused.task.trouble is not None
    assert refused.task.trouble.counts == {Reason.TOO_LARGE: 1}
    assert kept.incomplete == {("volumes", "3")}
    assert measure(4, without).measured
    assert measure(2, without).measured
    assert measure(3, with_links).measured
    assert not kept.incomplete
