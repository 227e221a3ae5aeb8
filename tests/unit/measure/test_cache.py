import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.links import Links
from exporter.core.measured import Identity, Measured, Tree, Usage
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


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = _saved(tmp_path / "file" / "cache")
    assert cache.error
    assert cache.path is None
    cache.update({}, {})
    cache.save()


def test_of_two_that_write_one_the_last_wins_and_no_rest_stays(tmp_path: Path) -> None:
    one, two = Cache(str(tmp_path / "cache")), Cache(str(tmp_path / "cache"))
    one.update({("a",): _ONE}, {})
    two.update({("b",): _ONE}, {})
    one.save()
    two.save()
    assert Cache(str(tmp_path / "cache")).tree(("b",), _ONE.identity) == _ONE
    assert os.listdir(tmp_path) == ["cache"]
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == 0o600
