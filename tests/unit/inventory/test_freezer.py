"""Paused containers, by the cgroups that the tests write."""

from pathlib import Path

import pytest

from exporter.core.model import Container, ContainerId, ContainerState
from exporter.inventory.freezer import is_frozen
from exporter.inventory.liveness import Liveness
from tests.support.proc import BOOT, FakeProc

_ID = "a" * 64
_V1 = "11:memory:{group}\n4:cpu,freezer:{group}\n1:name=systemd:{group}\n"
_V2 = "0::{group}\n"


def _file(cgroups: Path, group: str, *, version: int, content: str) -> None:
    place = cgroups / "freezer" if version == 1 else cgroups
    home = place / group.lstrip("/")
    home.mkdir(parents=True, exist_ok=True)
    (home / ("freezer.state" if version == 1 else "cgroup.freeze")).write_text(content)


@pytest.mark.parametrize(
    "group", [f"/docker/{_ID}", f"/system.slice/docker-{_ID}.scope", f"/docker/{'b' * 64}/docker/{_ID}"]
)
@pytest.mark.parametrize(
    ("version", "content", "frozen"),
    [
        (1, "FROZEN\n", True),
        (1, "FREEZING\n", True),
        (1, "THAWED\n", False),
        (2, "1\n", True),
        (2, "0\n", False),
        (2, "odd\n", None),
        (1, "", None),
    ],
)
@pytest.mark.parametrize("below", ["", "/init.scope"])
def test_the_engine_freezes_the_cgroup_that_has_the_id(  # noqa: PLR0913 - a matrix
    tmp_path: Path, group: str, version: int, content: str, frozen: bool | None, below: str
) -> None:
    """A container may have cgroups of its own below that, which are not frozen."""
    _file(tmp_path, group, version=version, content=content)
    if below:
        _file(tmp_path, group + below, version=version, content="THAWED" if version == 1 else "0")
    listed = (_V1 if version == 1 else _V2).format(group=group + below).encode()
    assert is_frozen(listed, _ID, str(tmp_path)) is frozen


def test_with_both_versions_it_is_the_one_with_the_freezer(tmp_path: Path) -> None:
    group = f"/docker/{_ID}"
    _file(tmp_path, group, version=1, content="FROZEN")
    assert is_frozen(f"4:freezer:{group}\n0::{group}\n".encode(), _ID, str(tmp_path)) is True
    assert is_frozen(f"0::{group}\n4:freezer:{group}\n".encode(), _ID, str(tmp_path)) is True


@pytest.mark.parametrize("listed", [b"", b"0::/", b"odd", b"::", b"0::/docker/other", b"4:freezer:/\xff\n"])
def test_what_names_no_cgroup_of_the_container_says_nothing(tmp_path: Path, listed: bytes) -> None:
    assert is_frozen(listed, _ID, str(tmp_path)) is None


def test_a_cgroup_of_another_namespace_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    _file(tmp_path, f"/docker/{_ID}", version=2, content="1")
    mounted = tmp_path / "docker" / ("b" * 64)
    mounted.mkdir()
    assert is_frozen(f"0::/../{_ID}\n".encode(), _ID, str(mounted)) is None


@pytest.mark.parametrize(
    ("written", "content", "state"),
    [
        ("running", "FROZEN", "paused"),
        ("paused", "THAWED", "running"),
        ("running", "THAWED", "running"),
        ("paused", "", "paused"),
        ("restarting", "FROZEN", "restarting"),
    ],
)
def test_the_cgroup_says_whether_a_running_container_is_paused(
    tmp_path: Path, written: str, content: str, state: str
) -> None:
    proc = FakeProc(tmp_path / "proc")
    proc.process(7, f"/docker/{_ID}")
    (proc.path / "7/cgroup").write_text(_V1.format(group=f"/docker/{_ID}"))
    _file(tmp_path / "cgroup", f"/docker/{_ID}", version=1, content=content)
    one = Container("", ContainerId(_ID), state=ContainerState(written), pid=7, started=BOOT + 50)
    assert Liveness(str(proc.path), str(tmp_path / "cgroup")).judge([one])[0].state == state


def test_so_does_that_of_a_process_that_was_searched_for(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path / "proc")
    proc.process(900, f"/docker/{_ID}")
    _file(tmp_path / "cgroup", f"/docker/{_ID}", version=2, content="1")
    one = Container("", ContainerId(_ID), state=ContainerState.RUNNING, pid=7, started=BOOT + 50)
    assert Liveness(str(proc.path), str(tmp_path / "cgroup")).judge([one])[0].state == "paused"
