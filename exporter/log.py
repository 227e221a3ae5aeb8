"""Log lines are events with fields, on standard error."""

import logging
import sys

# structlog imports rich wherever it is installed, for coloured tracebacks that no log of this program has: that
# would cost each process 4 MB. A module that is None is one that is not there.
_unseen = "rich" not in sys.modules
if _unseen:
    sys.modules["rich"] = None  # type: ignore[assignment]

import structlog  # noqa: E402

if _unseen:
    del sys.modules["rich"]


def configure(level: str, style: str) -> None:
    """Set up structlog for this process: `level` by name, `style` logfmt or json.

    Messages of libraries (uvicorn, asyncio) go the same way, from warnings up.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.processors.LogfmtRenderer(key_order=("timestamp", "level", "event"), bool_as_flag=False)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _presentable,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=[_drop_meta, renderer], foreign_pre_chain=shared)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _drop_meta(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return structlog.stdlib.ProcessorFormatter.remove_processors_meta(None, "", event)


def _presentable(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {
        key: printable(value) if isinstance(value, str) and key != "exception" else value
        for key, value in event.items()
    }


def printable(text: str) -> str:
    """Escape what a name from the disk may hold and no terminal should get: control characters, non-UTF-8."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
