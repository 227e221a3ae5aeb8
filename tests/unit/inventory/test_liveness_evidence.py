"""How much evidence it takes to say that a container does not run, and for how long that holds."""

from pathlib import Path

import pytest

from exporter.core.model import Container, ContainerId, ContainerState
from exporter.inventory.liveness import Liveness
from tests.support.proc import BOOT, FakeProc

_ID, _OTHER = ContainerId("a" * 64), ContainerId("b" * 64)
_SKEW_SECONDS = 600


def _container(
    name: ContainerId = _ID, *, pid: int = 7, started: float | None = BOOT + 50, state: str = "running"
) -> Container:
    return Container("", name, state=ContainerState(state), pid=pid, started=started)


def _states(liveness: Liveness, *containers: Container) -> list[str]:
    return [one.state.value for one in liveness.judge(containers)]


def _out_of_sight(path: Path) -> FakeProc:
    """A /proc in which not every process of the host is to be seen."""
    proc = FakeProc(path)
    (path / "self/ns/pid").unlink()
    (path / "self/ns/pid").symlink_to("pid:[4026532000]")
    return proc


@pytest.mark.parametrize(
    ("before_boot", "expected"), [(_SKEW_SECONDS, "unknown"), (_SKEW_SECONDS + 1, "stale"), (-1, "unknown")]
)
def test_one_that_was_started_before_the_host_does_not_run(tmp_path: Path, before_boot: int, expected: str) -> None:
    """By ten minutes at least: the clock may have been set since."""
    liveness = Liveness(str(_out_of_sight(tmp_path).path))
    assert _states(liveness, _container(started=BOOT - before_boot)) == [expected]


def test_without_a_start_or_a_boot_time_that_cannot_be_told(tmp_path: Path) -> None:
    proc = _out_of_sight(tmp_path)
    assert _states(Liveness(str(proc.path)), _container(started=None)) == ["unknown"]
    (tmp_path / "stat").write_text("cpu 1\n")
    assert _states(Liveness(str(proc.path)), _container(started=1.0)) == ["unknown"]


def test_one_that_was_seen_dead_stays_so_until_it_is_written_down_anew(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    liveness = Liveness(str(proc.path))
    assert _states(liveness, _container()) == ["stale"]
    (tmp_path / "self/ns/pid").unlink()  # from now on nothing can be told
    assert _states(liveness, _container()) == ["stale"]
    assert _states(liveness, _container(pid=8)) == ["unknown"]
    assert _states(liveness, _container()) == ["unknown"], "it was forgotten when it was written down anew"


def test_one_that_was_seen_dead_is_not_looked_for_among_all_processes_again(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    liveness = Liveness(str(proc.path))
    assert _states(liveness, _container(pid=7)) == ["stale"]
    proc.process(900, f"/docker/{_ID}")
    assert _states(liveness, _container(pid=7)) == ["stale"]
    assert _states(Liveness(str(proc.path)), _container(pid=7)) == ["running"]


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_has_ended_proves_nothing_wherever_it_is_found(tmp_path: Path, state: str) -> None:
    proc = FakeProc(tmp_path)
    proc.process(900, f"/docker/{_ID}", state=state)
    assert _states(Liveness(str(proc.path)), _container(pid=7)) == ["stale"]
    assert _states(Liveness(str(proc.path)), _container(pid=900)) == ["stale"]


def test_a_container_between_two_attempts_to_start_it_has_no_process(tmp_path: Path) -> None:
    liveness = Liveness(str(FakeProc(tmp_path).path))
    assert _states(liveness, _container(pid=0, state="restarting")) == ["restarting"]
    assert _states(liveness, _container(pid=7, state="restarting")) == ["stale"]
    assert _states(liveness, _container(pid=0)) == ["stale"]


def test_a_process_without_a_number_is_that_of_no_container(tmp_path: Path) -> None:
    proc = _out_of_sight(tmp_path)
    proc.process(0, f"/docker/{_ID}")
    (tmp_path / "0").rename(tmp_path / "zero")
    assert _states(Liveness(str(proc.path)), _container(pid=0)) == ["unknown"]


def test_only_containers_that_are_written_down_as_running_are_judged(tmp_path: Path) -> None:
    proc = FakeProc(tmp_path)
    proc.process(7, f"/docker/{_ID}")
    containers = [_container(), _container(ContainerId("c" * 64), state="exited"), _container(_OTHER, pid=9)]
    assert _states(Liveness(str(proc.path)), *containers) == ["running", "exited", "stale"]


def test_where_there_is_no_proc_nothing_can_be_told(tmp_path: Path) -> None:
    assert _states(Liveness(str(tmp_path / "none")), _container()) == ["unknown"]
