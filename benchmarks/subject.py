"""Runs the exporter that is measured, and reads the memory of its processes."""

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

#: The CPU clock of a process, with its threads (linux/posix-timers.h, CPUCLOCK_SCHED).
_OF_A_PROCESS = 2
_SAMPLE = re.compile(r"^docker_storage_([a-z_]+)(?:\{.*\})? (\S+)$|^(process_[a-z_]+) (\S+)$", re.MULTILINE)


class Subject:
    """A running exporter."""

    def __init__(self, root: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "exporter", "run", "--root", str(root), *flags]
        self.process = subprocess.Popen(
            [*command, "--web.listen-address", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, bufsize=1
        )
        assert self.process.stderr is not None, "opened as a pipe"
        #: The lines of its log.
        self.lines: list[str] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"127\.0\.0\.1:(\d+)", line):
                self.url = f"http://127.0.0.1:{found[1]}"
                break
        self._drain = threading.Thread(target=self.lines.extend, args=(self.process.stderr,), daemon=True)
        self._drain.start()  # a full pipe would hold the exporter up

    def get(self, path: str = "/metrics", encoding: str = "identity", seconds: float = 30.0) -> bytes:
        """Get a page; raises OSError, also when nothing comes for so many seconds."""
        request = urllib.request.Request(self.url + path, headers={"accept-encoding": encoding})
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            content: bytes = answer.read()
        return content

    def sums(self) -> dict[str, float]:
        """The sum of every family's samples."""
        sums: dict[str, float] = {}
        for name, value, other, number in _SAMPLE.findall(self.get().decode()):
            sums[name or other] = sums.get(name or other, 0.0) + float(value or number)
        return sums

    def wait(self, name: str, value: float) -> dict[str, float]:
        """Wait until a family's samples add up to this much."""
        until = time.monotonic() + 120
        while (sums := self.sums()).get(name) != value:
            if time.monotonic() > until:
                raise TimeoutError(f"{name} is {sums.get(name)}, not {value}")
            time.sleep(0.02)
        return sums

    def ready(self) -> None:
        """Wait for the first scan."""
        until = time.monotonic() + 300
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                self.get("/-/ready")
                return
            time.sleep(0.02)
        raise TimeoutError

    def cpu_seconds(self) -> float:
        """CPU seconds that all its processes have taken, with those that have ended."""
        processes = (self.process.pid, *_descendants(self.process.pid))
        ended = sum(map(_ticks_of_ended, processes)) / os.sysconf("SC_CLK_TCK")
        return sum(map(_cpu_seconds_of, processes)) + ended

    def cpu_seconds_of_workers(self) -> float:
        """Those of its workers alone, also of those that have ended."""
        children = [*map(int, _read(f"/proc/{self.process.pid}/task/{self.process.pid}/children").split())]
        running = sum(ticks_of(worker) for child in children for worker in _descendants(child))
        return (sum(map(_ticks_of_ended, children)) + running) / os.sysconf("SC_CLK_TCK")

    def pss(self) -> int:
        """Proportional set size in bytes of all its processes."""
        return sum(pss_of(process) for process in (self.process.pid, *_descendants(self.process.pid)))


@contextlib.contextmanager
def subject(root: Path, *flags: str) -> Iterator[Subject]:
    """Run an exporter for the length of a `with` block."""
    running = Subject(root, *flags)
    try:
        yield running
    finally:
        running.process.terminate()
        running.process.wait(30)


def _descendants(process: int) -> Iterator[int]:
    for child in _read(f"/proc/{process}/task/{process}/children").split():
        yield int(child)
        yield from _descendants(int(child))


def ticks_of(process: int) -> int:
    """What one process and its children that have ended have taken, of proc(5) stat; 0 if it has ended."""
    return sum(_ticks(process))


def _cpu_seconds_of(process: int) -> float:
    """What one process has taken, to the nanosecond; 0 if it has ended."""
    try:
        return time.clock_gettime(~process << 3 | _OF_A_PROCESS)
    except OSError:
        return 0.0


def _ticks_of_ended(process: int) -> int:
    """What the children of a process that have ended have taken."""
    return sum(_ticks(process)[2:])


def _ticks(process: int) -> list[int]:
    """What a process has taken as user and as system, and what its children that have ended have; empty if it has."""
    return [*map(int, _read(f"/proc/{process}/stat").rpartition(")")[2].split()[11:15])]


def pss_of(process: int) -> int:
    """Proportional set size in bytes of one process; 0 if it has ended."""
    found = re.search(r"^Pss:\s+(\d+) kB", _read(f"/proc/{process}/smaps_rollup"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _read(file: str) -> str:
    """A file of a process in /proc; empty if it has ended."""
    try:
        return Path(file).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
