"""Formats sizes and lengths of time for people, and reads sizes as Docker does."""

import re

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP = 1000
#: A number that says more is a stranger's (`--from`), and may be too large for a float.
_MOST = 10**30
#: The first number of bytes that is none to Docker: it has them in an int64.
_BEYOND = 2.0**63
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgtp]?)i?b?", re.ASCII | re.IGNORECASE)


def human(size: float) -> str:
    """Format bytes as Docker does: powers of 1000 and four digits (go-units HumanSize)."""
    size = min(size, _MOST) if size > 0 else max(size, -_MOST)
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.4g} {_UNITS[unit]}"


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
