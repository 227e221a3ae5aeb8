"""Starts, supervises and stops what `run` is made of: the scanning process and the server."""

import asyncio
import contextlib
import pickle
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

from exporter.config.settings import Config
from exporter.core.log import Logger
from exporter.core.memory import give_back
from exporter.core.model import Counters, Snapshot
from exporter.core.stall_detector import StallDetector
from exporter.core.version import REVISION, VERSION
from exporter.expose.metrics.live import Processes, WebStatus, filesystem_families, web_families
from exporter.expose.metrics.render import Format, render
from exporter.expose.page_summary import NOT_YET
from exporter.expose.publication import Body, Publication, publish
from exporter.expose.snapshot_api.encode import ending, space
from exporter.expose.snapshot_api.rows import FilesystemRow
from exporter.service import systemd
from exporter.service.ipc import LENGTH_BYTES, RELOAD, Order, frame
from exporter.service.statvfs import Filesystems
from exporter.web.app import make_app
from exporter.web.connections.addresses import listen
from exporter.web.server import Server

_FIRST_WORD_SECONDS = 2.0
_FAREWELL_SECONDS = 1.0
_FIRST_RESTART_SECONDS = 1.0
_LAST_RESTART_SECONDS = 60.0

_log = Logger()


class Current:
    """What is served now; the one place in the serving process that changes."""

    def __init__(self, root: str) -> None:
        unseen = publish(Snapshot(root, time.time(), error=NOT_YET), Counters())
        assert unseen.body is not None, "asked for"
        self._status = unseen
        self._body = unseen.body
        self._filesystems = Filesystems()
        self._processes = Processes()
        self._readings: dict[Format, asyncio.Future[bytes]] = {}
        self.scanner: int | None = None
        self.web: Callable[[], WebStatus] | None = None

    @property
    def body(self) -> Body:
        """What is served now."""
        return self._body

    @property
    def taken(self) -> float | None:
        """When it was taken, Unix time; None as long as nothing is measured."""
        return self._status.taken

    @property
    def ready(self) -> bool:
        """Whether there is a snapshot of the data root."""
        return self._status.taken is not None

    @property
    def counters(self) -> Counters:
        """What has been counted so far."""
        return self._status.counters

    def replace(self, publication: Publication) -> None:
        """Serve another publication from now on."""
        self._status = publication
        if publication.body is not None:
            self._body = publication.body

    async def space(self) -> list[FilesystemRow]:
        """The filesystems below the root, with the space that those which answer have."""
        filesystems = self._body.filesystems
        answered = {one.path: status for one, status in await self._filesystems.read(filesystems)}
        return [space(one, answered.get(one.path)) for one in filesystems]

    async def document_end(self) -> bytes:
        """The end of the document at /api/v1/snapshot, which is read now."""
        return ending(self.taken, await self.space())

    async def live(self, style: Format) -> bytes:
        """The exporter's own families, and what is read now: the filesystems and the processes.

        Scrapes that wait for the same reading share it.
        """
        reading = self._readings.get(style)
        if reading is None:
            reading = self._readings[style] = asyncio.ensure_future(self._read(style))
            reading.add_done_callback(lambda _: self._readings.pop(style))
        return await asyncio.shield(reading)

    async def _read(self, style: Format) -> bytes:
        status = self._status
        statuses = await self._filesystems.read(self._body.filesystems)
        web = web_families(self.web()) if self.web else ()
        processes = self._processes.families(self.scanner, status.processes)
        families = [*filesystem_families(statuses), *web, *processes]
        known = status.openmetrics if style == "openmetrics" else status.text
        return known + render((one for one in families if one.samples), style)


class Scanning:
    """Runs the scanning process and takes what it publishes; starts it again when it dies."""

    def __init__(self, config: Config, current: Current) -> None:
        self._config = config
        self._current = current
        self._orders: asyncio.StreamWriter | None = None
        self.spoke = asyncio.Event()

    def reload(self) -> None:
        """Have everything scanned again; where no scanning process runs, the next one does that anyhow."""
        if self._orders is not None:
            self._orders.write(RELOAD)

    async def supervise(self) -> None:
        """Keep one scanning process running until cancelled, then end it."""
        pause = _FIRST_RESTART_SECONDS
        while True:
            started = time.monotonic()
            await self._run()
            if time.monotonic() - started > _LAST_RESTART_SECONDS:
                pause = _FIRST_RESTART_SECONDS
            _log.error("scanner.died", restart_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_RESTART_SECONDS)

    async def _run(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "exporter.service.scan_process",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # A Ctrl-C is for this process; it ends the other. No session of its own: where the kernel shares out cores
            # by session (sched_autogroup), its niceness would count for nothing beside this process.
            process_group=0,
        )
        self._current.scanner = process.pid
        watching = asyncio.create_task(self._watch_over(process))
        try:
            await self._listen(process)
        finally:
            watching.cancel()
            self._current.scanner = self._orders = None
            await _end(process)

    async def _watch_over(self, process: asyncio.subprocess.Process) -> None:
        """End a scanning process that a filesystem keeps in the kernel; the next one goes round what hangs."""
        patience = self._config.tree_timeout
        stuck = StallDetector(process.pid, patience, time.monotonic())
        while not stuck.look(time.monotonic()):  # noqa: ASYNC110 - /proc tells nobody when it changes
            await asyncio.sleep(patience / 4)
        _log.error("scanner.stuck", seconds=patience)
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None, "opened as a pipe"
        assert process.stdout is not None, "opened as a pipe"
        try:
            process.stdin.write(frame(Order(self._config, self._current.counters)))
            await process.stdin.drain()
            self._orders = process.stdin
            while True:
                length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
                publication = pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - our own child
                assert isinstance(publication, Publication), "the scanning process publishes"
                self._current.replace(publication)
                if publication.body is not None:
                    give_back()
                self.spoke.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            return


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close the scanning process' input, by which it knows to keep what it has measured and to go."""
    assert process.stdin is not None, "opened as a pipe"
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), _FAREWELL_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        process.kill()  # it only reads the root: there is nothing to finish


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; raises AddressError or SettingsError before anything is started."""
    current = Current(config.root)
    scanning = Scanning(config, current)
    server: Server

    def reload() -> bool:
        systemd.reloading()
        _log.info("reloading")
        good = server.configuration.reload()
        scanning.reload()
        systemd.notify("READY=1")
        return good

    server = Server(make_app(current, reload if config.lifecycle else None), config.web_config_file)
    sockets = systemd.sockets() or listen(config.listen)
    current.web = server.status
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    supervisor = asyncio.create_task(scanning.supervise())
    with contextlib.suppress(TimeoutError):  # a disk that hangs must not keep the port closed
        await asyncio.wait_for(scanning.spoke.wait(), _FIRST_WORD_SECONDS)
    addresses = [_address(one.getsockname()) for one in sockets]
    build = {"version": VERSION, "revision": REVISION}
    _log.info("serving", addresses=",".join(addresses), **build, **server.protection, **_effective(config))
    systemd.notify("READY=1")
    watchdog = asyncio.create_task(_keep_alive())
    try:
        await server.serve(sockets)
    finally:
        systemd.notify("STOPPING=1")
        for task in (watchdog, supervisor):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    _log.info("stopped")


async def _keep_alive() -> None:
    """Tell systemd's watchdog that the loop which answers scrapes turns."""
    while seconds := systemd.watchdog_seconds():
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(seconds)


def _effective(config: Config) -> dict[str, object]:
    fields = {name: ",".join(one) if isinstance(one, tuple) else one for name, one in asdict(config).items()}
    del fields["shown"]
    fields |= {"intermediate": config.shown.intermediate, "each_layer": config.shown.each_layer}
    return fields | {f"max_series_{name}": most for name, most in config.shown.most}


def _address(address: tuple[str, int, int, int] | tuple[str, int] | str) -> str:
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
