"""The process that scans: it publishes what it finds on its standard output, for the serving process to read.

Scanning has a process of its own so that nothing it does, be it a million lstats or rendering ten thousand
series, holds the interpreter lock of the one that answers scrapes. A message is a length and a pickle: both
ends are this program, and what came from the disk is inside as plain values.
"""

import os
import pickle
import sys
import threading
import time
from dataclasses import dataclass, field

import structlog

from exporter import log
from exporter.config import Config
from exporter.model import Counters, Inventory, Snapshot, Trigger
from exporter.publication import publish
from exporter.scanner import RootError, Scanner, identify

LENGTH_BYTES = 8
_LOOK_SECONDS = 1.0
_LOGGED_PROBLEMS = 20
_NICEST = 19

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Order:
    """What the serving process tells a new scanning process: the settings and where to count on from."""

    config: Config
    counters: Counters = field(default_factory=Counters)


def frame(message: object) -> bytes:
    """Encode a message for the pipe, with its length in front."""
    raw = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return len(raw).to_bytes(LENGTH_BYTES, "big") + raw


class ScanLoop:
    """Scans at start-up and then on a timer; watches in between whether the root is still the same."""

    def __init__(self, order: Order) -> None:
        self._config = order.config
        self._scanner = Scanner(order.config.root, order.config.orphaned_after, order.counters)
        self._output = sys.stdout.buffer
        self._trigger = Trigger.STARTUP
        self._error: str | None = None
        self._told: set[str] = set()

    def run(self) -> None:
        """Scan for ever."""
        self._announce()
        while True:
            identity = identify(self._config.root)
            start = time.monotonic()
            snapshot = self._scanner.scan(self._trigger)
            self._trigger = Trigger.AUDIT
            self._publish(snapshot)
            self._report(snapshot, time.monotonic() - start)
            self._wait(start, identity, failed=bool(snapshot.error))

    def _announce(self) -> None:
        """Say before the first scan whether there is a root to scan."""
        try:
            layouts = self._scanner.probe()
        except RootError as error:
            self._publish(Snapshot(self._config.root, time.time(), error=str(error)))
        else:
            self._publish(Snapshot(self._config.root, time.time(), inventory=Inventory(layouts=layouts)))

    def _publish(self, snapshot: Snapshot) -> None:
        message = publish(snapshot, self._scanner.counters, intermediate=self._config.intermediate_images)
        self._output.write(frame(message))
        self._output.flush()

    def _report(self, snapshot: Snapshot, seconds: float) -> None:
        """Log what an operator could act on: a root that comes or goes, and what is new about its content."""
        if snapshot.error:
            if snapshot.error != self._error:
                _log.error("root.unreadable", root=snapshot.root, error=snapshot.error)
            self._error = snapshot.error
            return
        if self._error is not None:
            _log.info("root.readable", root=snapshot.root)
        self._error = None
        inventory = snapshot.inventory
        for layout in inventory.unmeasured:
            self._once("layout.unmeasured", layout=layout, advice="only its directories are measured")
        for problem in snapshot.problems[:_LOGGED_PROBLEMS]:
            self._once(
                "scan.problem",
                collector=problem.collector.value,
                reason=problem.reason.value,
                path=problem.path,
                detail=problem.detail,
            )
        _log.info(
            "scan.done",
            seconds=round(seconds, 3),
            entries=sum(scan.entries for scan in snapshot.collectors.values()),
            layers=len(inventory.layers),
            images=len(inventory.images),
            containers=len(inventory.containers),
            volumes=len(inventory.volumes),
            problems=len(snapshot.problems),
        )

    def _once(self, event: str, **fields: str) -> None:
        key = repr((event, fields))
        if key not in self._told and len(self._told) < 1000 * _LOGGED_PROBLEMS:
            self._told.add(key)
            _log.warning(event, **fields)

    def _wait(self, start: float, identity: object, *, failed: bool) -> None:
        """Wait for the timer, longer where scans take more than their share; not when the root is another."""
        spent = time.monotonic() - start
        pause = max(self._config.scan_interval - spent, spent / self._config.duty_cycle - spent)
        if failed:
            pause = _LOOK_SECONDS
        due = time.monotonic() + pause
        while (rest := due - time.monotonic()) > 0:
            time.sleep(min(rest, _LOOK_SECONDS))
            if identify(self._config.root) != identity:
                return


def _die_with_parent() -> None:
    """Leave when the serving process is gone: then its end of our standard input is closed."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


def _receive() -> Order:
    length = int.from_bytes(sys.stdin.buffer.read(LENGTH_BYTES), "big")
    order = pickle.loads(sys.stdin.buffer.read(length))  # noqa: S301 - from the process that started this one
    assert isinstance(order, Order), "the serving process sends an order first"
    return order


def main() -> None:
    """Run the scanning process: an order on standard input, publications on standard output."""
    order = _receive()
    log.configure(order.config.log_level, order.config.log_format)
    os.nice(_NICEST)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    ScanLoop(order).run()


if __name__ == "__main__":
    # The pickles name the module, and "__main__" is another one on each side.
    from exporter.scanprocess import main as run

    run()
