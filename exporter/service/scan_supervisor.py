"""Starts the scanning process, receives its publications, and starts it again when it ends.

Nothing that goes wrong here ends the supervision: whatever raises is logged, and the next start is tried after a pause.
"""

import asyncio
import contextlib
import time

from exporter.config.settings import Config
from exporter.core.fault_log import FAULT_LOG
from exporter.core.framing import ProtocolError, read_frame
from exporter.core.log import Logger
from exporter.core.memory import trim
from exporter.core.stall_detector import StallDetector
from exporter.expose.published import PUBLICATIONS, View
from exporter.service.current import MISSING_SECONDS, Current
from exporter.service.ipc import ANOTHER_ROOT, ORDERS, ScanAgain, StartScanning
from exporter.service.scan_child import Launch, ScanChild
from exporter.service.spawn import Spawned

#: How long a scanning process may take to save its cache: it has the lowest priority. A service manager gives the whole
#: stop ten seconds.
_END_SECONDS = 4.0
_FIRST_RESTART_SECONDS = 1.0
_LAST_RESTART_SECONDS = 30.0
#: A process that ran for so many pauses before its start, or for so long, did not fail because of its start.
_GOOD_PAUSES = 10
_GOOD_SECONDS = 60.0
_REPLACED = "scanner.replaced"

_log = Logger()


class ScanSupervisor:
    """Keeps one scanning process running."""

    def __init__(self, config: Config, current: Current, launch: Launch, first: Spawned | None = None) -> None:
        """`first`: a process that is there already."""
        self._first = first
        self._config = config
        self._current = current
        self._launch = launch
        self._child: ScanChild | None = None
        #: Set when the first process has been started, or could not be.
        self.tried = asyncio.Event()
        #: Set when the first publication has come.
        self.published = asyncio.Event()

    def rescan(self) -> None:
        """Have everything scanned again. Where no scanning process runs, the next one does that anyway."""
        if self._child is not None:
            self._child.send(ORDERS.encode([ScanAgain()]))

    async def run(self) -> None:
        """Keep one scanning process running until cancelled, then end it."""
        pause = _FIRST_RESTART_SECONDS
        telling = asyncio.create_task(self._tell_when_missing())
        try:
            while True:
                started = time.monotonic()
                try:
                    event, why = await self._run_one()
                except Exception as error:  # noqa: BLE001 - the supervision must not end
                    event, why = "scanner.died", _said(error)
                self._current.lost(why)
                ran = time.monotonic() - started
                if ran > min(_GOOD_PAUSES * pause, _GOOD_SECONDS):
                    pause = _FIRST_RESTART_SECONDS
                if event == _REPLACED:
                    why = "the data root, that of its containerd, or the directory of the cache, is another one"
                    _log.info(event, why=why)
                    if ran > pause:
                        continue
                else:
                    _log.error(event, why=why, restart_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_RESTART_SECONDS)
        finally:
            telling.cancel()

    async def _tell_when_missing(self) -> None:
        """Log once a minute that there is no scanning process, for as long as there is none."""
        while True:
            await asyncio.sleep(MISSING_SECONDS - self._current.missing_seconds % MISSING_SECONDS)
            if why := self._current.missing:
                _log.error("scanner.missing", why=why)

    async def _run_one(self) -> tuple[str, str]:
        """Run one scanning process until it ends; return an event for the log, and why."""
        try:
            first, self._first = self._first, None
            child = await (ScanChild.start(self._launch) if first is None else ScanChild.of(first))
        except Exception as error:  # noqa: BLE001 - the supervision must not end
            return "scanner.not_started", _said(error)
        finally:
            self.tried.set()
        watching: asyncio.Task[None] | None = None
        why = ""
        try:
            self._child, self._current.scanner = child, child.pid
            watching = asyncio.create_task(self._kill_when_stuck(child))
            await self._receive(child)
        except ProtocolError as error:
            _log.error("scanner.protocol_error", error=str(error))
        except Exception as error:  # noqa: BLE001 - the supervision must not end
            why = _said(error)
        finally:
            self._child = self._current.scanner = None
            if watching is not None:
                watching.cancel()
            how = await child.end(_END_SECONDS)
        return _REPLACED if child.status == ANOTHER_ROOT else "scanner.died", why or how

    async def _kill_when_stuck(self, child: ScanChild) -> None:
        """Kill a scanning process that hangs in the kernel. The next one leaves out the filesystem that hangs."""
        seconds = self._config.scan.tree_timeout
        detector = StallDetector(child.pid, seconds, time.monotonic())
        while not detector.is_stuck(time.monotonic()):  # noqa: ASYNC110 - /proc tells nobody when it changes
            await asyncio.sleep(seconds / 4)
        _log.error("scanner.stuck", seconds=seconds)
        child.kill()

    async def _receive(self, child: ScanChild) -> None:
        """Serve what the process publishes, until it ends; raises ProtocolError if it breaks the protocol."""
        child.send(ORDERS.encode([StartScanning(self._config, self._current.counters)]))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                frame = await read_frame(child.output.readexactly)
                for message in PUBLICATIONS.decode(frame):
                    if isinstance(message, View):
                        self._current.views.show(message)
                        continue
                    self._current.replace(message)
                    self._current.views.ask = lambda question: child.send(ORDERS.encode([question]))
                    if message.body is not None:
                        trim()
                    self.published.set()


def _said(error: Exception) -> str:
    """Why something failed, in one line. Of what the system does not explain, the log gets the place, once an hour."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return FAULT_LOG.note(error, "the scanning process")
