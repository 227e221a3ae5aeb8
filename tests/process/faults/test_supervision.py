"""What goes wrong with the exporter's own processes: limits of the system, signals, streams that are not there."""

import contextlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.product import descendants, is_launcher, needs, runs, scanning, workers
from tests.support.roots import GraphRoot, change
from tests.support.waiting import DEADLINE, eventually

_RUN = "from exporter.__main__ import main; main()"
#: A Python that cannot be started again, as after an upgrade that removed it.
_REMOVED = "import sys; sys.executable = '/nonexistent'; "
_IMPATIENT = "import exporter.service.current as c, exporter.service.scan_supervisor as s; "
_IMPATIENT += "c.MISSING_SECONDS = s.MISSING_SECONDS = 1; "
#: As another user, with the right to read everything: a limit on processes holds for users other than root.
_OTHER_USER = (
    *("setpriv", "--reuid", "61234", "--regid", "61234", "--clear-groups"),
    *("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"),
)


def _descriptors(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def _limit(process: int, descriptors: int) -> None:
    hard = resource.prlimit(process, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(process, resource.RLIMIT_NOFILE, (descriptors, hard))


def test_no_descriptors_to_start_the_scanner_with(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        serving = running.process.pid
        scanning_with = _descriptors(serving)
        _limit(serving, scanning_with - 2)
        os.kill(scanning(serving)[0], signal.SIGKILL)
        running.log_line("event=scanner.died .*SIGKILL")
        for _ in range(2):
            running.log_line('event=scanner.not_started why="Too many open files" restart_seconds=')
        assert not scanning(serving)
        _limit(serving, 1024)
        change(built)
        assert becomes_as_fresh(running, built.path)("scanner_up") == 1
        eventually(lambda: _descriptors(serving) <= scanning_with)  # less the connection of a test
        running.stop()
        assert not any("Traceback" in line for line in running.lines)


def test_a_scanner_without_descriptors_goes_on_when_it_has_some_again(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for number, limit in enumerate((3, 8, 12, 16, 20)):
            for one in scanning(running.process.pid):
                _limit(one, limit)
            change(built, f"more{number}")
            running.figures()
            for one in scanning(running.process.pid):
                _limit(one, 1024)
            becomes_as_fresh(running, built.path)


def test_without_a_scanner_it_is_not_healthy_and_says_why(built: GraphRoot) -> None:
    with exporter(built.path, "--sandbox", "off", program=("-c", _REMOVED + _IMPATIENT + _RUN)) as running:
        serving = running.process.pid
        eventually(lambda: scanning(serving))
        os.kill(scanning(serving)[0], signal.SIGKILL)  # the first one is a copy, which needs no program
        running.log_line("event=scanner.not_started why=.No such file or directory.")
        for _ in range(2):
            running.log_line("event=scanner.missing why=.*no scanning process for [0-9]+ s: No such file or directory")
        for path in ("/-/healthy", "/-/ready"):
            status, _, body = running.get(path)
            assert status == 503
            assert b"no scanning process for" in body
            assert b"No such file or directory" in body
        assert running.figures()("scanner_up") == 0


def _foreign_streams(pid: int, said: Path) -> list[str]:
    """The standard streams of an exporter's processes that lead to what is none: such as a database or a socket."""
    found = []
    for one in (pid, *descendants(pid)):
        with contextlib.suppress(FileNotFoundError):  # it has ended
            for number in (1, 2) if is_launcher(one) else (0, 1, 2):
                leads = os.readlink(f"/proc/{one}/fd/{number}")
                if leads not in {"/dev/null", str(said)} and not leads.startswith(("pipe:", "/dev/pts")):
                    found.append(f"{one}: {number}: {leads}")
    return found


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(built: GraphRoot, tmp_path: Path, closed: str) -> None:
    """No descriptor of the exporter gets their numbers, in none of its processes."""
    said = tmp_path / "said"
    script = f'exec "$@" {closed}'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "exporter", "run", "--root", str(built.path)]
    command += ["--web.listen-address", "127.0.0.1:0", "--cache.file", "none"]
    with said.open("w") as errors, subprocess.Popen(command, stdout=errors, stderr=errors) as process:
        try:
            eventually(lambda: workers(process.pid))
            eventually(
                lambda: not _foreign_streams(process.pid, said), otherwise=lambda: _foreign_streams(process.pid, said)
            )
            inner = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (0, 1, 2)]
            assert not any(leads.startswith("socket:") for leads in inner)
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
    assert "Traceback" not in said.read_text()


def test_an_interrupt_of_a_process_that_the_user_did_not_start(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for number in range(3):
            change(built, f"more{number}")
            before = scanning(running.process.pid)
            for one in descendants(running.process.pid):
                _signal(one, signal.SIGINT)
            becomes_as_fresh(running, built.path)
            assert scanning(running.process.pid) == before
        running.stop()
        assert not any("Traceback" in line or "died" in line or "lost" in line for line in running.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGABRT])
def test_a_signal_that_ends_what_scans(built: GraphRoot, number: int) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for one in descendants(running.process.pid):
            _signal(one, number)
        change(built)
        becomes_as_fresh(running, built.path)


def test_workers_that_are_stopped(built: GraphRoot) -> None:
    with exporter(built.path, "--scan.tree-timeout", "1") as running:
        becomes_as_fresh(running, built.path)
        for number in range(3):
            change(built, f"more{number}")
            for one in eventually(lambda: workers(running.process.pid)):
                _stop(one)
            becomes_as_fresh(running, built.path)


def _stop(process: int) -> None:
    _signal(process, signal.SIGSTOP)


def _signal(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # a worker that has nothing to do ends
        os.kill(process, number)


def test_all_processes_are_stopped_and_go_on(built: GraphRoot) -> None:
    """As `docker pause` does: nothing counts as stuck for that."""
    with exporter(built.path, "--scan.tree-timeout", "1") as running:
        becomes_as_fresh(running, built.path)
        everyone = [running.process.pid, *descendants(running.process.pid)]
        before = scanning(running.process.pid)
        for one in everyone:
            _stop(one)
        subprocess.run(["sleep", "2.5"], check=True)
        for one in reversed(everyone):  # those that are watched before those that watch
            _signal(one, signal.SIGCONT)
        change(built)
        becomes_as_fresh(running, built.path)
        assert scanning(running.process.pid) == before


@pytest.mark.parametrize("limit", ["ulimit -n 64", "ulimit -n 24", "ulimit -v 150000"])
def test_limits_that_are_low_but_enough(built: GraphRoot, limit: str) -> None:
    with exporter(built.path, under=("sh", "-c", f'{limit}; exec "$@"', "sh")) as running:
        change(built)
        becomes_as_fresh(running, built.path)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("ulimit -n 9", "Too many open files"),
        ("ulimit -n 6", "Too many open files"),
        *((f"ulimit -v {limit}", f"ulimit -v is {limit}") for limit in (24000, 28000, 32000, 60000)),
    ],
)
def test_limits_that_are_too_low_are_said_in_a_line(built: GraphRoot, tmp_path: Path, limit: str, said: str) -> None:
    script = f'{limit}; exec "$@"'
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "exporter", "run", "--root", str(built.path)]
    command += ["--web.listen-address", "127.0.0.1:0", "--cache.file", "none"]
    errors = tmp_path / "errors"
    with errors.open("w") as file, subprocess.Popen(command, stderr=file) as process:
        try:
            eventually(lambda: said in errors.read_text() or process.poll() is not None)
        finally:
            process.kill()
    lines = errors.read_text().splitlines()
    assert any(said in line for line in lines), lines
    assert not any("Traceback" in line for line in lines)


@needs("setpriv")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_limit_on_processes(built: GraphRoot, tmp_path: Path) -> None:
    built.path.chmod(0o755)
    few = (*_OTHER_USER, "prlimit", "--nproc=7")
    with exporter(built.path, under=few) as running:
        change(built)
        becomes_as_fresh(running, built.path)


def _once(root: Path, code: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code + _RUN, "once", "--root", str(root), "--scan.tree-timeout", "2"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)


def test_once_without_workers_ends_and_says_why(built: GraphRoot) -> None:
    done = _once(built.path, _REMOVED)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if "worker.not_started" not in line]
    assert lines == [
        f"{built.path}: nothing can be measured: no worker process can be started: No such file or directory"
    ]
    assert "docker_storage_up 0" in done.stdout


def test_once_without_descriptors_for_workers_ends_and_says_why(built: GraphRoot) -> None:
    done = _once(built.path, "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (9, 9)); ")
    assert done.returncode == 1
    assert "Too many open files" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_was_stopped_does_not_outlive_the_exporter(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        ours = descendants(running.process.pid)
        for one in ours:
            _stop(one)
        running.stop()
        eventually(lambda: not any(map(runs, ours)))
