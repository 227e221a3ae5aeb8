"""The blocks that the files of an example get."""

import os
from pathlib import Path

import pytest

from exporter.demo import blocks

_SIZE = 5_000_000


def _made(root: Path) -> Path:
    path = root / "a" / "file"
    path.parent.mkdir()
    path.touch()
    os.truncate(path, _SIZE)
    os.utime(path, (1, 2))
    os.link(path, root / "link")
    (root / "elsewhere").symlink_to(path)
    return path


def _held(path: Path) -> int:
    return 512 * path.stat().st_blocks


def test_a_file_takes_what_its_size_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_OF_MEMORY", ())
    path = _made(tmp_path)
    assert _held(path) == 0
    assert blocks.fill(tmp_path)
    assert _SIZE <= _held(path) < _SIZE + 4096 * 2
    assert (path.stat().st_size, path.stat().st_mtime) == (_SIZE, 2)
    assert path.read_bytes() == bytes(_SIZE)


@pytest.mark.parametrize("why", ["no room", "memory"])
def test_where_that_is_too_much_it_takes_a_hundredth(why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _made(tmp_path)
    if why == "memory":
        monkeypatch.setattr(blocks, "_OF_MEMORY", (blocks._filesystem(tmp_path),))
    else:
        monkeypatch.setattr(blocks, "_ONE_OF", 2**60)
    assert not blocks.fill(tmp_path)
    assert _SIZE // 100 <= _held(path) < _SIZE // 100 + 4096 * 2
