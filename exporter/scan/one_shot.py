"""A single scan for a command that waits for it, with a progress bar on a terminal."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait

from msgspec.structs import replace

from exporter.core.dirty import Dirty
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.measured import Reason
from exporter.core.memory import collect_garbage_rarely
from exporter.core.model import Collector, Filesystem, Problem, Snapshot, Trigger
from exporter.core.stall_detector import StallDetector
from exporter.inventory.opening import RootError
from exporter.scan.progress_bar import Bar, on_terminal
from exporter.scan.scanner import Scanner

_TURN_SECONDS = 0.2


def scan_once(
    scanner: Scanner,
    timeout: float,
    meanwhile: Callable[[], object] = lambda: None,
    turn: Callable[[Scanner], object] | None = None,
) -> Snapshot:
    """Scan everything and wait for it. If standard error is a terminal, show the progress there.

    `turn` shows it instead: it is called some times a second, in the thread that scans.
    `meanwhile` is called while the workers measure. If a filesystem hangs while metadata is read, there is no context
    switch for `timeout` seconds; the returned snapshot then has an error. So it has where no worker can be started. A
    thread that hangs in the kernel cannot be ended. So the scan runs in a thread of its own, which is abandoned.
    """
    collect_garbage_rarely()
    outcome: Future[Snapshot] = Future()
    thread = threading.Thread(target=_fulfil, args=(outcome, scanner, meanwhile, turn), daemon=True)
    try:
        thread.start()
    except RuntimeError:  # a limit on processes allows no thread: it works without, unless a filesystem hangs
        return _scan(scanner, meanwhile, turn)
    detector = StallDetector(os.getpid(), timeout, time.monotonic(), thread.native_id)
    while not wait([outcome], timeout / 4).done:
        if detector.is_stuck(time.monotonic()):
            return Snapshot(scanner.path, time.time(), error="a filesystem in it does not answer")
    thread.join()  # it has nothing left to do
    return outcome.result()


def _fulfil(
    outcome: Future[Snapshot],
    scanner: Scanner,
    meanwhile: Callable[[], object],
    turn: Callable[[Scanner], object] | None,
) -> None:
    try:
        outcome.set_result(_scan(scanner, meanwhile, turn))
    except BaseException as error:  # noqa: BLE001 - `scan_once` raises it again
        outcome.set_exception(error)


def _scan(scanner: Scanner, meanwhile: Callable[[], object], turn: Callable[[Scanner], object] | None) -> Snapshot:
    try:
        scanner.begin(Trigger.STARTUP, Dirty(everything=True), whole=turn is None)
    except RootError:
        return scanner.snapshot()
    with contextlib.suppress(RuntimeError):  # no thread can be started: the caller does it later
        threading.Thread(target=meanwhile, daemon=True).start()
    with Bar() if turn is None and on_terminal() else contextlib.nullcontext() as bar:
        while scanner.runs:
            scanner.collect(_TURN_SECONDS)
            if why := scanner.unable:
                error = f"nothing can be measured: no worker process can be started: {why}"
                return Snapshot(scanner.path, time.time(), error=error)
            if bar is not None:
                bar.show(scanner.progress)
            if turn is not None:
                turn(scanner)
    return scanner.snapshot()


Space = tuple[Filesystem, os.statvfs_result | None]


def with_space(snapshot: Snapshot) -> tuple[Snapshot, list[Space]]:
    """The filesystems of a snapshot with their space; None if statvfs fails or hangs.

    One that hangs is a problem of the snapshot that is returned.
    """
    found = HANG_PROBE.statvfs(one.path for one in snapshot.filesystems)
    known = {one.path for one in snapshot.problems if one.reason is Reason.TIMEOUT}
    silent = [one.directory for one in snapshot.filesystems if one.path not in found]
    said = "the filesystem that is mounted there does not answer"
    problems = [
        Problem(Collector.DIRECTORIES, Reason.TIMEOUT, path or ".", said) for path in silent if path not in known
    ]
    spaces = [(one, found.get(one.path)) for one in snapshot.filesystems]
    return replace(snapshot, problems=(*snapshot.problems, *problems)), spaces
