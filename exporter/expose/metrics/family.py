"""Metric families of the catalogue: what a scrape has of one metric."""

from collections.abc import Iterable, Sequence

from exporter.core.lean_import import parts_of
from exporter.core.text import label
from exporter.expose.metrics import catalogue as c

#: Labels that tell apart what most hosts have one of, or that most hosts have nothing to say of. An empty one is left
#: out of its series.
OPTIONAL = frozenset(("namespace", "root", "platforms", "pod", "pod_namespace", "pod_container"))
Samples = dict[tuple[str, ...], float]
#: Labels and value; a value of None is a series that is absent.
Sample = tuple[Sequence[str], float | None]
_SUFFIXES = {"info": "_info", "counter": "_total"}

with parts_of("prometheus_client"):
    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample as ClientSample


class MetricFamily(Metric):
    """A family of the catalogue with its series, whose label values are presentable."""

    def __init__(self, metric: c.Metric, series: Samples) -> None:
        self.metric = metric
        self.series = series
        super().__init__(
            metric.name.removesuffix(_SUFFIXES.get(metric.kind, "")), metric.help, metric.kind, metric.unit
        )

    @property
    def samples(self) -> list[ClientSample]:
        """The series, without empty labels of `OPTIONAL`."""
        return [ClientSample(self.metric.name, self._labels(values), value) for values, value in self.series.items()]

    @samples.setter
    def samples(self, _none: list[ClientSample]) -> None:
        """Metric begins with an empty list. The samples are made of the series when somebody asks for them."""

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
