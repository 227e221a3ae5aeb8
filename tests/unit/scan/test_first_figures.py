"""What a first scan serves on its way: each figure is absent until it is what it will be, and never anything else."""

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.core.dirty import Dirty
from exporter.core.model import Counters, Snapshot, Trigger
from exporter.expose.publication import Publisher
from exporter.expose.snapshot_api.pieces import ending
from exporter.figures.prunes import Category
from exporter.measure.pool.task import Task
from exporter.scan.scanner import Scanner
from exporter.web.pages.frame import PageFrame
from exporter.web.pages.overview import overview
from exporter.web.pages.status import status
from tests.support.changing import HOSTS, Host
from tests.support.fresh import objects
from tests.support.local_pool import LocalPool
from tests.support.product import Samples
from tests.support.roots import graph_root
from tests.support.served import served

_LISTS = ("directories", "reclaimable", "layers", "images", "containers", "volumes", "content", "namespaces", "blobs")
#: The names of files that the hosts write into trees, and the share of trees that are measured last.
_FILES = ("w", "f", "which", "base", "built", "hosts")
_FAR = 0.1


class _AnyOrder(LocalPool):
    """Measures trees in a random order, and most often the ones after the others that lie in the same directory."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def submit(self, tasks: list[Task], near: Sequence[Task] = ()) -> None:
        store = {task.tree[:1]: self._random.random() for task in tasks}
        far = {task: self._random.random() < _FAR for task in tasks}
        self._tasks.extend(sorted(tasks, key=lambda one: (far[one], store[one.tree[:1]], self._random.random())))


def _link_some(path: Path, seed: int) -> None:
    """Link files of trees from other trees, as overlay (v1) and backups do."""
    chosen = random.Random(seed)
    files = sorted(one for one in path.rglob("*") if one.name in _FILES and one.is_file() and not one.is_symlink())
    for number, file in enumerate(files):
        other = chosen.choice(files).parent
        if other != file.parent:
            os.link(file, other / f"linked{number}")


def _served(snapshot: Snapshot, publisher: Publisher) -> tuple[set[str], dict[str, Any], int | None]:
    """The samples, the document, and what all is on the disk by the pages."""
    text, summary, document = served(snapshot, Counters(), publisher)
    return objects(text), json.loads(document.finish(ending(None, []))), summary.used


def _is_early(early: Any, final: Any) -> bool:
    """Whether each value is that of the whole, or not known."""
    if isinstance(final, dict):
        return all(_is_early(early[name], one) for name, one in final.items())
    return early is None or early == final


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", HOSTS)
def test_figures_of_a_first_scan_are_right_or_absent(kind: type[Host], seed: int, tmp_path: Path) -> None:
    host = kind(tmp_path / "root", seed)
    for _ in range(4):
        host.change()
    if seed:
        _link_some(host.path, seed)
    scanner = Scanner(str(host.path), 600.0, _AnyOrder(seed))
    scanner.begin(Trigger.STARTUP, Dirty(everything=True))
    going_on, stages = Publisher(), []
    while scanner.runs:
        assert scanner.snapshot().unfinished
        found = _served(scanner.snapshot(), going_on)
        assert found == _served(scanner.snapshot(), Publisher())
        stages.append(found)
        scanner.collect(0.0)
    whole = scanner.snapshot()
    assert whole.complete
    assert whole.incomplete == frozenset()
    samples, document, used = _served(whole, going_on)
    assert (samples, document, used) == _served(whole, Publisher())
    for served_early, read_early, used_early in stages:
        assert served_early - samples == set()
        assert used_early in (None, used)
        for name in _LISTS:
            assert all(map(_is_early, read_early[name], document[name])), name
    assert {one.partition("{")[0] for one in stages[0][0]} >= {"container_running", "image_layers", "containers"}


def test_the_first_figures_do_not_wait_for_what_prunes_free(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=3, files={"a": 1}, tag="app:1")
    built.container("web", image="app", writable={"w": 4})
    scanner = Scanner(str(built.path), 600.0, LocalPool())
    scanner.begin(Trigger.STARTUP, Dirty(everything=True))
    publisher, found = Publisher(), list[int]()
    while scanner.runs:
        text, _, document = served(scanner.snapshot(), Counters(), publisher)
        found.append(len(Samples(text).all("reclaimable_objects")))
        asked = json.loads(document.finish(ending(None, [])))["reclaimable"]
        assert asked[0]["objects"] == 1, "whoever asks for it gets it"
        scanner.collect(0.0)
    assert found[0] == 0
    assert min(found[1:]) == len(Category)


def test_pages_say_that_a_first_scan_is_under_way(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=3, files={"a": 1}, tag="app:1")
    built.container("web", image="app", writable={"w": 4})
    scanner = Scanner(str(built.path), 600.0, LocalPool())
    scanner.begin(Trigger.STARTUP, Dirty(everything=True))
    scanner.collect(0.0)
    trees = len(scanner.plan.trees)
    for made in (overview, status):
        early = made(PageFrame(), served(scanner.snapshot(), Counters()).summary, ())
        assert f"The first scan is under way: 1 of {trees} directory trees are measured." in early
        assert "app:1" in early
    while scanner.runs:
        scanner.collect(0.0)
    assert "The first scan" not in overview(PageFrame(), served(scanner.snapshot(), Counters()).summary, ())
