"""An error inside of the exporter, as it is counted for one object and logged. Workers import this: it is small."""

from typing import NamedTuple

_FRAMES = 20
_LONGEST_TRACEBACK = 8000


class Fault(NamedTuple):
    """What went wrong: `kind` is the exception and where it was raised, for people; `traceback` has the last frames.

    The exception's own text is in the traceback only: it may quote what is on the disk.
    """

    kind: str
    traceback: str


def fault_of(error: Exception) -> Fault:
    """Describe an exception. Never raises, also when there is hardly any memory or stack left."""
    name = type(error).__name__
    try:
        import traceback  # noqa: PLC0415 - only then: a worker would need a tenth longer to start

        last = traceback.extract_tb(error.__traceback__, limit=-1)
        where = f" at {last[0].filename.rpartition('/')[2]}:{last[0].lineno}" if last else ""
        text = "".join(traceback.format_exception(error, limit=-_FRAMES))
    except (MemoryError, RecursionError):
        return Fault(name, "")
    return Fault(name + where, text[-_LONGEST_TRACEBACK:])
