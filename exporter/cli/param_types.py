"""Values of flags as people write them: sizes, shares, durations, levels."""

import math
import re
from typing import Any

import click

from exporter.core.units import parse_size
from exporter.core.wanted import ListName

_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)%", re.ASCII)
#: As Prometheus writes durations; each unit once, the largest first, and a fraction as Go allows it.
_DURATION = re.compile(
    "".join(rf"(?:(\d+(?:\.\d+)?){unit})?" for unit in ("w", "d", "h", "m(?!s)", "s", "ms")), re.ASCII
)
#: What begins with these is served already.
_TAKEN = ("/-/", "/api/", "/status", "/runbooks")
_PAGES = ("/", *(f"/{name}" for name in ListName))
_SECONDS = (7 * 86400, 86400, 3600, 60, 1, 0.001)


class SizeType(click.ParamType):  # type: ignore[type-arg] # generic in stubs only
    """A number of bytes such as 20GB (powers of 1000), 20GiB (powers of 1024) or 20000000000."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes; raises click.BadParameter."""
        found = parse_size(value, 1024 if "i" in value.lower() else 1000) if isinstance(value, str) else value
        if not isinstance(found, int):
            self.fail(f"{value!r} is no size above zero, such as 500MB, 20GB or 20GiB", param, ctx)
        return found


class ShareType(click.FloatRange):
    """A share, written as 80% or 0.8."""

    name = "share"

    def __init__(self, min: float = 0, max: float = 1) -> None:  # noqa: A002 - click's names
        super().__init__(min=min, max=max)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the share; raises click.BadParameter."""
        percent = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
        share = float(percent[1]) / 100 if percent else _number(value)
        if share is None:
            self.fail(f"{value!r} is no share, such as 80% or 0.8", param, ctx)
        return float(super().convert(share, param, ctx))


class DurationType(click.FloatRange):
    """A time in seconds, or with units as Prometheus and Go write them: 90, 90s, 1m30s, 1.5m, 500ms."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds; raises click.BadParameter."""
        found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is not None and any(found.groups()):
            parts = zip(found.groups(), _SECONDS, strict=True)
            seconds: float | None = round(sum(float(number) * unit for number, unit in parts if number), 6)
        else:
            seconds = _number(value)
        if seconds is None:
            self.fail(f"{value!r} is no duration, such as 90, 90s or 1m30s", param, ctx)
        return float(super().convert(seconds, param, ctx))


def _number(value: Any) -> float | None:
    """The value as a finite number; None for all else."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class LevelType(click.Choice):  # type: ignore[type-arg] # generic in stubs only
    """A level of log lines; `warn`, as other exporters call it, is `warning`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the level; raises click.BadParameter."""
        return super().convert("warning" if value == "warn" else value, param, ctx)


class OwnPathType(click.ParamType):  # type: ignore[type-arg] # see above
    """A path of the server at which nothing else is served."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path; raises click.BadParameter."""
        path = str(value)
        if not path.startswith("/") or "?" in path or "#" in path or path.startswith(_TAKEN) or path in _PAGES:
            self.fail(f"{path!r} is no path of its own, such as /metrics", param, ctx)
        return path


class RegexType(click.ParamType):  # type: ignore[type-arg] # see above
    """A regular expression of Python."""

    name = "regex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the expression; raises click.BadParameter."""
        try:
            re.compile(value)
        except re.error as error:
            self.fail(f"{value!r} is no regular expression: {error}", param, ctx)
        return str(value)
