import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from exporter.account import Account
from exporter.describe import describe, ending
from exporter.document import Document
from exporter.metrics.families import families
from exporter.metrics.limits import Shown
from exporter.metrics.render import render
from exporter.metrics.status import status_families
from exporter.model import Snapshot
from exporter.scanner import Scanner
from exporter.terminal.source import parse
from exporter.usage.pool import Pool
from exporter.version import VERSION

# How long an example takes says nothing about the product, and on a busy machine makes tests fail.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

_TOP = Path(__file__).parent.parent
_RECORDED = _TOP.parent / "shared" / "data" / "roots"
_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Figures:
    """Samples of an exposition, asked for by name (without prefix) and labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.samples: list[tuple[str, dict[str, str], float]] = []
        for line in text.split("\n"):
            if found := _SAMPLE.match(line):
                labels = dict(_LABEL.findall(found[2] or ""))
                self.samples.append((found[1].removeprefix("docker_storage_"), labels, float(found[3])))

    def all(self, name: str, /, **labels: str) -> list[tuple[dict[str, str], float]]:
        return [(has, value) for at, has, value in self.samples if at == name and labels.items() <= has.items()]

    def sum(self, name: str, /, **labels: str) -> float:
        return sum(value for _, value in self.all(name, **labels))

    def __call__(self, name: str, /, **labels: str) -> float:
        (only,) = self.all(name, **labels)
        return only[1]


def scan(path: Path, *, orphaned_after: float = 600) -> Snapshot:
    with Pool(2, 30) as pool:
        return Scanner(str(path), orphaned_after, pool).scan()


def figures_of(
    path: Path, *, intermediate: bool = False, each_layer: bool = False, orphaned_after: float = 600
) -> Figures:
    with Pool(2, 30) as pool:
        scanner = Scanner(str(path), orphaned_after, pool)
        snapshot = scanner.scan()
    made = [
        *families(Account(snapshot), Shown(intermediate=intermediate, each_layer=each_layer)),
        *status_families(snapshot, scanner.counters),
    ]
    return Figures(render(made, "text").decode())


def document_of(path: Path, *, orphaned_after: float = 600) -> Document:
    return parse(describe(Account(scan(path, orphaned_after=orphaned_after))).finish(ending(1.0, [])))


def du(path: Path, *options: str) -> int:
    done = subprocess.run(["du", "-sx", *options, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[str], Path]:
    """Unpack a recorded data root; skip where the recordings are not there."""

    def unpack(name: str) -> Path:
        archive = _RECORDED / name
        if not archive.exists():
            pytest.skip("the recorded data roots are not on this machine")
        subprocess.run(["tar", "-xzf", archive, "-C", tmp_path], check=True)
        return tmp_path / "docker"

    return unpack


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The Debian package as `make deb` builds it, and the same as one of the next version."""
    asked = ["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"]
    if subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() != str(sys.version_info[:2]):
        pytest.skip("the package is for another version of Python than the system's")
    directory = tmp_path_factory.mktemp("deb")
    pip = Path(sys.executable).parent / "pip"
    done = subprocess.run([_TOP / "scripts" / "make-deb", str(pip)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first = Path(shutil.move(_TOP / done.stdout.split()[-1], directory))
    second = first.with_name(first.name.replace(VERSION, VERSION + "+1"))
    subprocess.run(["dpkg-deb", "--raw-extract", first, directory / "next"], check=True)
    control = directory / "next/DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {VERSION}", f"Version: {VERSION}+1"))
    pack = ["dpkg-deb", "--root-owner-group", "--build", "-Zgzip", "-z1", str(directory / "next"), str(second)]
    subprocess.run(pack, check=True, capture_output=True)
    return [first, second]


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(2, 30) as workers:
        yield workers


@contextmanager
def process_of(container: str) -> Iterator[int]:
    """Run a process as a container's: its parent's command line names the container, as containerd-shim's does."""
    script = f"sleep 600 & echo $!; wait # {container}"
    parent = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    with parent:
        assert parent.stdout is not None
        try:
            yield int(parent.stdout.readline())
        finally:
            os.killpg(parent.pid, signal.SIGKILL)


def descendants(process: int) -> list[int]:
    """The process ids of a process' children, and of theirs."""
    children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [one for child in children for one in (child, *descendants(child))]


def needs(command: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(command) is None, reason=f"{command} is not installed")
