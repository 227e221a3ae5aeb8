"""A private real engine for tests: Debian's dockerd on a root of its own, without a network."""

import contextlib
import functools
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import DEADLINE, eventually

_APPLETS = ("sh", "dd", "echo", "sleep", "rm", "ln", "cat", "mkdir", "chmod", "seq", "touch", "truncate")
#: Debian's own client: others may have no builder without a plugin.
_CLIENT = "/usr/bin/docker"


def require_engine() -> None:
    """Skip where no engine can be run."""
    if os.geteuid() != 0:
        pytest.skip("an engine needs root")
    if not all(map(shutil.which, ("dockerd", "busybox", _CLIENT))):
        pytest.skip("docker.io and busybox-static are not installed")


@functools.cache
def engine_version() -> tuple[int, ...]:
    """The version of the engine that tests run, major and minor; (0,) without one."""
    if shutil.which("dockerd") is None:
        return (0,)
    told = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0,)


class Engine:
    """One engine: start, ask, kill."""

    def __init__(self, scratch: Path, short: Path, driver: str) -> None:
        self.root = scratch / "root"
        self.driver = driver
        self.scratch = scratch
        self._short = short
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where a client finds it."""
        return f"unix://{self._short}/s"

    @property
    def version(self) -> tuple[int, ...]:
        """Its version, major and minor."""
        return engine_version()

    @property
    def pid(self) -> int:
        """The process id of the daemon."""
        assert self._process is not None, "it was started"
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        (self._short / "p").unlink(missing_ok=True)
        self._starts += 1  # after a kill, what was left in the old directory keeps containerd from starting
        process = self._process = self._spawn("log", *self._daemon())
        eventually(lambda: self._answers() or process.poll() is not None, otherwise=self.said)
        if process.poll() is not None:
            self._does_not_start()

    def _spawn(self, log: str, *command: str) -> "subprocess.Popen[bytes]":
        with (self._short / log).open("ab") as file:
            return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)

    def _daemon(self) -> list[str]:
        short = self._short
        command = ["dockerd", "--data-root", str(self.root), "--exec-root", f"{short}/x{self._starts}"]
        command += ["-H", self.address, "-p", f"{short}/p", "--iptables=false", "--ip6tables=false", "--bridge=none"]
        return [*command, f"--storage-driver={self.driver}"]

    def _does_not_start(self) -> None:
        pytest.skip(f"the engine does not start here: {self.said()}")

    def said(self) -> str:
        """The end of the daemon's log."""
        return (self._short / "log").read_text()[-300:]

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.ask("/_ping", raw=True))
        return False

    def ask(self, path: str, *, raw: bool = False) -> Any:
        """GET from its API."""
        with contextlib.closing(http.client.HTTPConnection("engine", timeout=DEADLINE)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self._short / "s"))
            connection.request("GET", path)
            content = connection.getresponse().read()
        return content if raw else json.loads(content)

    def run(self, *arguments: str, stdin: bytes | None = None, builder: str = "", check: bool = True) -> str:
        """Run a docker command; return what it printed."""
        environment = {**os.environ, "DOCKER_BUILDKIT": builder or "0", "DOCKER_CONFIG": str(self._short / "c")}
        command = [*self._client(), "-H", self.address, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, env=environment, timeout=DEADLINE)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def _client(self) -> list[str]:
        return [_CLIENT]

    def base(self, name: str = "base:1") -> None:
        """Import an image with a shell, a hard link and a sparse file."""
        content = self.scratch / "base"
        if not content.exists():
            (content / "bin").mkdir(parents=True)
            shutil.copy(shutil.which("busybox") or "", content / "bin/busybox")
            for applet in _APPLETS:
                (content / "bin" / applet).symlink_to("busybox")
            (content / "tmp").mkdir()
            (content / "one").write_bytes(b"1" * 5000)
            os.link(content / "one", content / "two")
            os.truncate(content / "two", 300_000)
        packed = subprocess.run(["tar", "-C", str(content), "-c", "."], capture_output=True, check=True).stdout
        self.run("import", "-", name, stdin=packed)

    def build(self, name: str, dockerfile: str, *, builder: str = "0", check: bool = True) -> None:
        """Build an image with the classic builder, or with BuildKit (`1`)."""
        context = self.scratch / "context"
        context.mkdir(exist_ok=True)
        (context / "Dockerfile").write_text(dockerfile)
        self.run("build", "--network", "none", "-t", name, str(context), builder=builder, check=check)

    def kill(self) -> None:
        """Kill it at once, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in an orderly way."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(DEADLINE)
            self._process = None
        if how is signal.SIGKILL:
            self._end_group()

    def _end_group(self) -> None:
        """What it started, containerd and the shims, is known by its directory."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{self._short}/".encode() in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)

    def clean(self) -> None:
        """End everything, and unmount what it left."""
        if self._process is not None:
            for container in self.run("ps", "-q", check=False).split():
                self.run("rm", "-f", container, check=False)
            self.stop()
        self._end_group()
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            path = line.split()[4]
            if f"{path}/".startswith((f"{self.root}/", f"{self._short}/")):
                subprocess.run(["umount", "-l", path], check=False, capture_output=True)

    def du(self) -> int:
        """The disk blocks of the root in bytes."""
        done = subprocess.run(["du", "-sx", "--block-size=1", str(self.root)], capture_output=True, check=False)
        return int(done.stdout.split()[0])


@contextlib.contextmanager
def engine(scratch: Path, short: Path, driver: str) -> Iterator[Engine]:
    """Run an engine for the length of a `with` block."""
    require_engine()
    one = Engine(scratch, short, driver)
    try:
        one.start()
        yield one
    finally:
        one.clean()
