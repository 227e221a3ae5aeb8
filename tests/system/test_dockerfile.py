"""Each step of the Dockerfile, executed in a root that stands in for its base image; then what it has made, run.

No registry is asked: a stage begins as an overlay on a Debian root (tests/support/chroots.py), with a Python where the
image has one.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from exporter.core.version import VERSION
from exporter.demo import build_demo
from tests.support.chroots import PATH, fresh_root, let_it_reach_the_network, run_in
from tests.support.documents import shown
from tests.support.engine import Engine, engine
from tests.support.paths import TOP
from tests.support.product import Samples, needs
from tests.support.waiting import DEADLINE, eventually

_NAME = "docker-storage-exporter"
_ARGUMENTS = {"REVISION": "0123456789ab"}
_PIP = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
# A network namespace begins without a loopback that is up: SIOCSIFFLAGS with IFF_UP.
_LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as one:
    fcntl.ioctl(one, 0x8914, struct.pack("16sh", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
pytestmark = [
    needs("apt-get"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a root of its own needs root"),
    pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the base image's Python has no stand-in"),
]


@dataclass
class Stage:
    """A stage of a build, and what it has set."""

    root: Path
    directory: str = "/"
    user: str = "0:0"
    environment: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    check: list[str] = field(default_factory=list)


def steps(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in joined.splitlines() if line.strip()]


def build(scratch: Path, mounted: contextlib.ExitStack) -> Stage:
    stages: dict[str, Stage] = {}
    stage = Stage(Path("/nowhere"))
    for instruction, rest in steps((TOP / "Dockerfile").read_text()):
        if instruction == "FROM":
            name = rest.partition(" AS ")[2] or "last"
            stage = stages[name] = Stage(mounted.enter_context(fresh_root(scratch / name)))
            let_it_reach_the_network(stage.root)
            for link in ("python", "python3"):
                (stage.root / "usr/local/bin" / link).unlink(missing_ok=True)
                (stage.root / "usr/local/bin" / link).symlink_to("/usr/bin/python3")
        else:
            _execute(stages, stage, instruction, rest)
    return stage


def _execute(stages: dict[str, Stage], stage: Stage, instruction: str, rest: str) -> None:
    if instruction == "WORKDIR":
        stage.directory = rest
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif instruction == "COPY":
        _copy(stages, stage, rest)
    elif instruction == "RUN":
        done = run_in(
            stage.root,
            "/bin/sh",
            "-c",
            f"cd {stage.directory} && {rest}",
            environment=_PIP | stage.environment,
            seconds=600,
        )
        assert done.returncode == 0, f"{rest}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    elif instruction == "ARG":
        name, _, default = rest.partition("=")
        stage.environment[name] = _ARGUMENTS.get(name, default)
    elif instruction == "USER":
        stage.user = rest
    elif instruction == "ENTRYPOINT":
        stage.entrypoint = json.loads(rest)
    elif instruction == "CMD":
        stage.command = json.loads(rest)
    elif instruction == "HEALTHCHECK":
        stage.check = json.loads(rest.partition("CMD ")[2])
    else:
        assert instruction in ("EXPOSE", "LABEL"), instruction


def _copy(stages: dict[str, Stage], stage: Stage, rest: str) -> None:
    source = TOP
    words = rest.split()
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    place = stage.root / os.path.join(stage.directory, target).lstrip("/")
    for name in names:
        found = source / name.lstrip("/")
        if found.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(found, place, symlinks=True, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy(found, place)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with contextlib.ExitStack() as mounted:
        yield build(tmp_path_factory.mktemp("image"), mounted)


def test_the_image_can_be_built_and_reads_what_belongs_to_root(image: Stage) -> None:
    assert image.command == ["run"]
    assert image.check[0] == image.entrypoint[0]
    user, group = image.user.split(":")
    as_user = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"]
    as_user += ["--bounding-set=-all,+dac_read_search", "--"]
    done = run_in(image.root, *as_user, *image.entrypoint, "--version")
    assert (done.returncode, VERSION in done.stdout) == (0, True), done.stderr
    assert f"revision {_ARGUMENTS['REVISION']}" in done.stdout
    assert not (image.root / "opt/exporter/bin/pip").exists()

    data = image.root / "srv" / "docker"
    build_demo(data)
    data.chmod(0o700)
    done = run_in(image.root, *as_user, *image.entrypoint, "once", "--root", "/srv/docker")
    assert done.returncode == 0, done.stderr
    assert Samples(done.stdout).all("image_virtual_size_bytes")

    # As root without the right to gain rights, as a Kubernetes pod may run it: the one capability is enough.
    os.chown(data / "graph", 1000, 1000)
    (data / "graph").chmod(0o700)
    bound = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all,+dac_read_search", "--"]
    done = run_in(image.root, *bound, *image.entrypoint, "once", "--root", "/srv/docker")
    assert done.returncode == 0, done.stderr

    _serves_until_it_is_stopped(image, as_user)


def _serves_until_it_is_stopped(image: Stage, as_user: list[str]) -> None:
    """What `docker run` does: its command as its user, its health check beside it, and SIGTERM."""
    (image.root / "var/lib").mkdir(parents=True, exist_ok=True)
    shutil.rmtree(image.root / "var/lib/docker", ignore_errors=True)
    (image.root / "srv/docker").rename(image.root / "var/lib/docker")
    inside = ["chroot", str(image.root), *as_user]
    command = ["unshare", "--net", sys.executable, "-c", _LOOPBACK, *inside, *image.entrypoint, *image.command]
    clean = {"PATH": PATH}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=clean) as process:
        within = ["nsenter", "--target", str(process.pid), "--net", *inside]
        try:
            _wait_for(process, lambda: _run(*within, *image.check).returncode == 0)
            script = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9588/metrics').read().decode())"
            asked = (*within, image.entrypoint[0], "-c", script)
            _wait_for(process, lambda: bool(Samples(_run(*asked).stdout).all("image_virtual_size_bytes")))
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Engine]:
    """An engine whose root is on a shared mount, as systemd makes those of a host."""
    with tempfile.TemporaryDirectory(prefix="d-") as short, contextlib.ExitStack() as mounted:
        for options in (["--bind", str(tmp_path), str(tmp_path)], ["--make-rshared", str(tmp_path)]):
            subprocess.run(["mount", *options], check=True)
        mounted.callback(subprocess.run, ["umount", "-R", "-l", str(tmp_path)], check=False)
        yield mounted.enter_context(engine(tmp_path, Path(short), "overlay2"))


def test_an_engine_runs_it_with_the_command_of_the_documents(image: Stage, docker: Engine) -> None:
    """`docker run` as docs/operations.md has it, of an image with what the Dockerfile sets."""
    packed = ["tar", "--one-file-system", "--xattrs", "--xattrs-include=security.*", "-C", str(image.root), "-c"]
    content = subprocess.run(
        [*packed, "./opt", "./usr", "./bin", "./lib", "./lib64", "./etc"], capture_output=True, check=True
    )
    settings = {"USER": image.user, "ENTRYPOINT": json.dumps(image.entrypoint), "CMD": json.dumps(image.command)}
    changes = [word for key, value in settings.items() for word in ("--change", f"{key} {value}")]
    docker.run("import", *changes, "-", _NAME, stdin=content.stdout)
    (command,) = [one for one in shown(TOP / "docs/operations.md") if one.words[:2] == ("docker", "run")]
    words = [word.replace("src=/var/lib/docker,", f"src={docker.root},") for word in command.words[1:-1]]
    source = docker.scratch / "shop"
    source.mkdir()
    (source / "data").write_bytes(b"x" * 5000)
    words += ["--mount", f"type=bind,src={source},dst=/data"]
    words += ["--mount", f"type=bind,src={source},dst=/host{source},readonly"]
    binds = ["run", "--collector.binds.include", "/shop$", "--path.rootfs", "/host"]
    docker.run(*words, "--network", "none", command.words[-1], *binds)
    process = docker.run("inspect", "--format", "{{.State.Pid}}", _NAME)
    text = ""

    def served() -> bool:
        nonlocal text
        text = _run("nsenter", "--target", process, "--net", "curl", "--silent", "http://127.0.0.1:9588/metrics").stdout
        there = all(map(Samples(text).all, ("image_virtual_size_bytes", "bind_size_bytes")))
        return there and Samples(text).sum("container_running") == 1

    eventually(served, otherwise=lambda: text + docker.run("logs", _NAME, check=False))
    figures = Samples(text)
    assert figures("container_running") == 1, "its own"
    assert figures.all("container_info")[0][0]["name"] == _NAME
    assert figures("up") == 1
    assert figures.all("bind_size_bytes") == [({"source": str(source)}, 5000)]
    docker.run("rm", "--force", _NAME)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": PATH})


def _wait_for(process: "subprocess.Popen[bytes]", condition: Callable[[], bool]) -> None:
    def fulfilled() -> bool:
        assert process.poll() is None
        return condition()

    eventually(fulfilled)
