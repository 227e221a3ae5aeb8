"""Starts scanning processes, with more rights than the serving process keeps; and looks after all that come of them.

The serving process gives up its rights once it has what it needs: the sockets, the web configuration, a launcher.
"""

import asyncio
import codecs
import contextlib
import os
import signal
import sys
from typing import Self

from exporter.config.settings import Config, SandboxMode
from exporter.core import log
from exporter.core.privileges import adopt_orphans
from exporter.core.proc_file import read_proc
from exporter.core.put_off import load_what_needs_rights
from exporter.service.current import Current
from exporter.service.launcher import Copied
from exporter.service.launchers import Launchers, end
from exporter.service.sandbox import SandboxError, confine_serving, log_sandbox
from exporter.service.spawn import spawn

_ROUND_SECONDS = 10.0


class Starter:
    """Use as a context manager, in the event loop: at its end all processes below this one are ended."""

    def __init__(self, config: Config, current: Current, copied: Copied | OSError | None) -> None:
        """`copied`: a launcher that waits; why there is none; or None where one would have no more rights."""
        self._copied = copied
        self._config = config
        self._current = current
        self._launchers: Launchers | None = None
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        adopt_orphans()
        self._task = asyncio.create_task(self._look_after())
        return self

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._launchers is not None:
            self._launchers.close()
        for child in _children():
            _kill(child)

    def confine(self) -> None:
        """Go on with the launchers, and give up the rights of this process. Raises SandboxError."""
        config, current = self._config, self._current
        if config.sandbox is SandboxMode.OFF:
            if isinstance(self._copied, Copied):
                end(self._copied)
        elif self._copied is not None:
            launchers = self._start_launchers(self._copied)
            current.launchers, current.broken = lambda: launchers.pids, lambda: launchers.broken
            current.reach(launchers.statvfs)
            launchers.attach()
            self._launchers = launchers
        _load()
        current.landlock = confine_serving(config)
        log_sandbox("serving", current.landlock)

    def _start_launchers(self, copied: Copied | OSError) -> Launchers:
        try:
            if isinstance(copied, OSError):
                raise copied
            return Launchers.of(copied, spawn)
        except OSError as error:
            why = f"the launcher cannot be started: {error.strerror}"
            if self._config.sandbox is SandboxMode.REQUIRED:
                raise SandboxError(f"--sandbox=required: {why}") from None
            return Launchers.none(spawn, why)

    @property
    def launcher_pids(self) -> list[int]:
        """The process ids of the launchers; empty without any."""
        return self._launchers.pids if self._launchers is not None else []

    @property
    def broken(self) -> str:
        """Why no scanning process with all its rights can be started any more; "" while one can."""
        return self._launchers.broken if self._launchers is not None else ""

    async def launch(self, orders: int, output: int) -> int:
        """Start a scanning process: the first one with the rights of this process, some of which it gives up itself.

        Raises OSError.
        """
        return spawn(orders, output) if self._launchers is None else await self._launchers.launch(orders, output)

    async def _look_after(self) -> None:
        """Wait for the processes that were left to this one, such as workers. Kill those that stay."""
        before: set[int] = set()
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            known = {self._current.scanner, *self.launcher_pids}
            left = {child for child in _children() if child not in known and not _has_ended(child)}
            for child in left & before:  # one that came since then may be about to be known
                _kill(child)
            before = left


def _load() -> None:
    """Load the modules that are loaded later otherwise: only the capability may allow to read where they are."""
    import stringprep  # noqa: F401, PLC0415
    import traceback  # noqa: F401, PLC0415

    load_what_needs_rights()
    log.prepare()
    for encoding in ("ascii", "idna", "latin-1", "utf-8"):
        codecs.lookup(encoding)
    if "yaml" in sys.modules:  # it has read a web configuration, which may have passwords
        import bcrypt  # noqa: F401, PLC0415


def _children() -> list[int]:
    """The process ids of this process' children; empty where /proc does not list them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError, ValueError):
                found += map(int, read_proc(f"/proc/self/task/{thread}/children").split())
    return found


def _has_ended(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG)[0] == child
    except ChildProcessError:
        return True


def _kill(child: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(child, signal.SIGKILL)
