"""Log lines are events with fields, on standard error.

Writing never blocks: where the reader does not keep up, lines are dropped, and the next line says how many.
structlog formats the lines. It is imported with the first one, because most commands write none.
"""

import contextlib
import logging
import os
import select
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor

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
        self._maker: FilteringBoundLogger | None = None

    def tell(self, level: int, event: str, fields: Fields) -> None:
        """Write a line; before it, if lines were dropped, one that says how many."""
        if level < self.level:
            return
        with self._lock:
            if self._lost and self._sink.write(self._line(logging.WARNING, "log.lost", {"lines": self._lost})):
                self._lost = 0
            self._lost += not self._sink.write(self._line(level, event, fields))

    def prepare(self) -> None:
        """Load what a line needs, for a process that may not be able to read it later."""
        if self._maker is None:
            self._maker = _maker(as_json=self.json)

    def _line(self, level: int, event: str, fields: Fields) -> str:
        self.prepare()
        assert self._maker is not None, "prepared"
        return str(self._maker.log(level, event, **fields))


def _maker(*, as_json: bool) -> "FilteringBoundLogger":
    """A logger that returns the formatted line."""
    # structlog imports rich where it is installed, for coloured tracebacks, which this log does not have. That would
    # take 4 MB of each process. A module that is None in sys.modules counts as not installed.
    unseen = "rich" not in sys.modules
    if unseen:
        sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog  # noqa: PLC0415

    if unseen:
        del sys.modules["rich"]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event"), bool_as_flag=False)
    )
    made: FilteringBoundLogger = structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _presentable,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
    )
    return made


def _presentable(_logger: object, _method: str, event: "EventDict") -> "EventDict":
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


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


def prepare() -> None:
    """Load what the first line needs. After `configure`."""
    _log.prepare()


def printable(text: str) -> str:
    """Replace characters that are not printable by escapes: the result is one line and cannot control a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


_log = _Log()
