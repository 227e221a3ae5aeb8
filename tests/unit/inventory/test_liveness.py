"""Whether containers run, judged by a /proc that the tests write."""

import shutil
from pathlib import Path

from exporter.core.model import Container, ContainerId, ContainerState
from exporter.inventory.liveness import Liveness
from tests.support.proc import BOOT, FakeProc

_ID = ContainerId("a" * 64)
_OTHER = "b" * 64


def _judge(proc: FakeProc, pid: int = 7, started: float = BOOT + 50, **fields: ContainerState) -> ContainerState:
    state = fields.get("state", ContainerState.RUNNING)
    return Liveness(str(proc.path)).judge([Container("", _ID, state=state, pid=pid, started=started)])[0].state


def test_a_process_in_its_cgroup_proves_that_a_container_runs(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    proc.process(7, f"/system.slice/docker-{_ID}.scope")
    assert _judge(proc) == "running"
    assert _judge(proc, state=ContainerState.PAUSED) == "paused"


def test_so_does_a_shim_that_was_given_its_name(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    proc.process(7, "/", parent=6)
    proc.process(6, "/", command=f"containerd-shim\0-id\0{_ID}\0")
    assert _judge(proc) == "running"


def test_a_process_that_is_another_or_has_ended_proves_nothing(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    proc.process(7, f"/docker/{_OTHER}")
    proc.process(8, f"/docker/{_ID}", state="Z")
    assert _judge(proc) == "stale"
    assert _judge(proc, pid=8) == "stale"


def test_an_engine_in_a_container_counts_processes_of_its_own(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    proc.process(900, f"/docker/{_OTHER}/docker/{_ID}")
    assert _judge(proc, pid=7) == "running"


def test_from_a_pid_namespace_of_its_own_it_cannot_be_known(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path, first=False)
    assert _judge(proc) == "unknown"
    assert _judge(proc, started=BOOT - 10_000) == "stale"


def test_a_container_that_runs_shows_that_the_others_would_be_seen(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path, first=False)
    proc.process(7, f"/docker/{_ID}")
    known = Container("", _ID, state=ContainerState.RUNNING, pid=7, started=BOOT + 1)
    other = Container("", ContainerId(_OTHER), state=ContainerState.RUNNING, pid=9, started=BOOT + 1)
    assert [one.state for one in Liveness(str(proc.path)).judge([known, other])] == ["running", "stale"]


def test_processes_that_are_hidden_are_not_taken_for_gone(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    (proc.path / "1/cgroup").unlink()
    assert _judge(proc) == "unknown"


def test_what_the_daemon_says_of_a_container_that_stopped_stands(tmp_path: Path) -> None:
    for state in (ContainerState.EXITED, ContainerState.CREATED, ContainerState.DEAD, ContainerState.REMOVING):
        assert _judge(FakeProc(tmp_path / state), state=state) == state
    assert _judge(FakeProc(tmp_path / "again"), pid=0, state=ContainerState.RESTARTING) == "restarting"


def test_what_is_judged_again_is_the_same_until_a_state_is_another_one(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    proc.container(7, _ID)
    listed = (
        Container("", _ID, state=ContainerState.RUNNING, pid=7, started=BOOT + 50),
        Container("", ContainerId(_OTHER), state=ContainerState.RUNNING, pid=8, started=BOOT + 50),
    )
    liveness = Liveness(str(proc.path))
    first = liveness.judge(listed)
    assert [one.state for one in first] == ["running", "stale"]
    assert liveness.judge(listed) is first
    shutil.rmtree(proc.path / "7")
    assert [one.state for one in liveness.judge(listed)] == ["stale", "stale"]
    assert [one.state for one in liveness.judge(listed[:1])] == ["stale"]
    assert liveness.judge(()) == ()
