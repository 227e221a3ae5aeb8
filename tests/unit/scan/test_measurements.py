"""A layer that is seen before it is whole: a pull takes a while, and files in a layer raise no event."""

from pathlib import Path

import pytest

from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.model import Trigger
from exporter.figures.figures import Figures
from exporter.measure.cache import Cache
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.usage import allocated

_LAYER = hex_id("slow")


class _Pull:
    """A scanner that has seen half of a layer."""

    def __init__(self, built: GraphRoot, pool: Pool, cache: Cache) -> None:
        self.root = built.path
        self.scanner = Scanner(str(built.path), 600, pool, cache)
        self.scanner.scan()
        deep = built.path / "aufs/diff" / _LAYER / "usr/lib"
        deep.mkdir(parents=True)
        (deep / "first").write_bytes(b"1" * 5000)
        self.scan(("aufs", "diff", _LAYER))
        (deep / "second").write_bytes(b"2" * 50_000)
        built.writer.file(f"graph/{_LAYER}/json", b'{"id": "%s"}' % _LAYER.encode())

    def begin(self, *entries: Tree) -> None:
        self.scanner.begin(Trigger.EVENT, Dirty(frozenset(entries)))

    def scan(self, *entries: Tree) -> None:
        self.begin(*entries)
        while self.scanner.runs:
            self.scanner.collect(1.0)

    def allocated(self) -> int:
        return sum(one.allocated for one in Figures(self.scanner.snapshot()).directories.values() if one)


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    return graph_root(tmp_path / "docker").image("base", size=3, files={"a": 1}, tag="base:1")


def test_a_layer_that_was_seen_half_written_is_measured_when_it_is_an_images(built: GraphRoot, pool: Pool) -> None:
    pull = _Pull(built, pool, Cache(None))
    pull.scan(("graph", _LAYER))
    assert pull.allocated() == allocated(built.path)
    pull.scan(("graph", _LAYER))
    assert sum(one.entries for one in pull.scanner.snapshot().collectors.values()) < 10, "once is enough"


def test_half_a_layer_is_not_kept_for_the_next_start(built: GraphRoot, pool: Pool, tmp_path: Path) -> None:
    file = str(tmp_path / "cache")
    pull = _Pull(built, pool, Cache(file))
    pull.begin(("graph", _LAYER))
    pull.scanner.save_cache()
    assert len(Cache(file)) == 1
    while pull.scanner.runs:
        pull.scanner.collect(1.0)
    pull.scanner.save_cache()
    assert len(Cache(file)) == 2


def test_a_snapshot_keeps_its_figures_when_trees_are_measured_again(built: GraphRoot, pool: Pool) -> None:
    pull = _Pull(built, pool, Cache(None))
    snapshot, tree = pull.scanner.snapshot(), ("aufs", "diff", _LAYER)
    before = snapshot.measured[tree]
    pull.scan(("graph", _LAYER))
    assert snapshot.measured[tree] is before
    assert pull.scanner.snapshot().measured[tree] != before


def test_figures_that_were_given_out_stay_as_they_were(built: GraphRoot, pool: Pool) -> None:
    """Also those of before a layer shared inodes with trees that nobody has measured."""
    pull = _Pull(built, pool, Cache(None))
    given = []
    for size in (1, 20_000, 40_000):
        (built.path / "aufs/diff" / _LAYER / "usr/lib/third").write_bytes(b"3" * size)
        pull.scan(("aufs", "diff", _LAYER))
        measured = pull.scanner.snapshot().measured
        given.append((measured, dict(measured)))
    assert all(dict(measured) == was for measured, was in given)
    assert len({measured["aufs", "diff", _LAYER].usage for measured, _ in given}) == 3


def test_what_is_measured_again_as_it_was_is_the_same_object(built: GraphRoot, pool: Pool) -> None:
    """So nothing of it is worked out again: a host whose trees were all measured twice has thousands."""
    scanner = Scanner(str(built.path), 600, pool)
    before = scanner.scan()
    scanner.remeasure(before.measured, 1.0)
    while scanner.runs:
        scanner.collect(1.0)
    after = scanner.snapshot()
    assert len(after.measured) > 3
    assert all(after.measured[tree] is one for tree, one in before.measured.items())
