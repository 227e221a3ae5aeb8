"""Families to bytes: text format and OpenMetrics. The lines of series are the same in both.

Formats: Prometheus exposition_formats.md (text format 0.0.4) and the specification of OpenMetrics 1.0.0. A test
compares with what prometheus-client makes.
"""

import math
from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

from exporter.expose.metrics.catalogue import Metric
from exporter.expose.metrics.family import OPTIONAL, MetricFamily, Samples

Format = Literal["text", "openmetrics"]

_EOF = b"# EOF\n"
#: A number with more digits before the point is written with an exponent, as programs in Go write it.
_MOST_DIGITS = 6
_LEAST_EXPONENT = 10**_MOST_DIGITS


def render(families: Iterable[MetricFamily], style: Format) -> bytes:
    """Render families in the Prometheus text format, or OpenMetrics with its final `# EOF`."""
    return render_part(families, style) + (_EOF if style == "openmetrics" else b"")


def render_part(families: Iterable[MetricFamily], style: Format) -> bytes:
    """Render a part of an exposition, behind which others can be put."""
    return b"".join(getattr(render_both(one), style) for one in families)


class Heads(NamedTuple):
    """The lines before the samples of a family."""

    text: bytes
    openmetrics: bytes


@cache
def heads(metric: Metric) -> Heads:
    """The heads of a family of the catalogue."""
    text = _escape_help(metric.help)
    kind, name = ("gauge" if metric.kind == "info" else metric.kind), MetricFamily(metric, {}).name
    unit = f"# UNIT {name} {metric.unit}\n" if metric.unit else ""
    return Heads(
        f"# HELP {metric.name} {text}\n# TYPE {metric.name} {kind}\n".encode(),
        f"# HELP {name} {_escape(metric.help)}\n# TYPE {name} {metric.kind}\n{unit}".encode(),
    )


def lines(metric: Metric, series: Samples) -> bytes:
    """Render series of the catalogue. The lines are the same in both formats."""
    return lines_of(metric.name, labels(metric.labels, series), series.values())


def lines_of(name: str, labelled: Iterable[str], values: Iterable[float | None]) -> bytes:
    """The lines of series with these labels; without those that have no value. Raises OverflowError."""
    made = [
        # Most are such numbers, which take no call.
        f"{name}{text} {value}.0\n"
        if type(value) is int and 0 <= value < _LEAST_EXPONENT
        else f"{name}{text} {_number(value)}\n"
        for text, value in zip(labelled, values, strict=True)
        if value is not None
    ]
    return "".join(made).encode()


def labels(names: tuple[str, ...], series: Iterable[tuple[str, ...]]) -> list[str]:
    """The labels of series as their lines have them, sorted by name."""
    optional, templates = _templates(names)
    made: list[str] = []
    for values in series:
        left_out = tuple([at for at in optional if not values[at]]) if optional else ()
        template = templates.get(left_out)
        if template is None:
            template = templates[left_out] = _template(names, left_out)
        text = "".join(values)
        shown = values if not ("\\" in text or '"' in text or "\n" in text) else tuple(map(_escape, values))
        made.append(template.format(*shown))
    return made


@cache
def _templates(names: tuple[str, ...]) -> tuple[tuple[int, ...], dict[tuple[int, ...], str]]:
    """Which of these labels are left out where they are empty, and a template for each set of those left out."""
    return tuple(at for at, name in enumerate(names) if name in OPTIONAL), {}


def _template(names: tuple[str, ...], left_out: tuple[int, ...]) -> str:
    """The labels of a line, with a place for each value."""
    places = sorted((name, at) for at, name in enumerate(names) if at not in left_out)
    text = ",".join(f'{name}="{{{at}}}"' for name, at in places)
    return f"{{{{{text}}}}}" if text else ""


def _escape(value: str) -> str:
    return _escape_help(value).replace('"', r"\"")


def _escape_help(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n")


def _number(value: float) -> str:
    """A number as programs in Go write it."""
    value = float(value)
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    at = text.find(".")
    if at <= _MOST_DIGITS or value < 0:
        return text
    digits = (text[:at] + text[at + 1 :]).rstrip("0")
    return f"{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e+{at - 1:02}"


class KeptRendering:
    """Renders families again only where they have other series than the last time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Samples, Heads]] = {}

    def render(self, families: Iterable[MetricFamily]) -> Heads:
        """Render families of any type in both formats."""
        made = [self.both(one) for one in families]
        return Heads(b"".join(one.text for one in made), b"".join(one.openmetrics for one in made))

    def both(self, family: MetricFamily) -> Heads:
        """Render a family of any type in both formats."""
        known = self._known.get(family.name)
        if known is None or known[0] != family.series or [*known[0]] != [*family.series]:
            known = self._known[family.name] = family.series, render_both(family)
        return known[1]


def render_both(family: MetricFamily) -> Heads:
    """Render a family in both formats."""
    made, series = heads(family.metric), lines(family.metric, family.series)
    return Heads(made.text + series, made.openmetrics + series)
