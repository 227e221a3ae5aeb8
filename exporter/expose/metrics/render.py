"""Families to bytes: text format and OpenMetrics. The samples of gauges and info families are the same in both."""

from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

from prometheus_client import exposition
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector as FamilySource

from exporter.expose.metrics.catalogue import Metric
from exporter.expose.metrics.family import empty

Format = Literal["text", "openmetrics"]

_EOF = b"# EOF\n"
_HEAD_LINES = 2


class _Source(FamilySource):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def render(families: Iterable[Family], style: Format) -> bytes:
    """Render families in the Prometheus text format, or OpenMetrics with its final `# EOF`."""
    generate = openmetrics_exposition.generate_latest if style == "openmetrics" else exposition.generate_latest
    rendered: bytes = generate(_Source(families))
    return rendered


def render_part(families: Iterable[Family], style: Format) -> bytes:
    """Render a part of an exposition, behind which others can be put."""
    return render(families, style).removesuffix(_EOF)


class Heads(NamedTuple):
    """The lines before the samples of a family."""

    text: bytes
    openmetrics: bytes


@cache
def heads(metric: Metric) -> Heads:
    """The heads of a gauge or info family of the catalogue."""
    return _heads(empty(metric))


def _heads(family: Family) -> Heads:
    head = Family(family.name, family.documentation, family.type, family.unit)
    lines = render_part([family], "text").split(b"\n", _HEAD_LINES)[:_HEAD_LINES]
    return Heads(b"".join(line + b"\n" for line in lines), render_part([head], "openmetrics"))


def samples(family: Family) -> bytes:
    """Render the samples of a gauge or info family, which are the same in both formats."""
    return render_part([family], "text").split(b"\n", _HEAD_LINES)[_HEAD_LINES]


def render_both(family: Family) -> Heads:
    """Render a gauge or info family in both formats."""
    made, lines = _heads(family), samples(family)
    return Heads(made.text + lines, made.openmetrics + lines)
