"""Containers that an engine restarts: between two attempts they have no process."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.core.model import Container, ContainerId, ContainerState
from exporter.demo.writer import State
from exporter.inventory.liveness import Liveness
from tests.support.proc import BOOT, FakeProc
from tests.support.product import document_of
from tests.support.recorded import unpack_case
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot

_ID = ContainerId("a" * 64)
_SOON = "2023-11-14T23:00:00Z"


def _old(path: Path, policy: str, *, started: str = _SOON) -> Path:
    built = graph_root(path).image("app")
    built.container("web", image="app", state=State(running=True, pid=8, started=started))
    file = built.path / "containers" / hex_id("web") / "hostconfig.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"RestartPolicy": {"Name": policy}}))
    return built.path


def _state(root: Path, proc: FakeProc) -> tuple[str, bool]:
    (web,) = document_of(root, proc=str(proc.path)).containers
    return web.state, web.log_deleted


@pytest.mark.parametrize("policy", ["always", "on-failure", "unless-stopped"])
def test_an_old_engine_does_not_write_down_that_it_waits(tmp_path: Path, policy: str) -> None:
    root = _old(tmp_path, policy)
    proc = FakeProc(tmp_path / "proc")
    assert _state(root, proc) == ("unknown", False)
    proc.process(50, "/", command="/usr/bin/docker\0-d\0")
    assert _state(root, proc) == ("restarting", False)
    proc.container(8, hex_id("web"))
    assert _state(root, proc) == ("running", False)


@pytest.mark.parametrize("policy", ["", "no"])
def test_without_a_policy_it_is_stale(tmp_path: Path, policy: str) -> None:
    assert _state(_old(tmp_path, policy), FakeProc(tmp_path / "proc"))[0] == "stale"


def test_it_would_have_been_started_since_the_host_was(tmp_path: Path) -> None:
    root = _old(tmp_path, "always", started="2023-11-13T00:00:00Z")
    assert _state(root, FakeProc(tmp_path / "proc"))[0] == "stale"


def test_out_of_sight_nobody_knows(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path / "proc", first=False)
    proc.process(50, "/", command="dockerd\0")
    assert _state(_old(tmp_path, "always"), proc)[0] == "unknown"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"SeccompProfile": ""}, "unknown"),  # 1.10
        ({"SeccompProfile": "", "NoNewPrivileges": False}, "stale"),  # 1.11 and newer
        ({}, "stale"),
    ],
)
def test_newer_engines_write_it_down(tmp_path: Path, config: dict[str, Any], expected: str) -> None:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"])
    host = {"RestartPolicy": {"Name": "always"}}
    state = {"Running": True, "Pid": 8, "StartedAt": _SOON}
    built.container("web", "a", "a", log=1, state=state, host=host, config=config)
    assert _state(built.path, FakeProc(tmp_path / "proc"))[0] == expected


@pytest.mark.parametrize(
    ("command", "engine"),
    [
        ("/usr/bin/dockerd\0-H\0fd://\0", True),
        ("docker\0-d\0", True),
        ("docker\0-g\0/data\0--daemon=true\0", True),
        ("docker\0daemon\0--debug\0", True),
        ("docker\0run\0-d\0app\0", False),
        ("docker\0exec\0app\0daemon\0", False),
        ("docker-proxy\0-d\0", False),
        ("sh\0-c\0dockerd\0", False),
        ("", False),
    ],
)
def test_which_process_is_an_engine(tmp_path: Path, command: str, engine: bool) -> None:
    proc = FakeProc(tmp_path)
    proc.process(50, "/", command=command)
    one = Container("", _ID, state=ContainerState.RUNNING, pid=7, started=BOOT + 50, waits_unwritten=True)
    assert Liveness(str(proc.path)).judge([one])[0].state == ("restarting" if engine else "unknown")


@pytest.mark.parametrize(
    ("started", "expected"), [(31.5, "unknown"), (1_402_271_999, "unknown"), (1_402_272_000, "stale")]
)
def test_a_start_before_the_clock_was_set_is_no_evidence(tmp_path: Path, started: float, expected: str) -> None:
    one = Container("", _ID, state=ContainerState.RUNNING, pid=7, started=started)
    (tmp_path / "here").mkdir()
    assert Liveness(str(FakeProc(tmp_path / "out", first=False).path)).judge([one])[0].state == expected
    assert Liveness(str(FakeProc(tmp_path / "all").path)).judge([one])[0].state == "stale"


def test_case_18(tmp_path: Path) -> None:
    root = unpack_case(18, tmp_path)
    assert _state(root, FakeProc(tmp_path / "proc", first=False))[0] == "unknown"
