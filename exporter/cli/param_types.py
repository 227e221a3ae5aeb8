"""Values of flags as people write them: sizes and shares."""

import re
from typing import Any

import click

from exporter.core.units import parse_size

_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)(%?)", re.ASCII)


class SizeType(click.ParamType):  # type: ignore[type-arg] # generic in stubs only
    """A number of bytes such as 20GB (powers of 1000), 20GiB (powers of 1024) or 20000000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes; raises click.BadParameter."""
        found = parse_size(value, 1024 if "i" in value.lower() else 1000) if isinstance(value, str) else value
        if not isinstance(found, int):
            self.fail(f"{value!r} is no size above zero, such as 500MB, 20GB or 20GiB", param, ctx)
        return found


class ShareType(click.ParamType):  # type: ignore[type-arg] # see above
    """A share between 0 and 1, written as 80% or 0.8."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share; raises click.BadParameter."""
        if isinstance(value, float):
            return value
        found = _SHARE.fullmatch(value)
        share = float(found[1]) / (100 if found[2] else 1) if found else -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share, such as 80% or 0.8", param, ctx)
        return share
