"""What most tests ask of the product: scan a root, and read the figures that are served."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from exporter.cli.commands.source import parse
from exporter.config.limits import Shown
from exporter.config.settings import NO_CONTAINERD
from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.model import Snapshot
from exporter.core.process_name import LAUNCHER, SCANNING
from exporter.expose.metrics.families import families
from exporter.expose.metrics.render import render
from exporter.expose.metrics.status import status_families
from exporter.expose.snapshot_api.encode import describe
from exporter.expose.snapshot_api.pieces import ending
from exporter.expose.snapshot_api.rows import Document
from exporter.figures.figures import Figures
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool

_SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


class Samples:
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


def scan(
    path: Path,
    *,
    orphaned_after: float = 600,
    clock: Clock = SYSTEM_CLOCK,
    proc: str = "/proc",
    containerd: str = NO_CONTAINERD,
) -> Snapshot:
    with LocalPool() as pool:
        return Scanner(str(path), orphaned_after, pool, clock=clock, proc=proc, containerd=containerd).scan()


def figures_of(  # noqa: PLR0913 - settings
    path: Path,
    *,
    intermediate: bool = False,
    each_layer: bool = False,
    orphaned_after: float = 600,
    proc: str = "/proc",
    containerd: str = NO_CONTAINERD,
) -> Samples:
    with LocalPool() as pool:
        scanner = Scanner(str(path), orphaned_after, pool, proc=proc, containerd=containerd)
        snapshot = scanner.scan()
    made = [
        *families(Figures(snapshot), Shown(intermediate=intermediate, each_layer=each_layer)),
        *status_families(snapshot, scanner.counters),
    ]
    return Samples(render(made, "text").decode())


def document_of(
    path: Path, *, orphaned_after: float = 600, proc: str = "/proc", containerd: str = NO_CONTAINERD
) -> Document:
    found = scan(path, orphaned_after=orphaned_after, proc=proc, containerd=containerd)
    return parse(describe(Figures(found)).finish(ending(1.0, [])))


def du(path: Path, *options: str) -> int:
    done = subprocess.run(["du", "-sx", *options, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


@contextmanager
def process_of(container: str) -> Iterator[int]:
    """Run a process as a container's: its parent's command line names the container, as containerd-shim's does."""
    script = f"sleep 600 & echo $!; wait # {container}"
    parent = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    with parent:
        assert parent.stdout is not None
        try:
            yield int(parent.stdout.readline())
        finally:  # a test that fails must not wait for it
            os.killpg(parent.pid, signal.SIGKILL)


def state_letter(process: int) -> str:
    """The letter of the state of a process, as in /proc/PID/stat; X where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def runs(process: int) -> bool:
    """Whether a process is there and has not ended."""
    return state_letter(process) not in "ZX"


def descendants(process: int) -> list[int]:
    """The process ids of a process' children, and of theirs."""
    try:
        children = [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:  # it has ended
        return []
    return [one for child in children for one in (child, *descendants(child))]


def scanning(process: int) -> list[int]:
    """The scanning processes below a process: one, or none while it is being started again.

    What one of them starts has its name or command line until it executes another program, and is not counted.
    """
    found = [one for one in descendants(process) if _scans(one)]
    below = {one for each in found for one in descendants(each)}
    return [one for one in found if one not in below]


def workers(process: int) -> list[int]:
    """The workers below a process."""
    return [one for one in descendants(process) if b"worker_main" in _command_line(one)]


def is_launcher(process: int) -> bool:
    """Whether it is a launcher, or what one is about to start."""
    with suppress(OSError):
        return Path(f"/proc/{process}/comm").read_text().strip() == LAUNCHER
    return False


def _scans(process: int) -> bool:
    """Whether it is a scanning process: the first one is a copy of the serving one with another name."""
    with suppress(OSError):
        named = Path(f"/proc/{process}/comm").read_text().strip() == SCANNING
        return named or b"exporter.service.scan_process" in _command_line(process)
    return False


def _command_line(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def needs(command: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(command) is None, reason=f"{command} is not installed")
