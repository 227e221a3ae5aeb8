"""Faults at random while the root changes and the exporter is scraped: a short form of `benchmarks.churn`."""

import os
import random
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

from benchmarks.faults import Faults, scanning_processes, workers
from tests.support.exporter import Exporter, exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.mounts import mounted
from tests.support.roots import GraphRoot, change
from tests.support.waiting import eventually

_FAULTS = 14
#: A process that starts without descriptors cannot read its own code: the interpreter says so with a traceback.
_TRACEBACK = re.compile(r"^Traceback .*?(?=^timestamp=|\Z)", re.MULTILINE | re.DOTALL)
#: How many scrapes are answered before a fault is undone.
_SCRAPES = 3


class _Scraper:
    """Scrapes all the time, each time over a new connection."""

    def __init__(self, running: Exporter) -> None:
        self._running = running
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.begun = 0
        self.answered = 0
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def asks(self) -> None:
        """Wait for a scrape that has begun and may not be answered."""
        begun = self.begun
        eventually(lambda: self.begun > begun or self.begun > self.answered)

    def is_answered(self, times: int) -> None:
        """Wait for the end of so many more scrapes."""
        answered = self.answered
        eventually(lambda: self.answered >= answered + times)

    def _run(self) -> None:
        while not self._ended.is_set():
            self.begun += 1
            try:
                status, _, content = self._running.get()
            except OSError as error:
                self.failures.append(repr(error))
            else:
                if status != 200 or b"\ndocker_storage_up 1" not in content:
                    self.failures.append(f"{status}: {content.decode()[:300]}")
            self.answered += 1


def _kinds(faults: Faults, serving: int) -> dict[str, Callable[[], Callable[[], None]]]:
    def scanning() -> list[int]:
        return eventually(lambda: scanning_processes(serving))

    return {
        "kill the scanning process": lambda: faults.kill(scanning()),
        "stop the scanning process": lambda: faults.stop(scanning()),
        "no descriptors for the scanning process": lambda: faults.no_descriptors(scanning()),
        "kill a worker": lambda: faults.kill(workers(serving)),
        "stop a worker": lambda: faults.stop(workers(serving)),
        "no descriptors for a worker": lambda: faults.no_descriptors(workers(serving)),
        "stop the serving process": lambda: faults.stop([serving]),
        "no descriptors for the serving process": lambda: faults.no_descriptors([serving]),
        "no space": faults.no_space,
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_after_faults_at_random_the_figures_are_those_of_a_fresh_process(
    built: GraphRoot, tmp_path: Path, seed: int
) -> None:
    state, chance = tmp_path / "state", random.Random(seed)
    state.mkdir()
    with (
        mounted(state, "-t", "tmpfs", "-o", "size=128k", "tmpfs"),
        exporter(built.path, "--cache.file", str(state / "cache"), "--scan.tree-timeout", "3") as running,
    ):
        becomes_as_fresh(running, built.path)
        serving = running.process.pid
        faults = Faults(serving, state, chance)
        kinds = _kinds(faults, serving)
        with _Scraper(running) as scraper:
            for number in range(_FAULTS):
                kind = chance.choice(sorted(kinds))
                undo = kinds[kind]()
                change(built, f"during {number}")
                if "serving" in kind:  # whose answers may wait until it is undone
                    scraper.asks()
                else:
                    scraper.is_answered(_SCRAPES)
                undo()
            faults.all_descriptors()
            becomes_as_fresh(running, built.path)
        assert scraper.failures == []
        eventually((state / "cache").exists)
        running.stop()
        assert os.listdir(state) == ["cache"]
        assert running.process.stderr is not None
        log = "".join(running.lines) + running.process.stderr.read()
        assert [one for one in _TRACEBACK.findall(log) if "Too many open files" not in one] == []


def test_without_descriptors_what_is_known_is_served_until_there_are_some_again(
    built: GraphRoot, tmp_path: Path
) -> None:
    with exporter(built.path) as running:
        before = becomes_as_fresh(running, built.path).sum("containers")
        faults = Faults(running.process.pid, tmp_path, random.Random(1))
        undo = faults.no_descriptors(scanning_processes(running.process.pid), spare=1)
        change(built)
        running.log_line("event=scan.postponed error=.*Too many open files")
        figures = running.figures()
        assert (figures("up"), figures.sum("containers")) == (1, before)
        undo()
        becomes_as_fresh(running, built.path)
