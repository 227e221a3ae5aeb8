"""Metric families: what a scrape has of one metric."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from exporter.core.text import label
from exporter.expose.metrics import catalogue as c

#: Labels that tell apart what most hosts have one of, or that most hosts have nothing to say of. An empty one is left
#: out of its series.
OPTIONAL = frozenset(("namespace", "root", "platforms", "pod", "pod_namespace", "pod_container"))
Series = dict[tuple[str, ...], float]
_SUFFIXES = {"info": "_info", "counter": "_total"}


class Sample(NamedTuple):
    """One series and its value."""

    name: str
    labels: Mapping[str, str]
    value: float


class Family:
    """A metric and its samples. `name` is without the suffix that the samples of counters and info families have."""

    __slots__ = ("documentation", "name", "samples", "type", "unit")

    def __init__(self, name: str, documentation: str, kind: str, unit: str = "") -> None:
        self.name = name
        self.documentation = documentation
        self.type = kind
        self.unit = unit
        self.samples: list[Sample] = []

    @property
    def whole_name(self) -> str:
        """The name with its suffix."""
        return self.name + _SUFFIXES.get(self.type, "")


def family(metric: c.Metric, samples: Iterable[tuple[Sequence[str], float | None]]) -> Family:
    """Build one family of labels and values; a sample without a value is absent. Labels are made presentable here.

    An empty label of `OPTIONAL` is left out. Should two series still have the same labels, the last stands: a scrape
    must never be invalid. Raises OverflowError for a number that is too large to be served.
    """
    return built(metric, {tuple(map(label, values)): float(value) for values, value in samples if value is not None})


def single(metric: c.Metric, value: float | None) -> Family:
    """Build a family of one series without labels."""
    return family(metric, [((), value)])


def built(metric: c.Metric, series: Series) -> Family:
    """Build a family of series with presentable labels; an empty label of `OPTIONAL` is left out."""
    made = empty(metric)
    whole = OPTIONAL.isdisjoint(metric.labels)
    for values, value in series.items():
        labels = dict(zip(metric.labels, values, strict=True))
        if not whole:
            labels = {name: text for name, text in labels.items() if text or name not in OPTIONAL}
        made.samples.append(Sample(metric.name, labels, value))
    return made


def empty(metric: c.Metric) -> Family:
    """A family without series."""
    return Family(metric.name.removesuffix(_SUFFIXES.get(metric.kind, "")), metric.help, metric.kind, metric.unit)
