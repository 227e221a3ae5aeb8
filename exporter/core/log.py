"""Log lines are events with fields, on standard error.

A log that nobody reads holds nobody up: lines that there is no room for are lost, and the next one says how many.
structlog makes the lines, and is loaded with the first of them: most commands write none.
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
        self._maker: FilteringBoundLogger | None = None

    def tell(self, level: int, event: str, fields: Fields) -> None:
        """Write a line, behind one that tells how many were lost."""
        if level < self.level:
            return
        with self._lock:
            if self._lost and self._sink.write(self._line(logging.WARNING, "log.lost", {"lines": self._lost})):
                self._lost = 0
            self._lost += not self._sink.write(self._line(level, event, fields))

    def _line(self, level: int, event: str, fields: Fields) -> str:
        if self._maker is None:
            self._maker = _maker(as_json=self.json)
        return str(self._maker.log(level, event, **fields))


def _maker(*, as_json: bool) -> "FilteringBoundLogger":
    """What returns an event as a line."""
    # structlog imports rich wherever it is installed, for coloured tracebacks that no log of this program has: that
    # would cost each process 4 MB. A module that is None is one that is not there.
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

    Of libraries it takes warnings and what is worse.
    """
    _log.level = logging.getLevelNamesMapping()[level.upper()]
    _log.json = style == "json"
    logging.basicConfig(level=logging.WARNING, handlers=[_Library()], force=True)


def printable(text: str) -> str:
    """Make a text of one line that moves no cursor: what is not printable is shown as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


_log = _Log()
