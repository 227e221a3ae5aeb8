"""Log lines are events with fields, on standard error.

A log that nobody reads holds nobody up: lines that there is no room for are lost, and the next one says how many.
"""

import contextlib
import json
import logging
import os
import select
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime

_STANDARD_ERROR = 2
#: What a pipe, or a socket, that has any room has room for.
_PIECE_BYTES = select.PIPE_BUF

Fields = Mapping[str, object]


class Logger:
    """Writes events. A name ends in what happened (`scan.done`), and is the same in every line of its kind."""

    def debug(self, event: str, **fields: object) -> None:
        """Write what only helps to find a fault."""
        _log.tell(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Write what happened as it should."""
        _log.tell(logging.INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write what should not happen, and was coped with."""
        _log.tell(logging.WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write what somebody has to look at."""
        _log.tell(logging.ERROR, event, fields)


class Sink:
    """A descriptor that is written to only while it takes something at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._cut = False

    def write(self, line: str) -> bool:
        """Write a line; say whether all of it went out."""
        raw = (b"\n" if self._cut else b"") + line.encode("utf-8", "backslashreplace") + b"\n"
        at = 0
        with contextlib.suppress(OSError):  # nobody will ever read it
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
        # Where it is closed, the next file that is opened has its number.
        self._sink = Sink(_STANDARD_ERROR if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY))
        self._lost = 0
        self._lock = threading.Lock()

    def tell(self, level: int, event: str, fields: Fields) -> None:
        """Write a line, behind one that tells how many were lost."""
        if level < self.level:
            return
        with self._lock:
            if self._lost and self._sink.write(self._line(logging.WARNING, "log.lost", {"lines": self._lost})):
                self._lost = 0
            self._lost += not self._sink.write(self._line(level, event, fields))

    def _line(self, level: int, event: str, fields: Fields) -> str:
        when = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        content = {"timestamp": when, "level": logging.getLevelName(level).lower(), "event": event, **fields}
        shown = {key: printable(value) if isinstance(value, str) else value for key, value in content.items()}
        return json.dumps(shown, default=repr) if self.json else logfmt(shown)


class _Library(logging.Handler):
    """Has the messages of libraries (uvicorn, asyncio) go the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        exception = {"exception": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
        _log.tell(record.levelno, record.getMessage(), exception)


def configure(level: str, style: str) -> None:
    """Set up the log of this process: `level` by name, `style` logfmt or json.

    Of libraries it takes warnings and what is worse.
    """
    _log.level = logging.getLevelNamesMapping()[level.upper()]
    _log.json = style == "json"
    logging.basicConfig(level=logging.WARNING, handlers=[_Library()], force=True)


def logfmt(fields: Fields) -> str:
    """Render key=value pairs."""
    return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def _quoted(value: object) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not any(character in text for character in ' ="'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def printable(text: str) -> str:
    """Escape what a name from the disk may hold and no terminal should get: control characters, non-UTF-8."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


_log = _Log()
