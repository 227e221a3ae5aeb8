"""Log lines are events with fields, on standard error.

Writing never blocks: where the reader does not keep up, lines are dropped, and the next line says how many.
"""

import contextlib
import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Mapping

_STANDARD_ERROR = 2
#: A pipe or socket that is writable takes at least this much at once.
_PIECE_BYTES = select.PIPE_BUF

Fields = Mapping[str, object]


class Logger:
    """Writes events. An event has a name of two parts, subject and what happened (`scan.done`), and fields."""

    def debug(self, event: str, **fields: object) -> None:
        """Write an event that helps to find a fault in the exporter."""
        _log.tell(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Write an event of normal operation."""
        _log.tell(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write a fault that the exporter handled."""
        _log.tell(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write a fault that an operator has to act on."""
        _log.tell(logging.ERROR, event, fields)


class Sink:
    """A descriptor that is written to without blocking."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._cut = False

    def write(self, line: str) -> bool:
        """Write a line; return whether all of it was written."""
        raw = (b"\n" if self._cut else b"") + line.encode("utf-8", "backslashreplace") + b"\n"
        at = 0
        with contextlib.suppress(OSError):  # the reader is gone
            while at < len(raw) and self._poll.poll(0):
                at += os.write(self._descriptor, raw[at : at + _PIECE_BYTES])
        if at:
            self._cut = at < len(raw)
        return at == len(raw)


class _Log:
    """The log of this process."""

    def __init__(self) -> None:
        self.level = logging.INFO
        self.json = False
        # If standard error is closed, the next file that is opened gets its number.
        self._sink = Sink(_STANDARD_ERROR if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY))
        self._lost = 0
        self._lock = threading.Lock()

    def tell(self, level: int, event: str, fields: Fields) -> None:
        """Write a line; before it, if lines were dropped, one that says how many."""
        if level < self.level:
            return
        with self._lock:
            if self._lost and self._sink.write(self._line(logging.WARNING, "log.lost", {"lines": self._lost})):
                self._lost = 0
            self._lost += not self._sink.write(self._line(level, event, fields))

    def _line(self, level: int, event: str, fields: Fields) -> str:
        seconds, micros = divmod(time.time_ns() // 1000, 1_000_000)
        moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{micros:06}Z"
        last = {"event": event, "level": logging.getLevelName(level).lower(), "timestamp": moment}
        shown = {key: printable(one) if isinstance(one, str) else one for key, one in {**fields, **last}.items()}
        if self.json:
            return json.dumps(shown, default=repr)
        first = ("timestamp", "level", "event")
        return " ".join(f"{key}={_logfmt(shown[key])}" for key in dict.fromkeys((*first, *shown)))


def _logfmt(value: object) -> str:
    """A value in logfmt: in quotation marks where it has a space, a quotation mark or an equals sign."""
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not any(character in text for character in ' ="'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class _Library(logging.Handler):
    """Has the messages of libraries (asyncio) go the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        exception = {"exception": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
        _log.tell(record.levelno, record.getMessage(), exception)


def configure(level: str, style: str) -> None:
    """Set up the log of this process before its first line: `level` by name, `style` logfmt or json.

    Messages of libraries are logged from level warning on.
    """
    _log.level = logging.getLevelNamesMapping()[level.upper()]
    _log.json = style == "json"
    logging.basicConfig(level=logging.WARNING, handlers=[_Library()], force=True)


def printable(text: str) -> str:
    """Replace characters that are not printable by escapes: the result is one line and cannot control a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


_log = _Log()
