"""Builds metric families of the catalogue."""

from collections.abc import Iterable, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family

from exporter.core.text import label
from exporter.expose.metrics import catalogue as c

#: Labels that tell apart what most hosts have one of, or that most hosts have nothing to say of. An empty one is left
#: out of its series.
OPTIONAL = frozenset(("namespace", "root", "platforms", "pod", "pod_namespace", "pod_container"))
Samples = dict[tuple[str, ...], float]
#: Labels and value; a value of None is a series that is absent.
Sample = tuple[Sequence[str], float | None]


def family(metric: c.Metric, samples: Iterable[Sample]) -> Family:
    """Build one family; a sample without a value is absent. Label values are made presentable here.

    An empty label of `OPTIONAL` is left out. Should two series still have the same labels, the last stands: a scrape
    must never be invalid.
    """
    return built(metric, _series(samples))


def single(metric: c.Metric, value: float | None) -> Family:
    """Build a family of one series without labels."""
    return family(metric, [((), value)])


def _series(samples: Iterable[Sample]) -> Samples:
    """The series of samples. Raises OverflowError for a number that is too large to be served."""
    return {tuple(map(label, values)): float(value) for values, value in samples if value is not None}


def built(metric: c.Metric, series: Samples) -> Family:
    """Build a family of series with presentable labels; an empty label of `OPTIONAL` is left out."""
    made = empty(metric)
    whole = OPTIONAL.isdisjoint(metric.labels)
    for values, value in series.items():
        labels = dict(zip(metric.labels, values, strict=True))
        if not whole:
            labels = {name: text for name, text in labels.items() if text or name not in OPTIONAL}
        made.add_sample(metric.name, labels, value)
    return made


def empty(metric: c.Metric) -> Family:
    """A family without series."""
    if metric.kind == "info":
        return InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, unit=metric.unit)
    return GaugeMetricFamily(metric.name, metric.help, unit=metric.unit)
