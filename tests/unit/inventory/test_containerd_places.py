"""Where the root of a containerd of the host may be."""

import os
from pathlib import Path

import pytest

from exporter.core import mountinfo
from exporter.inventory import containerd_places
from exporter.inventory.containerd_places import configured_root, places


def _nothing_denied(error: OSError, path: str) -> None:
    raise AssertionError(path) from error


def _root(file: Path) -> str:
    return configured_root(str(file), _nothing_denied)


@pytest.mark.parametrize(
    ("content", "root"),
    [
        ('version = 3\nroot = "/data/containerd"\n[plugins]\n', "/data/containerd"),
        ("version = 3\n", ""),
        ('root = ""\n', ""),
        ('root = "relative"\n', ""),
        ("root = 5\n", ""),
        ("root = \n", ""),
        ("\xff root", ""),
        ('imports = "x"\n', ""),
        ('imports = [5, "none*"]\nroot = "/a"\n', "/a"),
        ('root = "/a"\n#' + "x" * (1024 * 1024), ""),
    ],
)
def test_the_root_is_that_of_the_configuration(tmp_path: Path, content: str, root: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content.encode("latin-1"))
    assert _root(file) == root


def test_what_a_configuration_imports_goes_before(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    (tmp_path / "conf.d").mkdir()
    file.write_text(f'root = "/a"\nimports = ["conf.d/*.toml", "{tmp_path}/config.toml"]\n')
    (tmp_path / "conf.d/1.toml").write_text('root = "/b"\n')
    (tmp_path / "conf.d/2.toml").write_text("[grpc]\n")
    assert _root(file) == "/b"


@pytest.mark.parametrize("name", ["none", "directory", "fifo"])
def test_what_is_no_file_has_no_root(tmp_path: Path, name: str) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert _root(tmp_path / name) == ""


def test_the_places_are_listed_with_those_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text('root = "/data//containerd/"\n')
    monkeypatch.setattr(containerd_places, "CONFIG", str(file))
    uppers = [
        "/mnt/ctd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs",
        "/var/lib/docker/overlay2/x/diff",
        "/mnt/ctd/io.containerd.snapshotter.v1.overlayfs/snapshots/9/fs",
    ]
    monkeypatch.setattr(containerd_places, "overlay_directories", lambda: uppers)
    assert places("/srv/docker", _nothing_denied) == {
        "/mnt/ctd": False,
        "/data/containerd": True,
        "/var/lib/containerd": True,
        "/srv/containerd": False,
        "/srv/containerd/daemon": False,
    }


def test_upper_directories_are_those_of_overlay_mounts(tmp_path: Path) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(
        "1 0 0:1 / / rw - ext4 /dev/a rw,upperdir=/no\n"
        "2 1 0:2 / /a rw shared:1 - overlay overlay rw,lowerdir=/l,upperdir=/a\\040b/fs,workdir=/w\n"
        "3 1 0:3 / /b rw - overlay overlay rw,lowerdir=/l,upperdir=/x\\134\\054y\n"
        "4 1 0:3 / /c rw - overlay overlay rw,lowerdir=/l\n"
        "5 1 0:2 / /d rw - overlay overlay rw,upperdir=/a\\040b/fs\n"
        "damaged\n"
        "6 1 0:2 / /d rw - overlay\n"
    )
    assert mountinfo.overlay_directories(str(file)) == ["/a b/fs", "/x,y"]
    assert mountinfo.overlay_directories(str(tmp_path / "none")) == []
