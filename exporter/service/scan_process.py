"""The process that scans, started by the serving process.

It has the workers started before it imports the rest of itself: both take about as long, side by side.
"""

import os
import pickle
import signal
import sys

from exporter.core import log
from exporter.core.memory import keep_apart
from exporter.measure.pool.pool import Pool, default_workers
from exporter.service.ipc import LENGTH_BYTES, Order

_NICEST = 19


def _receive() -> Order:
    """Read the order and not a byte more: what comes after it, the end, is for the loop to notice."""
    source = sys.stdin.fileno()
    length = int.from_bytes(_read(source, LENGTH_BYTES), "big")
    order = pickle.loads(_read(source, length))  # noqa: S301 - from the process that started this one
    assert isinstance(order, Order), "the serving process sends an order first"
    return order


def _read(source: int, length: int) -> bytes:
    content = b""
    while len(content) < length:
        piece = os.read(source, length - len(content))
        if not piece:
            sys.exit(0)
        content += piece
    return content


def main() -> None:
    """Run the scanning process: an order on standard input, publications on standard output."""
    order = _receive()
    log.configure(order.config.log_level, order.config.log_format)
    os.nice(_NICEST)
    keep_apart()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a terminal (`stty tostop`) would stop it when it logs
    pool = Pool(order.config.workers or default_workers(), order.config.tree_timeout)
    pool.warm()
    from exporter.service.scan_loop import ScanProcess  # noqa: PLC0415 - meanwhile

    ScanProcess(order, pool).run()


if __name__ == "__main__":
    main()
