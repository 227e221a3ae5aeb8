"""What counts as a change between a layer and the ones below it, as Docker's NaiveDiffDriver takes it."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.measured import Changes, Tree
from exporter.measure import difference as module
from exporter.measure.cursor import Cursor
from exporter.measure.difference import difference


def _no_error(error: OSError, tree: Tree) -> None:
    raise AssertionError((error, tree))


def _size(top: Path, *old: str, look_up: Callable[[], None] = lambda: None) -> tuple[int, int]:
    with DataRoot(str(top)) as root:
        return difference(root, Changes(("new",), tuple((one,) for one in old)), _no_error, look_up)


def _file(top: Path, name: str, size: int, *, seconds: float = 1000) -> Path:
    (top / name).parent.mkdir(parents=True, exist_ok=True)
    (top / name).write_bytes(b"x" * size)
    os.utime(top / name, ns=(0, int(seconds * 1e9)))
    return top / name


def test_an_entry_is_compared_with_the_uppermost_tree_that_has_its_path(tmp_path: Path) -> None:
    _file(tmp_path, "new/a", 1)
    _file(tmp_path, "new/b", 10)
    _file(tmp_path, "new/c", 100)
    _file(tmp_path, "upper/a", 1)
    _file(tmp_path, "lower/a", 7)
    _file(tmp_path, "upper/b", 7)
    _file(tmp_path, "lower/b", 10)
    _file(tmp_path, "lower/c", 100)
    assert _size(tmp_path, "upper", "lower") == (10, 3)
    assert _size(tmp_path, "lower", "upper") == (1, 3)
    assert _size(tmp_path, "upper") == (110, 3)
    assert _size(tmp_path) == (111, 3)


def test_below_a_directory_that_is_new_everything_is_and_beside_it_is_compared_again(tmp_path: Path) -> None:
    for name, size in (("a/f", 1), ("new-one/deep/f", 10), ("new-one/f", 100), ("z/deep/f", 1000), ("f", 10_000)):
        _file(tmp_path, f"new/{name}", size)
        if not name.startswith("new-one"):
            _file(tmp_path, f"old/{name}", size)
    _file(tmp_path, "old/deep/f", 10)
    assert _size(tmp_path, "old") == (110, 5 + 5)


def test_a_directory_in_place_of_a_file_is_new_with_all_in_it(tmp_path: Path) -> None:
    _file(tmp_path, "new/a/f", 5)
    _file(tmp_path, "new/b/f", 70)
    _file(tmp_path, "old/a", 5)
    _file(tmp_path, "old/b/f", 70)
    assert _size(tmp_path, "old") == (5, 4)


@pytest.mark.parametrize(
    ("new", "old", "same"),
    [
        (5.25, 5.25, True),
        (5.25, 5.5, False),
        (5.0, 5.5, True),
        (5.5, 5.0, True),
        (5.0, 6.0, False),
        (5.0, 6.5, False),
        (6.5, 5.0, False),
    ],
)
def test_times_are_the_same_to_the_nanosecond_or_to_the_second_where_one_has_no_more(
    tmp_path: Path, new: float, old: float, same: bool
) -> None:
    _file(tmp_path, "new/f", 5, seconds=new)
    _file(tmp_path, "old/f", 5, seconds=old)
    assert _size(tmp_path, "old")[0] == (0 if same else 5)


_FIELDS = {"mode": (0o100644, 0o100600), "user": (0, 1), "group": (0, 1), "size": (5, 6), "device": (0, 1)}


def _status(**changed: int) -> os.stat_result:
    told = {name: values[0] for name, values in _FIELDS.items()} | changed
    fields = (told["mode"], 1, 1, 1, told["user"], told["group"], told["size"], 0, 0, 0)
    more = {"st_rdev": told["device"], "st_mtime_ns": told.get("time", 0), "st_ctime_ns": told.get("inode_time", 0)}
    return os.stat_result(fields, more)


@dataclass
class _Below:
    """The tree compared with, which has one file."""

    status: os.stat_result
    capabilities: bytes = b""

    def lstat(self, _: str) -> os.stat_result:
        return self.status

    def capability(self, _: str) -> bytes:
        return self.capabilities


def _is_changed(tmp_path: Path, new: os.stat_result, below: _Below) -> bool:
    cursor = Cursor(os.open(tmp_path, os.O_RDONLY))
    try:
        return module._changed(cursor, "f", new, [below])  # type: ignore[list-item]
    finally:
        cursor.close()


@pytest.mark.parametrize("field", _FIELDS)
def test_whatever_docker_compares_makes_a_change(tmp_path: Path, field: str) -> None:
    assert not _is_changed(tmp_path, _status(), _Below(_status()))
    assert _is_changed(tmp_path, _status(**{field: _FIELDS[field][1]}), _Below(_status()))
    assert _is_changed(tmp_path, _status(), _Below(_status(**{field: _FIELDS[field][1]})))


def test_a_capability_makes_a_change_and_the_time_of_the_inode_does_not(tmp_path: Path) -> None:
    assert _is_changed(tmp_path, _status(), _Below(_status(), b"capability"))
    assert _is_changed(tmp_path, _status(time=1_000_000_000), _Below(_status()))
    assert not _is_changed(tmp_path, _status(inode_time=1), _Below(_status()))


def test_links_and_pipes_count_by_their_size_and_empty_files_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/link").symlink_to("somewhere")
    os.mkfifo(tmp_path / "new/pipe")
    _file(tmp_path, "new/empty", 0)
    assert _size(tmp_path, "none") == (len("somewhere"), 3)


def test_each_inode_counts_once_and_only_where_it_has_changed(tmp_path: Path) -> None:
    _file(tmp_path, "new/a", 5)
    os.link(tmp_path / "new/a", tmp_path / "new/b")
    os.link(tmp_path / "new/a", tmp_path / "elsewhere")
    _file(tmp_path, "old/a", 5)
    assert _size(tmp_path, "old") == (5, 2), "the name `b` is new"
    assert _size(tmp_path, "none") == (5, 2)
    _file(tmp_path, "old/b", 5)
    assert _size(tmp_path, "old") == (0, 2)


def test_a_removed_file_is_no_size(tmp_path: Path) -> None:
    """overlay stands a device 0/0 in the place of what a layer has removed."""
    whiteout = os.stat_result((stat.S_IFCHR, 1, 1, 1, 0, 0, 9, 0, 0, 0), {"st_rdev": 0})
    device = os.stat_result((stat.S_IFCHR, 1, 1, 1, 0, 0, 9, 0, 0, 0), {"st_rdev": 5})
    file = os.stat_result((stat.S_IFREG, 1, 1, 1, 0, 0, 9, 0, 0, 0), {"st_rdev": 0})
    assert [module._counts(one) for one in (whiteout, device, file)] == [False, True, True]


def test_a_large_directory_is_looked_up_from_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 10)
    for number in range(35):
        _file(tmp_path, f"new/{number}", 1)
    turns = []
    assert _size(tmp_path, look_up=lambda: turns.append(1)) == (35, 35)
    assert len(turns) == 4


def test_what_cannot_be_opened_is_an_error_for_the_layer_and_an_empty_tree_below_it(tmp_path: Path) -> None:
    _file(tmp_path, "old/f", 5)
    with pytest.raises(FileNotFoundError):
        _size(tmp_path, "old")
    _file(tmp_path, "new/f", 5)
    (tmp_path / "link").symlink_to("old")
    assert _size(tmp_path, "link") == (5, 1)
    before = len(os.listdir("/proc/self/fd"))
    _size(tmp_path, "old", "none")
    assert len(os.listdir("/proc/self/fd")) == before
