"""A directory that is no data root: what it is, and where the data root may be."""

from pathlib import Path

import pytest

from exporter.config.default_root import SNAP
from exporter.config.settings import DEFAULT_ROOT
from exporter.inventory import elsewhere
from tests.support.product import scan
from tests.support.recorded import unpack_case
from tests.support.roots.layerdb import DbRoot

_ANSWERS = ("docker info -f '{{.DockerRootDir}}'", "/var/snap/docker/common/var-lib-docker", "~/.local/share/docker")


def _error(path: Path) -> str:
    error = scan(path).error
    assert all(answer in error for answer in _ANSWERS)
    assert "\n" not in error
    return error


def test_a_directory_that_is_missing_empty_or_a_file_leads_on(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    assert _error(tmp_path / "empty").startswith("holds no known Docker layout; ")
    assert _error(tmp_path / "missing").startswith("does not exist; ")
    assert _error(tmp_path / "file").startswith("is not a directory; ")


@pytest.mark.parametrize(
    "asked", ["", "docker/overlay2", "docker/containers/none", "docker/volumes", "docker/image/overlay2/imagedb"]
)
def test_a_data_root_above_or_below_is_named(tmp_path: Path, asked: str) -> None:
    root = DbRoot(tmp_path).path
    assert f"pass --root {root};" in _error(tmp_path / asked)


@pytest.mark.parametrize("asked", ["", "common"])
def test_the_root_of_the_snap_is_found_from_its_directories(tmp_path: Path, asked: str) -> None:
    common = tmp_path / "snap/common"
    common.mkdir(parents=True)
    root = DbRoot(common).path.rename(common / "var-lib-docker")
    assert f"pass --root {root};" in _error(tmp_path / "snap" / asked)


def test_a_directory_that_only_looks_like_a_data_root_is_not_named(tmp_path: Path) -> None:
    (tmp_path / "photos/image/holiday").mkdir(parents=True)
    assert "pass --root" not in _error(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("io.containerd.content.v1.content", "io.containerd.grpc.v1.introspection", "tmpmounts"),
            "containerd's own root",
        ),
        (("io.containerd.runtime.v2.task",), "containerd's own root"),
        (("overlay", "overlay-images", "overlay-layers", "libpod"), "Podman's storage"),
    ],
)
def test_the_root_of_another_engine_is_named_as_what_it_is(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert said in _error(tmp_path)


def test_the_packages_roots_are_looked_for_where_nobody_named_a_root(monkeypatch: pytest.MonkeyPatch) -> None:
    homes = ["/home/b/.local/share/docker", "/home/a/.local/share/docker"]
    monkeypatch.setattr("glob.glob", lambda _: homes)
    asked: list[str] = []

    def detect(path: str) -> bool:
        asked.append(path)
        return path in homes

    said = elsewhere.lead_on(DEFAULT_ROOT, (), detect)
    assert "pass --root /home/a/.local/share/docker or /home/b/.local/share/docker;" in said
    assert SNAP in asked
    assert "pass --root" not in elsewhere.lead_on("/srv/docker", (), detect)


def test_the_case_of_a_root_that_is_somewhere_else(tmp_path: Path) -> None:
    empty = unpack_case(20, tmp_path)
    _error(empty)
    assert f"pass --root {tmp_path}/snap/common/var-lib-docker;" in _error(tmp_path / "snap")
