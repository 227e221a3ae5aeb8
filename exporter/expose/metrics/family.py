"""Builds metric families of the catalogue."""

from collections.abc import Iterable, Sequence
from functools import cache, cached_property

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample as ClientSample

from exporter.core.text import label
from exporter.expose.metrics import catalogue as c

#: Labels that tell apart what most hosts have one of, or that most hosts have nothing to say of. An empty one is left
#: out of its series.
OPTIONAL = frozenset(("namespace", "root", "platforms", "pod", "pod_namespace", "pod_container"))
Samples = dict[tuple[str, ...], float]
#: Labels and value; a value of None is a series that is absent.
Sample = tuple[Sequence[str], float | None]


class MetricFamily(Family):
    """A family of the catalogue with its series. Its samples are made of these only when they are asked for."""

    def __init__(self, metric: c.Metric, series: Samples) -> None:
        """The label values of `series` are presentable."""
        model = _model(metric)
        self.name, self.documentation, self.unit, self.type = model.name, model.documentation, model.unit, model.type
        self.metric = metric
        self.series = series

    @cached_property
    def samples(self) -> list[ClientSample]:  # type: ignore[override] # that of a family is no property
        """The samples, without empty labels of `OPTIONAL`."""
        return [ClientSample(self.metric.name, self._labels(values), value) for values, value in self.series.items()]

    def _labels(self, values: tuple[str, ...]) -> dict[str, str]:
        pairs = zip(self.metric.labels, values, strict=True)
        return {name: text for name, text in pairs if text or name not in OPTIONAL}


def family(metric: c.Metric, samples: Iterable[Sample]) -> MetricFamily:
    """Build one family; a sample without a value is absent. Label values are made presentable here.

    An empty label of `OPTIONAL` is left out. Should two series still have the same labels, the last stands: a scrape
    must never be invalid. Raises OverflowError for a number that is too large to be served.
    """
    series = {tuple(map(label, values)): float(value) for values, value in samples if value is not None}
    if any(len(values) != len(metric.labels) for values in series):
        raise ValueError(f"{metric.name} has other labels")
    return MetricFamily(metric, series)


def single(metric: c.Metric, value: float | None) -> MetricFamily:
    """Build a family of one series without labels."""
    return family(metric, [((), value)])


def empty(metric: c.Metric) -> Family:
    """A family without series."""
    if metric.kind == "info":
        return InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, unit=metric.unit)
    return GaugeMetricFamily(metric.name, metric.help, unit=metric.unit)


@cache
def _model(metric: c.Metric) -> Family:
    """The family without series that all of this metric are like."""
    return empty(metric)
