"""What systemd is told and takes over; and the unit, as far as systemd can check it without running it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import TOP
from tests.support.product import descendants, is_launcher, needs, scanning
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE

_PACKAGING = TOP / "packaging"
_SERVICE = _PACKAGING / "docker-storage-exporter.service"
_TEXTFILE = _PACKAGING / "docker-storage-exporter-textfile.service"
_TIMER = _PACKAGING / "docker-storage-exporter-textfile.timer"
_SOCKET = _PACKAGING / "docker-storage-exporter.socket"
# What systemd does before it starts a service that is activated by a socket: the socket is descriptor 3.
_ACTIVATE = """
import os, sys
descriptor = int(sys.argv[1])
os.dup2(descriptor, 3, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "exporter", "run", *sys.argv[2:]])
"""


class Manager:
    """The other end of sd_notify."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(self.address)
        self._channel.settimeout(DEADLINE)

    def hear(self, wanted: str) -> list[str]:
        heard: list[str] = []
        while wanted not in heard:
            heard += self._channel.recv(4096).decode().split("\n")
        return heard

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with contextlib.closing(Manager(tmp_path)) as one:
        yield one


@contextlib.contextmanager
def running(
    root: Path, *command: str, pass_fds: tuple[int, ...] = (), **environment: str
) -> Iterator[subprocess.Popen[str]]:
    flags = ["--root", str(root), "--cache.file", "none"]
    process = subprocess.Popen(
        [sys.executable, *command, *flags],
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=pass_fds,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_systemd_hears_of_each_step(tmp_path: Path, manager: Manager) -> None:
    root = graph_root(tmp_path / "root").path
    command = ("-m", "exporter", "run", "--web.listen-address", "127.0.0.1:0")
    with running(root, *command, NOTIFY_SOCKET=manager.address, WATCHDOG_USEC="200000") as process:
        manager.hear("READY=1")
        manager.hear("WATCHDOG=1")
        manager.hear("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        heard = manager.hear("READY=1")
        assert "RELOADING=1" in heard
        assert any(re.fullmatch(r"MONOTONIC_USEC=[0-9]+", one) for one in heard)
        process.send_signal(signal.SIGTERM)
        manager.hear("STOPPING=1")
        assert process.wait(DEADLINE) == 0


def test_a_socket_of_systemd_is_served_and_stays_open_across_a_restart(tmp_path: Path, manager: Manager) -> None:
    root = graph_root(tmp_path / "root").path
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for _ in range(2):
            command = ("-c", _ACTIVATE, str(listener.fileno()))
            with running(root, *command, pass_fds=(listener.fileno(),), NOTIFY_SOCKET=manager.address) as process:
                manager.hear("READY=1")
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/healthy", timeout=DEADLINE) as answer:
                    assert answer.status == 200
                # The environment of a copy is said to be what its original was started with.
                below = descendants(process.pid)
                copies = [*scanning(process.pid), *filter(is_launcher, below)]
                for child in {*below} - {*copies}:
                    with contextlib.suppress(OSError):  # a worker without work has ended
                        assert "LISTEN_FDS" not in Path(f"/proc/{child}/environ").read_text()
                passed = f"socket:[{os.fstat(listener.fileno()).st_ino}]"
                for copy in copies:
                    assert passed not in _opened(copy)
                process.send_signal(signal.SIGTERM)
                assert process.wait(DEADLINE) == 0


def _opened(process: int) -> list[str]:
    """What a process has open. It may close some of it meanwhile."""
    found = []
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(descriptor))
    return found


@needs("systemd-analyze")
def test_the_units_are_valid(tmp_path: Path) -> None:
    units = [tmp_path / one.name for one in (_SERVICE, _SOCKET, _TEXTFILE, _TIMER)]
    for unit in units:
        text = (_PACKAGING / unit.name).read_text()
        unit.write_text(text.replace("/usr/bin/docker-storage-exporter", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, units)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "docker-storage-exporter" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@needs("systemd-analyze")
@pytest.mark.parametrize(("unit", "most"), [(_SERVICE, 2.0), (_TEXTFILE, 3.0)])
def test_the_units_expose_little(unit: Path, most: float) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={10 * most:.0f}", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= most
    assert done.returncode == 0


def test_the_unit_has_one_capability_and_no_mounts_of_others() -> None:
    settings = dict(line.split("=", 1) for line in _SERVICE.read_text().splitlines() if re.match(r"[A-Z]\w+=", line))
    assert settings["AmbientCapabilities"] == settings["CapabilityBoundingSet"] == "CAP_DAC_READ_SEARCH"
    assert settings["PrivateMounts"] == "yes"
    assert settings["MountFlags"] == "slave"
    assert settings["ProtectSystem"] == "strict"
    assert settings["IOSchedulingClass"] == "idle"
    assert settings["OOMPolicy"] == "continue"
    assert {"MemoryMax", "WatchdogSec", "User"} <= settings.keys()
