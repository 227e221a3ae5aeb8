"""Families to bytes: text format and OpenMetrics. The samples of gauges and info families are the same in both."""

from collections.abc import Iterable
from functools import cache
from typing import Literal, NamedTuple

from prometheus_client import exposition
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector as FamilySource
from prometheus_client.samples import Sample

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
    made = empty(metric)
    return _heads(made.name, made.documentation, made.type, made.unit)


@cache
def _heads(name: str, documentation: str, kind: str, unit: str) -> Heads:
    """There are as many as there are families in the catalogue."""
    head = Family(name, documentation, kind, unit)
    return Heads(render_part([head], "text"), render_part([head], "openmetrics"))


def samples(family: Family) -> bytes:
    """Render the samples of a gauge or info family, which are the same in both formats."""
    return render_part([family], "text").split(b"\n", _HEAD_LINES)[_HEAD_LINES]


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
    made, lines = _heads(family.name, family.documentation, family.type, family.unit), samples(family)
    return Heads(made.text + lines, made.openmetrics + lines)
