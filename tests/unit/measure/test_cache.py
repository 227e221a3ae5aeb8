import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.links import Links
from exporter.core.measured import Identity, Measured, Tree, Usage
from exporter.measure import cache as module
from exporter.measure.cache import Cache

_NUMBER = st.integers(0, 2**63)
_COUNT = st.integers(0, 2**32 - 1)
_IDENTITY = st.tuples(_NUMBER, _NUMBER, _NUMBER)
_TREE = st.lists(st.text(st.characters(exclude_characters="/"), min_size=1), min_size=1, max_size=3).map(tuple)
_MEASURED = st.builds(
    Measured,
    usage=st.builds(Usage, _NUMBER, _NUMBER, _NUMBER),
    identity=_IDENTITY,
    links=st.dictionaries(_NUMBER, st.tuples(_NUMBER, _NUMBER, _COUNT, _COUNT), max_size=3).map(Links.of),
    entries=_NUMBER,
    skipped_mounts=_NUMBER,
)
_TREE_ONE: Tree = ("aufs", "diff", "caf\udce9")
_ONE = Measured(Usage(1, 2, 3), (4, 5, 6), Links.of({7: (8, 9, 2, 1)}), 10)


def _saved(path: Path) -> Cache:
    cache = Cache(str(path))
    cache.update({_TREE_ONE: _ONE}, {_TREE_ONE: (_ONE.identity, 11)})
    cache.save()
    return cache


@given(trees=st.dictionaries(_TREE, _MEASURED, max_size=4), sizes=st.dictionaries(_TREE, st.tuples(_IDENTITY, _NUMBER)))
def test_what_is_saved_is_known_again(
    trees: dict[Tree, Measured], sizes: dict[Tree, tuple[Identity, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("state") / "cache.json"
    cache = Cache(str(file))
    cache.update(trees, sizes)
    cache.save()
    again = Cache(str(file))
    assert all(again.tree(tree, one.identity) == one for tree, one in trees.items())
    assert all(again.size(tree, identity) == size for tree, (identity, size) in sizes.items())


def test_another_directory_of_the_same_name_is_not_known(tmp_path: Path) -> None:
    _saved(tmp_path / "cache")
    cache = Cache(str(tmp_path / "cache"))
    assert cache.tree(_TREE_ONE, (4, 5, 6)) == _ONE
    assert cache.tree(_TREE_ONE, (4, 5, 7)) is None
    assert cache.size(_TREE_ONE, (4, 0, 6)) is None


def _version(file: Path) -> None:
    head, body = file.read_bytes().split(b"\n")
    file.write_bytes(json.dumps(json.loads(head) | {"version": 0}).encode() + b"\n" + body)


def _directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


_DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-5]),
    "a byte": lambda file: file.write_bytes(file.read_bytes().replace(b"[1,2,3", b"[1,9,3")),
    "binary": lambda file: file.write_bytes(os.urandom(1000)),
    "json": lambda file: file.write_bytes(b'{"version": 1}\n{}'),
    "list": lambda file: file.write_bytes(b"[]\n[]"),
    "deep": lambda file: file.write_bytes(b"[" * 100_000),
    "older": _version,
    "directory": _directory,
    "fifo": _fifo,
}


@pytest.mark.parametrize("damage", _DAMAGES)
def test_a_damaged_cache_is_none(damage: str, tmp_path: Path) -> None:
    _saved(tmp_path / "cache")
    _DAMAGES[damage](tmp_path / "cache")
    assert len(Cache(str(tmp_path / "cache"))) == 0
    assert Cache(str(tmp_path / "cache")).tree(_TREE_ONE, (4, 5, 6)) is None


class _Clock:
    """The clock of the cache."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_a_cache_that_could_not_be_written_is_tried_again_at_longer_intervals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, tries, full = _Clock(monkeypatch), [], True

    def no_space(path: str, content: bytes, **others: object) -> None:
        tries.append(clock.now - 1000)
        if full:
            raise OSError(28, "No space left on device")
        Path(path).write_bytes(content)

    monkeypatch.setattr(module, "atomic_write", no_space)
    cache = Cache(str(tmp_path / "cache"))
    cache.update({_TREE_ONE: _ONE}, {})
    for second in range(200):
        clock.now = 1000.0 + second
        cache.save()
        assert cache.error == "No space left on device"
    assert tries == [0, 5, 15, 35, 75, 135, 195]
    full = False
    clock.now = 1254
    cache.save()
    assert cache.error
    clock.now = 1255
    cache.save()
    assert cache.error == ""
    assert Cache(str(tmp_path / "cache")).tree(_TREE_ONE, _ONE.identity) == _ONE
    cache.save()
    assert len(tries) == 8


def _below_a_file(file: Path) -> None:
    file.parent.rmdir()
    file.parent.touch()


_OTHERS: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "link": lambda file: file.symlink_to("../there"),
    "link to nothing": lambda file: file.symlink_to("nothing"),
    "directory": Path.mkdir,
    "a file above it": _below_a_file,
}


@pytest.mark.parametrize("kind", _OTHERS)
def test_what_is_no_regular_file_is_not_replaced(kind: str, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    file = tmp_path / "state/cache"
    file.parent.mkdir()
    _OTHERS[kind](file)
    before = sorted((one.name, one.lstat().st_mode) for one in tmp_path.rglob("*"))
    assert _saved(file).error
    assert sorted((one.name, one.lstat().st_mode) for one in tmp_path.rglob("*")) == before


def test_a_link_is_not_read(tmp_path: Path) -> None:
    _saved(tmp_path / "cache")
    (tmp_path / "link").symlink_to("cache")
    assert len(Cache(str(tmp_path / "cache"))) == 1
    assert len(Cache(str(tmp_path / "link"))) == 0


def test_nothing_is_made_where_that_is_forbidden(tmp_path: Path) -> None:
    """Also not the directory of the file, where a link leads there since the start."""
    (tmp_path / "root").mkdir()
    (tmp_path / "state").symlink_to("root")
    cache = Cache(
        str(tmp_path / "state/none/cache"), lambda path: os.path.realpath(path).startswith(f"{tmp_path}/root")
    )
    cache.update({_TREE_ONE: _ONE}, {})
    cache.save()
    assert "data root" in cache.error
    assert list((tmp_path / "root").iterdir()) == []


def test_of_two_that_write_one_the_last_wins_and_no_rest_stays(tmp_path: Path) -> None:
    one, two = Cache(str(tmp_path / "cache")), Cache(str(tmp_path / "cache"))
    one.update({("a",): _ONE}, {})
    two.update({("b",): _ONE}, {})
    one.save()
    two.save()
    assert Cache(str(tmp_path / "cache")).tree(("b",), _ONE.identity) == _ONE
    assert os.listdir(tmp_path) == ["cache"]
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o600
