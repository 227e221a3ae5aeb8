"""Starts the serving process without the command line in it.

A copy of this process reads the flags, and ends when it has sent what they say: what reads flags and settings files
takes three megabytes, and time in which this process loads what it needs itself.
"""

import os
import sys
from functools import partial

TYPE_CHECKING = False  # as that of typing, which is half a megabyte
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import NoReturn

    # Nothing is loaded before there are two processes.
    from exporter.config.settings import Config
    from exporter.core.messages import Messages

#: They are loaded when somebody asks for one.
_PAGES = ("exporter.web.pages.listing", "exporter.web.pages.overview", "exporter.web.pages.status")
#: In the copy: where the configuration is to be written.
_wanted: int | None = None


def begin() -> None:
    """Serve what the flags say, and end. This returns in the copy that is to read them, or where there is none."""
    global _wanted  # noqa: PLW0603 - the command line is a function of click's, which passes nothing on
    try:
        reading, writing = os.pipe2(os.O_CLOEXEC)
    except OSError:
        return
    try:
        copy = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        return
    if copy == 0:
        os.close(reading)
        _wanted = writing
        return
    os.close(writing)
    _serve(partial(_receive, copy, reading))


def give(config: "Config") -> None:
    """Serve a configuration until stopped: in the process that waits for it, or else in this one."""
    if _wanted is None:
        _serve(lambda: config)
    try:
        for piece in _configurations().encode([config]):
            os.write(_wanted, piece)
    except BrokenPipeError:
        pass  # it was stopped meanwhile
    os._exit(0)  # nothing is to be flushed or cleaned up: it is the other one's


def _configurations() -> "Messages[Config]":
    from exporter.config.settings import Config  # noqa: PLC0415 - see above
    from exporter.core.messages import Messages  # noqa: PLC0415

    return Messages(Config)


def _receive(copy: int, reading: int) -> "Config":
    """Wait for what the copy found. Where it found no configuration, end as it did: it has said why."""
    from exporter.core.framing import FrameReader  # noqa: PLC0415 - see above

    with open(reading, "rb") as pipe:
        received = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    if status < 0:
        sys.exit(f"Error: the process that reads the flags was ended by signal {-status}")
    if status or not received:
        sys.exit(status)
    (frame,) = FrameReader().feed(received)
    (config,) = _configurations().decode(frame)
    return config


def _serve(wait: "Callable[[], Config]") -> "NoReturn":
    """Serve what `wait` returns, and end."""
    from exporter.service.launcher import start_copy  # noqa: PLC0415 - see above

    launcher = start_copy()
    from exporter.core.put_off import put_off  # noqa: PLC0415 - see above

    put_off(*_PAGES)
    from exporter.core.lean_code import load_lean  # noqa: PLC0415 - see above

    load_lean()
    from exporter.service import systemd  # noqa: PLC0415 - see above
    from exporter.service.spawn import spawn_first  # noqa: PLC0415

    sockets = systemd.sockets()  # they are not for the process that is started next
    first = spawn_first()
    asyncio = load_asyncio()

    from exporter.config.settings import SettingsError  # noqa: PLC0415 - see above
    from exporter.core import log  # noqa: PLC0415
    from exporter.service.main import serve  # noqa: PLC0415
    from exporter.service.sandbox import SandboxError  # noqa: PLC0415
    from exporter.web.connections.addresses import AddressError  # noqa: PLC0415

    config = wait()
    log.configure(config.log.level, config.log.style)
    try:
        asyncio.run(serve(config, sockets, first, launcher))
    except (AddressError, SettingsError, SandboxError) as error:
        sys.exit(f"Error: {error}")
    sys.exit(0)


def load_asyncio() -> "ModuleType":
    """Import asyncio without OpenSSL, which it would load for its own TLS: nobody uses that, and it takes 1.4 MB."""
    from exporter.core.lean_import import hidden  # noqa: PLC0415 - see above

    with hidden("ssl"):
        import asyncio  # noqa: PLC0415
    return asyncio
