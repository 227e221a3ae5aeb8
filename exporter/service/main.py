"""The serving process: it starts the web server and the scanning process, and stops both."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from functools import partial
from socket import socket

from exporter.config.settings import Config
from exporter.core.log import Logger
from exporter.core.version import REVISION, VERSION
from exporter.service import systemd
from exporter.service.current import Current
from exporter.service.launcher import Copied
from exporter.service.sandbox import SandboxError
from exporter.service.scan_supervisor import ScanSupervisor
from exporter.service.spawn import Spawned
from exporter.service.starter import Starter
from exporter.web.app import make_app
from exporter.web.connections.addresses import listen
from exporter.web.server import Server

#: After this time the port is opened even if nothing is published yet: a disk may hang.
_FIRST_PUBLICATION_SECONDS = 2.0
_LOOK_SECONDS = 5.0

_log = Logger()


async def serve(
    config: Config, passed: Sequence[socket], first: Spawned | None, copied: Copied | OSError | None
) -> None:
    """Serve until SIGTERM or SIGINT; raises AddressError, SettingsError or SandboxError at the start.

    `passed`: the listening sockets, where systemd has them. `first`: a scanning process that waits for its orders.
    `copied`: see Starter.

    SandboxError also where the rights to scan were lost and only a restart helps, under systemd.
    """
    current = Current(config.root, own_processes=config.web.exporter_metrics)
    server: Server

    def reload(*, asked: bool) -> bool:
        systemd.reloading()
        _log.info("reloading")
        good = server.configuration.reload(asked=asked)
        supervisor.rescan()
        systemd.notify("READY=1")
        return good

    # Who may send a request, or only make a browser send one, must not end protection: a signal can.
    over_http = partial(reload, asked=False)
    app = make_app(current, over_http if config.web.lifecycle else None, config.web)
    server = Server(app, config.web.config_file, config.web.allowed_hosts)
    sockets = passed or listen(config.web.listen)
    current.web = server.status
    loop = asyncio.get_running_loop()
    with Starter(config, current, copied) as starter:
        supervisor = ScanSupervisor(config, current, starter.launch, first)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        loop.add_signal_handler(signal.SIGHUP, partial(reload, asked=True))
        async with _background(supervisor.run()):
            await supervisor.tried.wait()
            starter.confine()
            for file in server.configuration.unreadable():
                _log.warning("web_config.unreadable", file=file, consequence="a change is not read before a restart")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(supervisor.published.wait(), _FIRST_PUBLICATION_SECONDS)
            addresses = ",".join(_address(one.getsockname()) for one in sockets)
            build, settings = {"version": VERSION, "revision": REVISION}, dict(effective_settings(config))
            _log.info("serving", addresses=addresses, **build, **server.protection, **settings)
            systemd.notify("READY=1")
            async with _background(_keep_alive(starter, server)), _background(current.keep_space()):
                try:
                    await server.serve(sockets)
                finally:
                    systemd.notify("STOPPING=1")
    _log.info("stopped")
    if starter.broken:
        raise SandboxError(starter.broken)


@contextlib.asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do something for the length of an `async with` block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _keep_alive(starter: Starter, server: Server) -> None:
    """Tell systemd's watchdog that the event loop which answers scrapes is running.

    Where only a restart helps, end: systemd starts the exporter again.
    """
    pause = systemd.watchdog_seconds() or _LOOK_SECONDS
    while systemd.is_there() and not starter.broken:
        if systemd.watchdog_seconds():
            systemd.notify("WATCHDOG=1")
        await asyncio.sleep(min(pause, _LOOK_SECONDS))
    if systemd.is_there():
        server.stop()


def effective_settings(config: Config) -> Iterator[tuple[str, object]]:
    """The settings as fields of a log line."""
    yield "root", config.root
    yield "containerd_root", config.containerd_root
    yield "listen", ",".join(config.web.listen)
    yield "scan_interval", config.scan.interval
    yield "duty_cycle", config.scan.duty_cycle
    yield "workers", config.scan.workers
    yield "tree_timeout", config.scan.tree_timeout
    yield "cache_file", config.scan.cache_file
    yield "watch", config.watch.enabled
    yield "look_interval", config.watch.look_interval
    yield "orphaned_after", config.scan.orphaned_after
    yield "log_level", config.log.level
    yield "log_format", config.log.style
    yield "web_config_file", config.web.config_file
    yield "lifecycle", config.web.lifecycle
    yield "sandbox", config.sandbox.value
    yield "allowed_hosts", ",".join(config.web.allowed_hosts)
    yield "telemetry_path", config.web.telemetry_path
    yield "max_requests", config.web.max_requests
    yield "exporter_metrics", config.web.exporter_metrics
    yield "collectors_off", ",".join(config.shown.off)
    yield from ((f"include_{name}", pattern) for name, pattern in config.shown.include)
    yield from ((f"exclude_{name}", pattern) for name, pattern in config.shown.exclude)
    yield "intermediate", config.shown.intermediate
    yield "each_layer", config.shown.each_layer
    yield from ((f"max_series_{name}", most) for name, most in config.shown.most)


def _address(address: tuple[str, int, int, int] | tuple[str, int] | str) -> str:
    if isinstance(address, str):
        return address
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
