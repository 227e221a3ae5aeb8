"""A root that changes all the time, and faults at random, while the exporter is scraped every second.

`python -m benchmarks.churn --seconds 300 --seed 1`, as root. The scanning process and workers are killed and stopped,
the serving process is stopped, each runs out of descriptors, and the disk with the cache becomes full. It fails when a
scrape fails, when the figures at the end are not those of `du` and of a fresh process, when the cache does not come,
when the log has a traceback, or when memory has grown.
"""

import argparse
import contextlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.faults import Faults, scanning_processes, workers
from benchmarks.same import until_right
from benchmarks.subject import Subject, subject
from exporter.demo import BusyHost, running

_GROWTH = 1.15
_STEP_SECONDS = 0.2
_SCRAPE_SECONDS = 10.0  # Prometheus' default scrape_timeout
_STATE_SIZE = "256k"
#: A process that starts without descriptors cannot read its own code: the interpreter says so with a traceback.
_TRACEBACK = re.compile(r"^Traceback .*?(?=^timestamp=|\Z)", re.MULTILINE | re.DOTALL)
#: How long after there is room the cache may take: it is tried again each minute.
_CACHE_SECONDS = 80.0
_MOST_PAUSE = 3.0
#: How long each kind of fault lasts at most.
_LONGEST = {"stop scanning": 8.0, "stop worker": 8.0, "stop serving": 3.0, "no space": 20.0}
_LONGEST_OTHER = 6.0

Start = Callable[[], Callable[[], None]]


class Background(ABC):
    """Work that a thread of its own does for the length of a `with` block."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Work for the length of a `with` block."""
        self._thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._thread.join()

    @abstractmethod
    def _run(self) -> None:
        """Work until `_ended` is set."""


class Scraper(Background):
    """Scrapes every second over a new connection; notes what fails, how long it took, and the memory."""

    def __init__(self, exporter: Subject) -> None:
        super().__init__()
        self._exporter = exporter
        self.failures: list[str] = []
        self.seconds: list[float] = []
        self.memory: list[int] = []
        #: How often a scrape said that the root could not be read.
        self.down = 0

    def _run(self) -> None:
        while not self._ended.wait(1):
            start = time.monotonic()
            try:
                content = self._exporter.get(seconds=_SCRAPE_SECONDS).decode()
                self.down += "\ndocker_storage_up 1" not in content
            except (OSError, ValueError) as error:
                self.failures.append(f"after {time.monotonic() - start:.1f} s: {error!r}")
            self.seconds.append(time.monotonic() - start)
            self.memory.append(self._exporter.pss())


class Slot(Background):
    """One thread that does faults of some kinds, one after the other."""

    def __init__(self, seed: int, kinds: dict[str, Start]) -> None:
        super().__init__()
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._kinds = kinds
        self.done: Counter[str] = Counter()

    def _run(self) -> None:
        while not self._ended.wait(self._chance.uniform(0, _MOST_PAUSE)):
            kind = self._chance.choice(sorted(self._kinds))
            undo = self._kinds[kind]()
            self.done[kind] += 1
            self._ended.wait(self._chance.uniform(0, _LONGEST.get(kind, _LONGEST_OTHER)))
            undo()


def slots(serving: int, state: Path, seed: int) -> tuple[list[Slot], Faults]:
    """The faults of each kind of process, and of the disk, each in a thread of its own."""
    faults = Faults(serving, state, random.Random(seed))  # noqa: S311 - no secret
    kinds: list[dict[str, Start]] = [
        {
            "kill scanning": lambda: faults.kill(scanning_processes(serving)),
            "stop scanning": lambda: faults.stop(scanning_processes(serving)),
            "no descriptors for scanning": lambda: faults.no_descriptors(scanning_processes(serving)),
        },
        {
            "kill worker": lambda: faults.kill(workers(serving)),
            "stop worker": lambda: faults.stop(workers(serving)),
            "no descriptors for worker": lambda: faults.no_descriptors(workers(serving)),
        },
        {
            "stop serving": lambda: faults.stop([serving]),
            "no descriptors for serving": lambda: faults.no_descriptors([serving]),
        },
        {"no space": faults.no_space},
    ]
    return [Slot(seed + index, one) for index, one in enumerate(kinds)], faults


def _change(host: BusyHost, ended: threading.Event) -> None:
    while not ended.wait(_STEP_SECONDS):
        host.step()


@contextlib.contextmanager
def _changing(root: Path) -> Iterator[BusyHost]:
    """A root that changes for the length of a `with` block."""
    host, ended = BusyHost(root), threading.Event()
    thread = threading.Thread(target=_change, args=(host, ended))
    thread.start()
    try:
        yield host
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def _small_disk(on: Path) -> Iterator[None]:
    on.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_STATE_SIZE}", "tmpfs", str(on)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(on)], check=True)


def main() -> None:
    """Run the churn; exit with 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-") as directory, contextlib.ExitStack() as stack:
        root, state = Path(directory) / "root", Path(directory) / "state"
        stack.enter_context(_small_disk(state))
        flags = ("--cache.file", str(state / "cache"), "--scan.tree-timeout", "5")
        with contextlib.ExitStack() as changes:
            host = changes.enter_context(_changing(root))
            exporter = stack.enter_context(subject(root, *flags))
            exporter.ready()
            scraper = Scraper(exporter)
            parts, faults = slots(exporter.process.pid, state, chosen.seed)
            with scraper.working():
                with contextlib.ExitStack() as working:
                    for part in parts:
                        working.enter_context(part.working())
                    time.sleep(chosen.seconds)
                faults.all_descriptors()
                changes.close()
                failures: list[str] = []
                stack.enter_context(running(root))
                right_after = until_right(exporter, root, failures)
        failures += scraper.failures + _judge(scraper, exporter, state)
    done = sum((part.done for part in parts), Counter())
    print(
        f"seed {chosen.seed}, {chosen.seconds:.0f} s: {host.steps} changes, {done.total()} faults, "
        f"{len(scraper.seconds)} scrapes, the slowest {max(scraper.seconds):.1f} s, "
        f"{scraper.down} with up 0 for want of descriptors, right after {right_after:.0f} s, "
        f"{len(failures)} failures"
    )
    print(", ".join(f"{kind} {times}" for kind, times in sorted(done.items())))
    for failure in failures:
        print(failure)
    sys.exit(bool(failures))


def _left(state: Path) -> list[str]:
    """What is in the state directory when the cache has come, or when it should have."""
    until = time.monotonic() + _CACHE_SECONDS
    while "cache" not in (left := sorted(one.name for one in state.iterdir())) and time.monotonic() < until:
        time.sleep(1)
    return left


def _judge(scraper: Scraper, exporter: Subject, state: Path) -> list[str]:
    """What was wrong with memory, the log and the state directory."""
    wrong = []
    third = len(scraper.memory) // 3
    early, late = (
        sorted(part)[third // 2] for part in (scraper.memory[third : 2 * third], scraper.memory[2 * third :])
    )
    print(f"memory {early / 1e6:.1f} to {late / 1e6:.1f} MB, {len(exporter.lines)} lines in the log")
    if late > _GROWTH * early:
        wrong.append(f"memory grew from {early} to {late} bytes")
    log = "".join(exporter.lines)
    tracebacks = _TRACEBACK.findall(log)
    print(f"{len(tracebacks)} tracebacks of processes that could not start")
    wrong += [one for one in tracebacks if "Too many open files" not in one][:10]
    errors = [line.strip() for line in exporter.lines if re.search(r"event=(internal\.error|root\.unreadable)", line)]
    wrong += [line for line in errors if "Too many open files" not in line][:10]
    if (left := _left(state)) != ["cache"]:
        wrong.append(f"the state directory has {left}")
    events = Counter(found[1] for line in exporter.lines if (found := re.search(r"event=(\S+)", line)))
    print(", ".join(f"{event} {times}" for event, times in events.most_common(20)))
    return wrong


if __name__ == "__main__":
    main()
