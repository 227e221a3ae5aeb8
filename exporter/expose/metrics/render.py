"""Families to bytes: text format and OpenMetrics. The samples of gauges and info families are the same in both.

Formats: Prometheus exposition_formats.md (text format 0.0.4) and the specification of OpenMetrics 1.0.0.
"""

import math
from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

from exporter.expose.metrics.catalogue import Metric
from exporter.expose.metrics.family import Family, Sample, empty

Format = Literal["text", "openmetrics"]

_EOF = b"# EOF\n"
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_ESCAPES_OF_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
#: A number with more digits before the point is written with an exponent, as programs in Go write it.
_MOST_DIGITS = 6


def render(families: Iterable[Family], style: Format) -> bytes:
    """Render families in the Prometheus text format, or OpenMetrics with its final `# EOF`."""
    return render_part(families, style) + (_EOF if style == "openmetrics" else b"")


def render_part(families: Iterable[Family], style: Format) -> bytes:
    """Render a part of an exposition, behind which others can be put."""
    return b"".join(_head(one, style) + samples(one) for one in families)


def samples(family: Family) -> bytes:
    """Render the samples of a family, which are the same in both formats."""
    return "".join(map(_line, family.samples)).encode()


def _line(sample: Sample) -> str:
    labels = ""
    if sample.labels:
        pairs = (f'{name}="{text.translate(_ESCAPES)}"' for name, text in sorted(sample.labels.items()))
        labels = f"{{{','.join(pairs)}}}"
    return f"{sample.name}{labels} {_number(sample.value)}\n"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    whole, point, fraction = text.partition(".")
    if value < 0 or not point or len(whole) <= _MOST_DIGITS:
        return text
    digits = (whole + fraction).rstrip("0")
    mantissa = f"{digits[0]}.{digits[1:]}" if digits[1:] else digits[0]
    return f"{mantissa}e+{len(whole) - 1:02}"


def _head(family: Family, style: Format) -> bytes:
    openmetrics = style == "openmetrics"
    name, kind = (family.name, family.type) if openmetrics else (family.whole_name, family.type)
    if kind == "info" and not openmetrics:
        kind = "gauge"
    help_text = family.documentation.translate(_ESCAPES if openmetrics else _ESCAPES_OF_HELP)
    unit = f"# UNIT {name} {family.unit}\n" if openmetrics and family.unit else ""
    return f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n{unit}".encode()


class Heads(NamedTuple):
    """The lines before the samples of a family."""

    text: bytes
    openmetrics: bytes


@cache
def heads(metric: Metric) -> Heads:
    """The heads of a family of the catalogue."""
    made = empty(metric)
    return Heads(_head(made, "text"), _head(made, "openmetrics"))


class KeptRendering:
    """Renders families again only where they have other samples than the last time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[list[Sample], Heads]] = {}

    def render(self, families: Iterable[Family]) -> Heads:
        """Render families of any type in both formats."""
        made = [self._both(one) for one in families]
        return Heads(b"".join(one.text for one in made), b"".join(one.openmetrics for one in made))

    def _both(self, family: Family) -> Heads:
        known = self._known.get(family.name)
        if known is None or known[0] != family.samples:
            both = Heads(render_part([family], "text"), render_part([family], "openmetrics"))
            known = self._known[family.name] = family.samples, both
        return known[1]


def render_both(family: Family) -> Heads:
    """Render a gauge or info family in both formats."""
    lines = samples(family)
    return Heads(_head(family, "text") + lines, _head(family, "openmetrics") + lines)
