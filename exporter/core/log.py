"""Log lines are events with fields, on standard error.

Writing never blocks: where the reader does not keep up, lines are dropped, and the next line says how many.
structlog formats the lines. It is imported with the first one, because most commands write none.
"""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exporter.core.lean_import import hidden, parts_of
from exporter.core.put_off import when_loaded

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

_STANDARD_ERROR = 2
#: As `logging` has them.
_DEBUG, _INFO, _WARNING, _ERROR = range(10, 50, 10)
_LEVELS = {"debug": _DEBUG, "info": _INFO, "warning": _WARNING, "error": _ERROR}
_NAMES = {number: name for name, number in _LEVELS.items()}
#: A pipe or socket that is writable takes at least this much at once.
_PIECE_BYTES = select.PIPE_BUF

Fields = Mapping[str, object]


class Logger:
    """Writes events. An event has a name of two parts, subject and what happened (`scan.done`), and fields."""

    def debug(self, event: str, **fields: object) -> None:
        """Write an event that helps to find a fault in the exporter."""
        _log.tell(_DEBUG, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Write an event of normal operation."""
        _log.tell(_INFO, event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Write a fault that the exporter handled."""
        _log.tell(_WARNING, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write a fault that an operator has to act on."""
        _log.tell(_ERROR, event, fields)


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
        self.level = _INFO
        self.json = False
        # If standard error is closed, the next file that is opened gets its number.
        self._sink = Sink(_STANDARD_ERROR if sys.stderr is not None else os.open(os.devnull, os.O_WRONLY))
        self._lost = 0
        self._lock = threading.Lock()
        self._processors: list[Processor] | None = None

    def tell(self, level: int, event: str, fields: Fields) -> None:
        """Write a line; before it, if lines were dropped, one that says how many."""
        if level < self.level:
            return
        with self._lock:
            if self._lost and self._sink.write(self._line(_WARNING, "log.lost", {"lines": self._lost})):
                self._lost = 0
            self._lost += not self._sink.write(self._line(level, event, fields))

    def prepare(self) -> None:
        """Load what a line needs, for a process that may not be able to read it later."""
        if self._processors is None:
            self._processors = _processors(as_json=self.json)

    def _line(self, level: int, event: str, fields: Fields) -> str:
        self.prepare()
        assert self._processors is not None, "prepared"
        line: Any = {**fields, "event": event}
        for processor in self._processors:
            line = processor(None, _NAMES.get(level, "critical"), line)
        return str(line)


def _processors(*, as_json: bool) -> "list[Processor]":
    """What makes a line of an event, one after the other."""
    # rich would colour tracebacks, which this log does not have, and take 4 MB of each process.
    with hidden("rich"), parts_of("structlog"):
        from structlog import processors  # noqa: PLC0415

    renderer: Processor = (
        processors.JSONRenderer()
        if as_json
        else processors.LogfmtRenderer(key_order=("timestamp", "level", "event"), bool_as_flag=False)
    )
    return [processors.add_log_level, processors.TimeStamper(fmt="iso", utc=True), _presentable, renderer]


def _presentable(_logger: object, _method: str, event: "EventDict") -> "EventDict":
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def _hear_libraries() -> None:
    """Have the messages of libraries (asyncio) go the same way, from level warning on."""
    import logging  # noqa: PLC0415 - a quarter of a megabyte, and most processes never hear one

    class Library(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            exception = {"exception": logging.Formatter().formatException(record.exc_info)} if record.exc_info else {}
            _log.tell(record.levelno, record.getMessage(), exception)

    logging.basicConfig(level=logging.WARNING, handlers=[Library()], force=True)


def configure(level: str, style: str) -> None:
    """Set up the log of this process before its first line: `level` by name, `style` logfmt or json."""
    _log.level = _LEVELS[level]
    _log.json = style == "json"
    when_loaded("logging", _hear_libraries)


def prepare() -> None:
    """Load what the first line needs. After `configure`."""
    _log.prepare()


def printable(text: str) -> str:
    """Replace characters that are not printable by escapes: the result is one line and cannot control a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


_log = _Log()
