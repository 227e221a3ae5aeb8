"""Reads the web configuration file at the start, and again after it or a file that it names has changed."""

import functools
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exporter.config.settings import SettingsError
from exporter.core.log import Logger
from exporter.web.access.guard import Guard

_log = Logger()
_Signature = tuple[tuple[int, ...] | None, ...]


@dataclass(slots=True)
class Reloads:
    """How often the web configuration was read again. `failed`: whether the last time failed."""

    success: int = 0
    failure: int = 0
    failed: bool = False


class WebConfiguration:
    """The web configuration in force. If the file becomes invalid, the last valid configuration stays in force.

    Without a file there is neither TLS nor a password. The modules that read it are imported only if there is a file,
    to save memory. The constructor raises SettingsError if the file is invalid.
    """

    def __init__(self, file: str, guard: Guard) -> None:
        self._file = file
        self._guard = guard
        self._signature: _Signature = ()
        self._files: tuple[str, ...] = (file,)
        self.admits: Callable[[Mapping[str, Any] | None], bool] = _everybody
        self.context: ssl.SSLContext | None = None
        self.reloads = Reloads()
        if file:
            self._signature = _signature(self._files)
            self._read()

    def follow(self) -> None:
        """Read the file again if it, or a file that it names, has changed. Called for each new connection."""
        if self._file and _signature(self._files) != self._signature:
            self.reload()

    def reload(self) -> bool:
        """Read the file again in any case; return whether it is valid."""
        if not self._file:
            return True
        self._signature = _signature(self._files)
        try:
            self._read()
        except SettingsError as error:
            self.reloads.failure += 1
            self.reloads.failed = True
            _log.error("web_config.failed", error=str(error), consequence="the one before stays in force")
            return False
        self.reloads.success += 1
        self.reloads.failed = False
        _log.info("web_config.reloaded", file=self._file)
        return True

    def _read(self) -> None:
        from exporter.web.access.config import load  # noqa: PLC0415 - see above
        from exporter.web.access.tls import admitted, make_context  # noqa: PLC0415

        seen = _signature((self._file,))  # before reading: a change during it is found the next time
        config = load(self._file)
        self._files = (self._file, *config.files)
        self._signature = (*seen, *_signature(config.files))
        tls = config.tls
        context = make_context(tls, self._file) if tls else None
        # Nothing below can fail, so the whole configuration changes or none of it.
        self.context = context
        self.admits = functools.partial(admitted, tls) if tls else _everybody
        self._guard.use(config)


def _everybody(_certificate: Mapping[str, Any] | None) -> bool:
    return True


def _signature(files: tuple[str, ...]) -> _Signature:
    return tuple(_file_signature(file) for file in files)


def _file_signature(file: str) -> tuple[int, ...] | None:
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
