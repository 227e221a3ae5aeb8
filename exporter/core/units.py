"""Formats sizes and lengths of time for people, and reads sizes as Docker does."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000
_BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_BINARY_STEP = 1024
#: A number that says more is a stranger's (`--from`), and may be too large for a float.
_MOST = 10**30
#: The first number of bytes that is none to Docker: it has them in an int64.
_BEYOND = 2.0**63
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)


class Units(StrEnum):
    """How sizes are written: in powers of 1000 as Docker does, in powers of 1024, or in bytes."""

    SI = "si"
    IEC = "iec"
    BYTES = "bytes"


#: The units that a terminal command was asked for. The pages and the log have Docker's.
_WANTED: ContextVar[Units] = ContextVar("units", default=Units.SI)


@contextmanager
def written_in(units: Units) -> Iterator[None]:
    """Have `human` write sizes in these units."""
    token = _WANTED.set(units)
    try:
        yield
    finally:
        _WANTED.reset(token)


def in_bytes() -> bool:
    """Whether sizes are wanted in bytes."""
    return _WANTED.get() is Units.BYTES


def human(size: float) -> str:
    """Format bytes as Docker does: powers of 1000 and four digits (go-units HumanSize), unless `written_in` others."""
    size = min(size, _MOST) if size > 0 else max(size, -_MOST)
    wanted = _WANTED.get()
    if wanted is Units.BYTES:
        return f"{round(size)} B"
    step, units = (_BINARY_STEP, _BINARY_UNITS) if wanted is Units.IEC else (_STEP, _UNITS)
    unit = 0
    while size >= step and unit < len(units) - 1:
        size /= step
        unit += 1
    return f"{size:.4g} {units[unit]}"


def age(seconds: float) -> str:
    """Format a duration in the largest unit that gives a value of at least two."""
    whole = max(0, int(seconds))
    for unit, length in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * length:
            return f"{whole // length} {unit}"
    return f"{whole} s"


def parse_size(size: str, unit: int = 1000) -> int | None:
    """A size as Docker reads it: in powers of 1000 (units.FromHumanSize), or of 1024 (units.RAMInBytes).

    None for no or a malformed limit, and for one that does not fit into 64 bits: Docker refuses to start a container
    with such a one, or takes it for a negative number.
    """
    found = _SIZE.fullmatch(size)
    if found is None:
        return None
    bytes_ = float(found[1]) * unit ** " kmgtp".index(found[2].lower() or " ")
    return int(bytes_) or None if bytes_ < _BEYOND else None
