"""What an exporter costs that has nothing to do, or watches an engine at work: memory and CPU time of all processes."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.subject import Subject

#: What an engine and its containers do in a second on a busy host, and how long that is measured.
_EVENTS_PER_SECOND = 100
_BUSY_SECONDS = 60.0
_BUSY_CONTAINERS = 20


def memory(running: Subject, megabytes: float) -> Row:
    """The memory of all processes, once the workers have gone, also those of the next look."""
    time.sleep(40)
    found = running.pss() / 1e6
    return Row("memory of all processes (PSS)", f"{found:.0f} MB", f"<= {megabytes:.0f} MB", found <= megabytes)


def idle(running: Subject, seconds: float, percent: float) -> Row:
    """The CPU time while nothing happens.

    Audits are put off, but for one: where the disk fills and the root does not say with what, trees are measured. On a
    machine on which others write, that happens. It is said beside the figure.
    """
    before = running.cpu_seconds_of_workers()
    share = _share(running, seconds, lambda: time.sleep(seconds))
    audits = 100 * (running.cpu_seconds_of_workers() - before) / seconds
    share -= audits
    besides = f", and {audits:.2f} % for audits since others filled the disk" if audits else ""
    figure = f"{share:.2f} % of a core over {seconds:.0f} s, without audits{besides}"
    return Row("idle", figure, f"<= {percent:g} %", share <= percent)


def busy(running: Subject, root: Path) -> Row:
    """The CPU time while containers write into logs and layers, and the engine into their directories."""
    share = _share(running, _BUSY_SECONDS, lambda: _work(root))
    figure = f"{share:.2f} % of a core over {_BUSY_SECONDS:.0f} s"
    return Row(f"a busy engine, {_EVENTS_PER_SECOND} events a second", figure, "<= 2 %", share <= 2)


def _share(running: Subject, seconds: float, during: Callable[[], object]) -> float:
    """The CPU time of all processes meanwhile, in percent of a core."""
    before = running.cpu_seconds()
    during()
    return 100 * (running.cpu_seconds() - before) / seconds


def _work(root: Path) -> None:
    """Half of the events are lines in logs, three tenths files in writable layers, the rest states of containers."""
    until = time.monotonic() + _BUSY_SECONDS
    due = time.monotonic()
    for event in _events(root):
        event()
        due += 1 / _EVENTS_PER_SECOND
        time.sleep(max(0.0, due - time.monotonic()))
        if due > until:
            break


def _events(root: Path) -> Iterator[Callable[[], object]]:
    homes = sorted((root / "containers").iterdir())[:_BUSY_CONTAINERS]
    logs = [os.open(home / f"{home.name}-json.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT) for home in homes]
    try:
        for number, at in zip(itertools.count(), itertools.cycle(range(len(homes)))):
            home, layer = homes[at], root / "aufs/diff" / homes[at].name
            yield partial(os.write, logs[at], b'{"log":"a line\\n","stream":"stdout"}\n')
            if number % 5 < 3:
                yield (layer / f"file{number % 100}").touch
            else:
                yield partial(_replace, home / "config.json")
    finally:
        for log in logs:
            os.close(log)


def _replace(file: Path) -> None:
    """Write a file anew, as the engine does: beside it, and renamed."""
    new = file.with_name(f".tmp-{file.name}")
    new.write_bytes(file.read_bytes())
    new.rename(file)
