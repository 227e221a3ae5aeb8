"""The scanning process, which the serving process starts.

It starts its workers first and imports its other modules meanwhile: both take about the same time.
"""

import os
import signal

from exporter.core import log
from exporter.core.fault_log import FAULT_LOG
from exporter.core.interrupts import ignore_interrupts
from exporter.core.memory import collect_garbage_rarely, map_large_blocks
from exporter.core.oom_score import OOM_SCORE, SCANNING
from exporter.measure.pool.pool import pool_of
from exporter.service.confinement import confine_scanning
from exporter.service.ipc import OrderReader, StartScanning
from exporter.service.sandbox import SandboxError

_NICEST = 19
#: Not `sys.stdin`: that of a copy is what the process had that was copied.
_STDIN = 0


def _first_order(orders: OrderReader) -> StartScanning:
    """Wait for the first order. Orders after it in the same read ask for a scan: the first scan is one."""
    while not (received := orders.read()):
        if received is None:
            os._exit(0)
    order = received[0]
    assert isinstance(order, StartScanning), "the serving process begins with this order"
    return order


def main() -> None:
    """Run the scanning process: orders on standard input, publications on standard output."""
    ignore_interrupts()
    try:
        _run()
    except MemoryError:
        os.write(2, b"docker-storage-exporter: the scanning process has not enough memory\n")
    except SandboxError as error:
        log.Logger().error("scanner.refused", error=str(error))
    except BrokenPipeError:
        os._exit(0)  # the serving process has ended
    except Exception as error:  # noqa: BLE001 - the serving process starts another one
        FAULT_LOG.note(error, "the scanning process")
    os._exit(1)


def _run() -> None:
    OOM_SCORE.add(SCANNING)
    orders = OrderReader(_STDIN)
    start = _first_order(orders)
    config = start.config
    log.configure(config.log.level, config.log.style)
    confinement = confine_scanning(config)
    os.nice(_NICEST)
    map_large_blocks()
    collect_garbage_rarely()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a terminal (`stty tostop`) would stop it when it logs
    pool = pool_of(config.scan.workers, config.scan.tree_timeout)
    pool.warm()
    from exporter.service.scan_loop import ScanLoop  # noqa: PLC0415 - while the workers start

    ScanLoop(start, orders, pool, confinement).run()


if __name__ == "__main__":
    main()
