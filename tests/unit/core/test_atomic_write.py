import os
from pathlib import Path

import pytest

from exporter.core.atomic_write import atomic_write


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    return file


def test_the_file_is_replaced_with_its_mode_whatever_the_umask_is(file: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic_write(str(file), b"after", mode=0o644)
    finally:
        os.umask(before)
    assert file.read_bytes() == b"after"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_who_has_the_old_file_open_reads_all_of_it(file: Path) -> None:
    with file.open("rb") as opened:
        atomic_write(str(file), b"after", mode=0o600)
        assert opened.read() == b"before"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_file_and_nothing_else(
    file: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="no space"):
        atomic_write(str(file), b"after", mode=0o600)
    assert file.read_bytes() == b"before"
    assert list(file.parent.iterdir()) == [file]


def test_what_could_not_be_renamed_onto_a_directory_is_removed(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic_write(str(tmp_path / "directory"), b"after", mode=0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["directory"]
