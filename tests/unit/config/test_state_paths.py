import os
from pathlib import Path

import pytest

from exporter.config import state_paths
from exporter.config.settings import SettingsError
from exporter.config.state_paths import cache_file_for, is_below
from exporter.core.mountinfo import MountPoint


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


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_a_cache_that_would_replace_something_else_is_refused(root: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "cache"
    if kind == "link":
        file.symlink_to("x")
    else:
        (os.mkfifo if kind == "fifo" else os.mkdir)(file)
    with pytest.raises(SettingsError, match="stands there, and only a regular file is replaced"):
        cache_file_for(str(file), str(root))


@pytest.mark.parametrize(
    ("at", "inside", "device", "below"),
    [
        ("state", "/docker/volumes", "8:1", True),
        ("state", "/docker", "8:1", True),
        ("state", "/dockerx", "8:1", False),
        ("state", "/docker/volumes", "8:2", False),
        ("", "/docker/overlay2/x", "8:1", False),  # the container's own
    ],
)
def test_a_directory_of_the_root_that_is_mounted_elsewhere_is_below_it(  # noqa: PLR0913 - a table
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, inside: str, device: str, below: bool
) -> None:
    def mount(path: str, inside: str, device: str) -> MountPoint:
        return MountPoint("1", "0", path, inside, device, "/dev/sda1", "ext4")

    here = mount(str(tmp_path / at) if at else "/", inside, device)
    monkeypatch.setattr(state_paths, "read_mounts", lambda: [here, mount(str(root), "/docker", "8:1")])
    assert is_below(str(tmp_path / "state/x/cache"), str(root)) == below


def test_a_user_without_a_home_directory_keeps_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` stays as it is then, and would be a directory below the current one."""
    for name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 61234)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache_file_for("", str(root)) == ""
    monkeypatch.setenv("XDG_STATE_HOME", "state")  # not absolute: to be ignored, as its specification says
    assert cache_file_for("", str(root)) == ""
