"""With a real engine: the exporter, in a mount namespace as its unit makes it, keeps no container's mount alive."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product import needs
from tests.support.waiting import DEADLINE, eventually, often

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
        info = ["docker", "-H", address, "info"]

        def answers_or_ended() -> bool:
            answers = subprocess.run(info, capture_output=True, check=False).returncode == 0
            return answers or daemon.poll() is not None

        eventually(answers_or_ended, otherwise=(short / "log").read_text)
        if daemon.poll() is not None:
            pytest.skip("the engine does not start here: " + (short / "log").read_text()[-300:])
        yield address, root
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(DEADLINE)


@contextlib.contextmanager
def exporter_in_namespace(root: Path, propagation: str, *flags: str) -> Iterator[subprocess.Popen[str]]:
    command = ["unshare", "--mount", "--propagation", propagation, sys.executable, "-m", "exporter", "run"]
    command += ["--root", str(root), "--web.listen-address", "127.0.0.1:0", "--cache.file", "none", *flags]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        while "event=scan.done" not in (line := process.stderr.readline()):
            assert line, "the exporter ended"
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)


def family(process: int) -> list[int]:
    """A process and all that descend from it."""
    found = [process]
    for one in found:
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
    return found


def open_below(process: int, place: Path) -> bool:
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError):
                if f"{os.readlink(f'/proc/{process}/fd/{descriptor}')}/".startswith(f"{place}/"):
                    return True
    return False


def mounts(process: int, below: Path) -> list[str]:
    lines = Path(f"/proc/{process}/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(f"{below}/")]


def import_box(address: str, scratch: Path) -> None:
    content = scratch / "content"
    (content / "bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("busybox") or "", content / "bin/busybox")
    packed = subprocess.run(["tar", "-C", str(content), "-c", "."], capture_output=True, check=True).stdout
    docker(address, "import", "-", "box:1", stdin=packed)


def container(address: str, name: str, *flags: str) -> None:
    run = ["run", "-d", "--network", "none", "--name", name, "--ipc", "shareable", *flags, "box:1"]
    docker(address, *run, "/bin/busybox", "sleep", "1000")


def end(address: str, name: str, root: Path) -> None:
    """End a container and wait until the engine has unmounted what it had."""
    number = docker(address, "inspect", "--format", "{{.Id}}", name)
    merged = docker(address, "inspect", "--format", "{{.GraphDriver.Data.MergedDir}}", name)
    own = {one for one in mounts(os.getpid(), root) if number in one or one == merged}
    assert own
    docker(address, "kill", name)
    docker(address, "wait", name)
    eventually(lambda: own.isdisjoint(mounts(os.getpid(), root)), otherwise=lambda: "the engine unmounts it")


@pytest.mark.parametrize(("propagation", "kept"), [("slave", False), ("private", True)])
def test_a_container_that_is_removed_leaves_no_mount(
    engine: tuple[str, Path], tmp_path: Path, propagation: str, kept: bool
) -> None:
    address, root = engine
    import_box(address, tmp_path)
    container(address, "web")
    with exporter_in_namespace(root, propagation) as process:
        everyone = family(process.pid)
        assert len(everyone) > 1, "the scanning process is in the namespace too"
        held = mounts(process.pid, root)
        assert held, "the container is mounted, and the namespace has a copy of it"
        end(address, "web", root)
        left = [mount for one in everyone for mount in mounts(one, root)]
        # Private copies are what the unit's MountFlags=slave is there against: they show that this test can fail.
        assert bool(left) is kept, left
        docker(address, "rm", "web")
    assert docker(address, "ps", "-aq") == ""
    assert list((root / "containers").iterdir()) == []


def test_a_container_that_has_the_root_as_the_dockerfile_says_keeps_no_mount(
    engine: tuple[str, Path], tmp_path: Path
) -> None:
    """The engine itself sets up the mount that the head of the Dockerfile names, and takes no private one."""
    address, root = engine
    import_box(address, tmp_path)
    container(address, "web")
    mount = f"type=bind,src={root},dst=/var/lib/docker,readonly,bind-propagation="
    with pytest.raises(subprocess.CalledProcessError) as refused:
        container(address, "private", "--mount", mount + "rprivate")
    assert b"propagation" in refused.value.stderr
    container(address, "exporter", "--mount", mount + "rslave")
    process = int(docker(address, "inspect", "--format", "{{.State.Pid}}", "exporter"))
    held = set(mounts(process, Path("/var/lib/docker")))
    assert held, "it has copies of web's mounts"
    web = {f"/var/lib/docker/{Path(one).relative_to(root)}" for one in mounts(os.getpid(), root)} & held
    end(address, "web", root)
    still = {f"/var/lib/docker/{Path(one).relative_to(root)}" for one in mounts(os.getpid(), root)}
    assert web - still
    assert set(mounts(process, Path("/var/lib/docker"))) & (web - still) == set()
    docker(address, "rm", "web")
    docker(address, "rm", "--force", "exporter")


def test_a_layer_that_is_being_walked_can_be_removed(engine: tuple[str, Path], tmp_path: Path) -> None:
    """A process that is stopped with a directory of the layer open: docker rm removes it all the same."""
    address, root = engine
    import_box(address, tmp_path)
    container(address, "web")
    layer = Path(docker(address, "inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", "web"))
    for number in range(3000):
        (layer / f"d{number}" / "below").mkdir(parents=True)
    with exporter_in_namespace(root, "slave", "--scan.interval", "1", "--scan.duty-cycle", "1") as process:
        numbers = itertools.count()

        def caught_in_it() -> int:
            (layer / "d0" / "below" / str(next(numbers))).touch()
            for one in family(process.pid):
                if open_below(one, layer):
                    os.kill(one, signal.SIGSTOP)
                    if open_below(one, layer):
                        return one
                    os.kill(one, signal.SIGCONT)
            return 0

        caught = often(caught_in_it)
        docker(address, "rm", "--force", "web")
        assert not layer.parent.exists(), "the engine has removed the directory"
        os.kill(caught, signal.SIGCONT)
