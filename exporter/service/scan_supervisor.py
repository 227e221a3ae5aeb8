"""Starts the scanning process, receives its publications, and starts it again when it ends."""

import asyncio
import contextlib
import sys
import time

from exporter.config.settings import Config
from exporter.core.framing import ProtocolError, read_frame
from exporter.core.log import Logger
from exporter.core.memory import trim
from exporter.core.stall_detector import StallDetector
from exporter.expose.publication import PUBLICATIONS
from exporter.service.current import Current
from exporter.service.ipc import ORDERS, ScanAgain, StartScanning

_END_SECONDS = 1.0
_FIRST_RESTART_SECONDS = 1.0
_LAST_RESTART_SECONDS = 60.0

_log = Logger()


class ScanSupervisor:
    """Keeps one scanning process running."""

    def __init__(self, config: Config, current: Current) -> None:
        self._config = config
        self._current = current
        self._orders: asyncio.StreamWriter | None = None
        #: Set when the first publication has come.
        self.published = asyncio.Event()

    def rescan(self) -> None:
        """Have everything scanned again. Where no scanning process runs, the next one does that anyway."""
        if self._orders is not None:
            self._orders.writelines(ORDERS.encode([ScanAgain()]))

    async def run(self) -> None:
        """Keep one scanning process running until cancelled, then end it."""
        pause = _FIRST_RESTART_SECONDS
        while True:
            started = time.monotonic()
            await self._run_one()
            if time.monotonic() - started > _LAST_RESTART_SECONDS:
                pause = _FIRST_RESTART_SECONDS
            _log.error("scanner.died", restart_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_RESTART_SECONDS)

    async def _run_one(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "exporter.service.scan_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C reaches the serving process only, which then ends this one. It gets no session of its own: if
            # the kernel divides cores between sessions (sched_autogroup), niceness has no effect between them.
            process_group=0,
        )
        self._current.scanner = process.pid
        watching = asyncio.create_task(self._kill_when_stuck(process))
        try:
            await self._receive(process)
        finally:
            watching.cancel()
            self._current.scanner = self._orders = None
            await _end(process)

    async def _kill_when_stuck(self, process: asyncio.subprocess.Process) -> None:
        """Kill a scanning process that hangs in the kernel. The next one leaves out the filesystem that hangs."""
        seconds = self._config.scan.tree_timeout
        detector = StallDetector(process.pid, seconds, time.monotonic())
        while not detector.is_stuck(time.monotonic()):  # noqa: ASYNC110 - /proc tells nobody when it changes
            await asyncio.sleep(seconds / 4)
        _log.error("scanner.stuck", seconds=seconds)
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    async def _receive(self, process: asyncio.subprocess.Process) -> None:
        """Serve what the process publishes, until it ends or breaks the protocol."""
        assert process.stdin is not None, "opened as a pipe"
        assert process.stdout is not None, "opened as a pipe"
        try:
            process.stdin.writelines(ORDERS.encode([StartScanning(self._config, self._current.counters)]))
            await process.stdin.drain()
            self._orders = process.stdin
            while True:
                frame = await read_frame(process.stdout.readexactly)
                for publication in PUBLICATIONS.decode(frame):
                    self._current.replace(publication)
                    if publication.body is not None:
                        trim()
                    self.published.set()
        except ProtocolError as error:
            _log.error("scanner.protocol_error", error=str(error))
        except (asyncio.IncompleteReadError, ConnectionError):
            return


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the input of a scanning process: it then saves its cache and ends. Kill it if it does not."""
    assert process.stdin is not None, "opened as a pipe"
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _END_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        process.kill()  # it only reads the root, so nothing is left half done
