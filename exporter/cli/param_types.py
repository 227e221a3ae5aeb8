"""Values of flags as people write them: sizes and shares. Each raises click.BadParameter for what is none."""

import re

import click

from exporter.core.units import parse_size

_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)(%?)", re.ASCII)


def size_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """The bytes of a size such as 20GB (powers of 1000), 20GiB (powers of 1024) or 20000000000."""
    if value is None:
        return None
    found = parse_size(value, 1024 if "i" in value.lower() else 1000)
    if found is None:
        raise click.BadParameter(f"{value!r} is no size above zero, such as 500MB, 20GB or 20GiB")
    return found


def share_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """A share between 0 and 1, which is written as 80% or 0.8."""
    if value is None:
        return None
    found = _SHARE.fullmatch(value)
    share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(f"{value!r} is no share, such as 80% or 0.8")
    return share
