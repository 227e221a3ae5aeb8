from pathlib import Path

import pytest

from exporter.config.state_paths import cache_file_for, is_below


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/volumes").mkdir(parents=True)
    return tmp_path / "root"


def test_what_leads_below_the_root_is_below_it(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root / "volumes")
    for below in (root / "x", root / "none/x", root / "volumes/../x", tmp_path / "link/x", tmp_path / "link/none/x"):
        assert is_below(str(below), str(root)), below
    assert is_below(str(root / "x"), str(tmp_path / "link/.."))
    for beside in (tmp_path / "x", tmp_path / "rootx/x", root / "../x"):
        assert not is_below(str(beside), str(root)), beside


def test_where_the_state_directory_lies_below_the_root_nothing_is_kept(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert cache_file_for("", str(root)).startswith(str(tmp_path))
    monkeypatch.setenv("STATE_DIRECTORY", str(root / "volumes"))
    assert cache_file_for("", str(root)) == ""
    assert cache_file_for("none", str(root)) == ""
