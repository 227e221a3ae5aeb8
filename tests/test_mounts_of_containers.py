"""With a real engine: the exporter, in a mount namespace as its unit makes it, keeps no container's mount alive."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import needs

_DEADLINE_SECONDS = 60
pytestmark = [
    needs("dockerd"),
    needs("busybox"),
    pytest.mark.skipif(os.geteuid() != 0, reason="an engine needs root"),
]


def docker(address: str, *arguments: str, stdin: bytes | None = None) -> str:
    done = subprocess.run(["docker", "-H", address, *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory that is a shared mount, as systemd makes a host's, with a name short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="m-") as name:
        subprocess.run(["mount", "--bind", name, name], check=True)
        subprocess.run(["mount", "--make-rshared", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "-R", "-l", name], check=False)


@pytest.fixture
def engine(short: Path) -> Iterator[tuple[str, Path]]:
    address, root = f"unix://{short}/s", short / "root"
    command = ["dockerd", "--data-root", str(root), "--exec-root", f"{short}/x", "-H", address, "-p", f"{short}/p"]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    with (short / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + _DEADLINE_SECONDS
        while subprocess.run(["docker", "-H", address, "info"], capture_output=True, check=False).returncode:
            if daemon.poll() is not None or time.monotonic() > until:
                pytest.skip("the engine does not start here: " + (short / "log").read_text()[-300:])
            time.sleep(0.2)
        yield address, root
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(_DEADLINE_SECONDS)


@contextlib.contextmanager
def exporter_in_namespace(root: Path, propagation: str) -> Iterator[subprocess.Popen[str]]:
    command = ["unshare", "--mount", "--propagation", propagation, sys.executable, "-m", "exporter", "run"]
    process = subprocess.Popen(
        [*command, "--root", str(root), "--web.listen-address", "127.0.0.1:0", "--cache.file", "none"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while "event=scan.done" not in (line := process.stderr.readline()):
            assert line, "the exporter ended"
        yield process
    finally:
        process.kill()
        process.communicate()


def mounts(process: int, below: Path) -> list[str]:
    lines = Path(f"/proc/{process}/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(f"{below}/")]


def container(address: str, name: str, scratch: Path) -> None:
    content = scratch / "content"
    (content / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("busybox") or "", content / "bin/busybox")
    packed = subprocess.run(["tar", "-C", str(content), "-c", "."], capture_output=True, check=True).stdout
    docker(address, "import", "-", "box:1", stdin=packed)
    docker(
        address,
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        name,
        "--ipc",
        "shareable",
        "box:1",
        "/bin/busybox",
        "sleep",
        "1000",
    )


@pytest.mark.parametrize(("propagation", "kept"), [("slave", False), ("private", True)])
def test_a_container_that_is_removed_leaves_no_mount(
    engine: tuple[str, Path], tmp_path: Path, propagation: str, kept: bool
) -> None:
    address, root = engine
    container(address, "web", tmp_path)
    with exporter_in_namespace(root, propagation) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        everyone = [process.pid, *map(int, children)]
        assert len(everyone) > 1, "the scanning process is in the namespace too"
        held = mounts(process.pid, root)
        assert held, "the container is mounted, and the namespace has a copy of it"
        docker(address, "kill", "web")
        docker(address, "wait", "web")
        until = time.monotonic() + _DEADLINE_SECONDS
        while mounts(os.getpid(), root):
            assert time.monotonic() < until, "the engine unmounts it"
            time.sleep(0.05)
        left = [mount for one in everyone for mount in mounts(one, root)]
        # Private copies are what the unit's MountFlags=slave is there against: they show that this test can fail.
        assert bool(left) is kept, left
        docker(address, "rm", "web")
    assert docker(address, "ps", "-aq") == ""
    assert list((root / "containers").iterdir()) == []
