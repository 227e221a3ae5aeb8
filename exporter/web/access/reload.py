"""Reads the web configuration file at the start, and again after it or a file that it names has changed."""

import contextlib
import functools
import os
import stat
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from exporter.config.settings import SettingsError
from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.log import Logger
from exporter.web.access.guard import Guard

if TYPE_CHECKING:
    import ssl

    from exporter.web.access.config import WebConfig  # it imports PyYAML, which is needed only with such a file

#: A file from which users are missing comes into force after it was not written to for so long.
_SETTLED_SECONDS = 2.0

_log = Logger()
_Signature = tuple[tuple[int, ...] | None, ...]


class Reloads(Struct):
    """How often the web configuration was read again. `failed`: whether the last time failed."""

    success: int = 0
    failure: int = 0
    failed: bool = False


class WebConfiguration:
    """The web configuration in force. If the file becomes invalid, the last valid configuration stays in force.

    Nor does a file that has changed end protection by itself: only a reload that the operator asks for does (`ask`).
    Without a file there is neither TLS nor a password. The modules that read it are imported only if there is a file,
    to save memory. The constructor raises SettingsError if the file is invalid.
    """

    def __init__(self, file: str, guard: Guard, clock: Clock = SYSTEM_CLOCK) -> None:
        self._file = file
        self._guard = guard
        self._clock = clock
        self._config: WebConfig | None = None
        self._signature: _Signature = ()
        self._files: tuple[str, ...] = (file,)
        #: What may be half of a file, and when it was seen first.
        self._half: tuple[_Signature, float] = ((), 0.0)
        self.admits: Callable[[Mapping[str, Any] | None], bool] = _everybody
        self.context: ssl.SSLContext | None = None
        self.reloads = Reloads()
        if file:
            self._signature = _signature(self._files)
            self._read(self._signature, asked=True)

    def unreadable(self) -> list[str]:
        """The files of the configuration that this process may not read (any more)."""
        return [one for one in self._files if one and not os.access(one, os.R_OK, effective_ids=True)]

    def follow(self) -> None:
        """Read the file again if it, or a file that it names, has changed. Called for each request and connection."""
        if not self._file:
            return
        seen = _signature(self._files)
        if seen != self._signature and (seen != self._half[0] or self._is_settled(seen)):
            self._reload(seen, asked=False)

    def reload(self, *, asked: bool) -> bool:
        """Read the file again in any case; return whether it is valid, and is in force.

        `asked`: the operator has asked on this machine for what the file says, so it may end protection.
        """
        return not self._file or self._reload(_signature(self._files), asked=asked)

    def _reload(self, seen: _Signature, *, asked: bool) -> bool:
        try:
            self._read(seen, asked=asked)
        except _HalfError:
            if self._half[0] != seen:
                self._half = (seen, self._clock.monotonic())
            return False
        except SettingsError as error:
            self._signature = seen
            self.reloads.failure += 1
            self.reloads.failed = True
            _log.error("web_config.failed", error=str(error), consequence="the one before stays in force")
            return False
        self.reloads.success += 1
        self.reloads.failed = False
        _log.info("web_config.reloaded", file=self._file)
        return True

    def _read(self, known: _Signature, *, asked: bool) -> None:
        from exporter.web.access.config import load  # noqa: PLC0415 - see above
        from exporter.web.access.tls import admitted, make_context  # noqa: PLC0415

        seen = _signature((self._file,))  # before reading: a change during it is found the next time
        again = self._config is not None
        if again:
            _check_regular(self._file)
        config = load(self._file)
        if again:
            _check_regular(*config.files)
        signature = (*seen, *_signature(config.files))
        tls = config.tls
        context = make_context(tls, self._file) if tls else None
        if self._config is not None and not asked:
            self._check(self._config, config, known)
        # Nothing below can fail, so the whole configuration changes or none of it.
        self._config = config
        self._files = (self._file, *config.files)
        self._signature = signature
        self.context = context
        self.admits = functools.partial(admitted, tls) if tls else _everybody
        self._guard.use(config)

    def _check(self, old: "WebConfig", new: "WebConfig", seen: _Signature) -> None:
        """Refuse a file with less protection, and one that may not be complete yet."""
        from exporter.web.access.weaker import lost, may_be_half  # noqa: PLC0415 - see above

        if missing := lost(old, new):
            raise SettingsError(f"{self._file}: less protection: {', '.join(missing)}; SIGHUP or a restart applies it")
        if may_be_half(old, new) and not self._is_settled(seen):
            raise _HalfError

    def _is_settled(self, seen: _Signature) -> bool:
        """Whether files have not changed for a while: by their own times, or because they were seen so before."""
        changed = max((one[-1] for one in seen if one is not None), default=0) / 1e9
        half, since = self._half
        return self._clock.now() - changed >= _SETTLED_SECONDS or (
            half == seen and self._clock.monotonic() - since >= _SETTLED_SECONDS
        )


class _HalfError(Exception):
    """The file may not be complete yet."""


def _check_regular(*files: str) -> None:
    """Raise SettingsError for what is no plain file. To open a pipe again would wait for a writer, and so would all."""
    for file in files:
        with contextlib.suppress(OSError, ValueError):  # reading it says what is wrong
            if not stat.S_ISREG(os.stat(file).st_mode):
                raise SettingsError(f"{file}: is no regular file, so it is not read again")


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
