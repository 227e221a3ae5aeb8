"""Where a walk does not go: trees and stores that are measured on their own, mounts, and other filesystems."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.core.data_root import DataRoot
from exporter.core.measured import Measured, Tree, Usage
from exporter.measure import walk as walking
from exporter.measure.cursor import Cursor
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.start import WHOLE
from exporter.measure.total import Total
from exporter.measure.walk import Walk, measure


def _no_error(error: OSError, tree: Tree) -> None:
    raise AssertionError((error, tree))


def _files(top: Path, *names: str) -> None:
    """Write files that tell by their sizes which of them were counted: 1, 10, 100 and so on."""
    for at, name in enumerate(names):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"x" * 10**at)


def _measured(top: Path, exclusions: Exclusions = NOTHING, tree: Tree = ()) -> Measured:
    with DataRoot(str(top)) as root:
        return measure(root, tree, exclusions.at(tree), _no_error)


def _excluded(*trees: Tree, **what: bool) -> Exclusions:
    exclusions = Exclusions()
    for tree in trees:
        exclusions.add(tree, **what)
    return exclusions


def test_an_excluded_tree_is_left_out_wherever_it_lies_and_its_neighbours_are_not(tmp_path: Path) -> None:
    _files(tmp_path, "a/f", "a/b/f", "a/c/f", "b/f", "f")
    found = _measured(tmp_path, _excluded(("a", "b")))
    assert (found.usage.size, found.usage.inodes, found.entries) == (11101, 4 + 4, 4 + 4)
    assert found.skipped_mounts == 0
    assert _measured(tmp_path, _excluded(("a", "b")), ("a", "b")).usage.size == 10
    assert _measured(tmp_path, _excluded(("f",), ("a",))).usage.size == 1000


def test_a_store_is_measured_without_its_entries_also_those_that_come_later(tmp_path: Path) -> None:
    _files(tmp_path, "a/store/one/f", "a/store/f", "a/f", "f")
    found = _measured(tmp_path, _excluded(("a", "store"), store=True))
    assert (found.usage.size, found.usage.inodes, found.skipped_mounts) == (1100, 5, 0)
    assert _measured(tmp_path, _excluded(("a", "store"), store=True), ("a", "store")).usage == Usage(
        0, (tmp_path / "a/store").stat().st_blocks * 512, 1
    )


def test_what_is_mounted_is_counted_as_skipped_also_in_a_store(tmp_path: Path) -> None:
    _files(tmp_path, "mounted/f", "store/mounted/f", "store/one/f", "f")
    exclusions = _excluded(("mounted",), ("store", "mounted"), mount=True)
    exclusions.add(("store",), store=True)
    found = _measured(tmp_path, exclusions)
    assert (found.usage.size, found.skipped_mounts) == (1000, 2)
    assert _measured(tmp_path, exclusions, ("store",)).skipped_mounts == 1


def test_a_tree_that_is_excluded_twice_is_a_mount_if_it_was_one_once() -> None:
    for first, second in ((True, False), (False, True)):
        exclusions = Exclusions()
        exclusions.add(("a",), mount=first)
        exclusions.add(("a",), mount=second)
        assert exclusions == _excluded(("a",), mount=True)
    exclusions = _excluded(("a",))
    exclusions.add(("a",), store=True)
    assert exclusions == Exclusions({"a": Exclusions(leaf=True, store=True)})


def test_a_store_is_passed_through_and_a_tree_is_not() -> None:
    assert _excluded(("a", "b"), store=True).at(("a",)) == Exclusions({"b": Exclusions(store=True)})
    assert _excluded(("a", "b")).at(("a",)) == Exclusions({"b": Exclusions(leaf=True)})
    assert _excluded(("a", "b")).at(("b", "a")) == NOTHING
    assert Exclusions() == NOTHING


_NAMES = st.sampled_from(["a", "b"])
_ADDED = st.tuples(st.lists(_NAMES, min_size=1, max_size=3), st.sampled_from(["tree", "mount", "store"]))


@settings(max_examples=50)
@given(st.lists(_ADDED, max_size=6))
def test_a_worker_walks_as_it_is_told(
    tmp_path_factory: pytest.TempPathFactory, added: list[tuple[list[str], str]]
) -> None:
    """What is sent to a worker leaves out only what no walk comes to."""
    top = tmp_path_factory.getbasetemp() / "walked"
    if not top.exists():
        _files(top, *("/".join(names) for names in itertools.product("ab", repeat=3)))
    exclusions = Exclusions()
    for names, kind in added:
        exclusions.add(tuple(names), mount=kind == "mount", store=kind == "store")
    assert _measured(top, Exclusions.of(exclusions.listed())) == _measured(top, exclusions)


class _Entry:
    """An entry of a listing that lies on another filesystem, as a file that something is mounted on does."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self.name = entry.name
        self._entry = entry

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return self._entry.is_dir(follow_symlinks=follow_symlinks)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        return _elsewhere(self._entry.stat(follow_symlinks=follow_symlinks))


def _elsewhere(status: os.stat_result) -> os.stat_result:
    fields = [*status[:2], status.st_dev + 1, *status[3:]]
    return os.stat_result(fields, {"st_blocks": status.st_blocks})


class _Cursor(Cursor):
    """A walk's position, with another filesystem on every directory that is called so."""

    def enter(self, name: str) -> os.stat_result:
        status = super().enter(name)
        return _elsewhere(status) if name == "elsewhere" else status


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree in which whatever is called `elsewhere` is another filesystem that nobody has told of."""
    scandir = os.scandir

    class Listing:
        def __init__(self, descriptor: int) -> None:
            self._entries = scandir(descriptor)

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            self._entries.close()

        def __iter__(self) -> Iterator[Any]:
            return (_Entry(entry) if entry.name == "elsewhere" else entry for entry in self._entries)

    monkeypatch.setattr(os, "scandir", Listing)
    monkeypatch.setattr(walking, "Cursor", _Cursor)
    _files(tmp_path, "a/f", "a/elsewhere/f", "b/elsewhere", "f")
    return tmp_path


def test_another_filesystem_that_a_walk_comes_to_is_not_entered_and_counted_as_skipped(mounted: Path) -> None:
    found = _measured(mounted)
    assert found.usage.size == 1001
    assert found.usage.inodes == 3 + 2
    assert found.skipped_mounts == 2


def test_a_link_on_another_filesystem_is_no_link_of_this_one(mounted: Path) -> None:
    os.link(mounted / "b/elsewhere", mounted / "b/link")
    found = _measured(mounted)
    assert found.usage.size == 1101
    assert [*found.links.counts()] == [((mounted / "b/link").stat().st_ino, 2, 1)]


def test_a_single_file_is_a_tree_with_its_links_and_one_entry(tmp_path: Path) -> None:
    _files(tmp_path, "alone", "f")
    os.link(tmp_path / "f", tmp_path / "g")
    alone, linked = (_measured(tmp_path, tree=(name,)) for name in ("alone", "f"))
    assert (alone.usage.size, alone.usage.inodes, alone.entries, len(alone.links)) == (1, 1, 1, 0)
    assert (linked.usage.size, linked.usage.inodes, linked.entries, len(linked.links)) == (10, 1, 1, 1)
    status = (tmp_path / "f").stat()
    assert linked.identity == (status.st_dev, status.st_ino, status.st_ctime_ns)
    assert linked.usage.allocated == status.st_blocks * 512


def test_a_directory_that_may_not_be_entered_counts_itself_and_what_is_gone_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _files(tmp_path, "shut/f", "gone/f", "f")

    class Refusing(Cursor):
        def enter(self, name: str) -> os.stat_result:
            if name in ("shut", "gone"):
                raise PermissionError(13, "") if name == "shut" else FileNotFoundError(2, "")
            return super().enter(name)

    monkeypatch.setattr(walking, "Cursor", Refusing)
    errors: list[Tree] = []
    total = Total()
    with DataRoot(str(tmp_path)) as root:
        Walk(root, (), NOTHING, lambda _, at: errors.append(at), total).run([WHOLE])
    assert sorted(errors) == [("gone",), ("shut",)]
    assert (total.size, total.inodes) == (100, 3)
    assert total.blocks == sum((tmp_path / name).stat().st_blocks for name in ("", "shut", "f"))
