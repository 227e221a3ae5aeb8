"""Builds metric families: one, or all of one kind of object, a column for each family."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family

from exporter.config.limits import Limited
from exporter.core.barrier import Barrier
from exporter.core.states import Collector
from exporter.core.text import label
from exporter.expose.metrics import catalogue as c

#: Labels that tell apart what most hosts have one of, or that most hosts have nothing to say of. An empty one is left
#: out of its series.
OPTIONAL = frozenset(("namespace", "root", "platforms", "pod", "pod_namespace", "pod_container"))
Samples = dict[tuple[str, ...], float]
#: Labels and value; a value of None is a series that is absent.
Sample = tuple[Sequence[str], float | None]
T = TypeVar("T")
V = TypeVar("V")


def family(metric: c.Metric, samples: Iterable[Sample]) -> Family:
    """Build one family; a sample without a value is absent. Label values are made presentable here.

    An empty label of `OPTIONAL` is left out. Should two series still have the same labels, the last stands: a scrape
    must never be invalid.
    """
    return _built(metric, _series(samples))


def single(metric: c.Metric, value: float | None) -> Family:
    """Build a family of one series without labels."""
    return family(metric, [((), value)])


def _series(samples: Iterable[Sample]) -> Samples:
    """The series of samples. Raises OverflowError for a number that is too large to be served."""
    return {tuple(map(label, values)): float(value) for values, value in samples if value is not None}


def _built(metric: c.Metric, series: Samples) -> Family:
    built = _empty(metric)
    whole = OPTIONAL.isdisjoint(metric.labels)
    for values, value in series.items():
        labels = dict(zip(metric.labels, values, strict=True))
        if not whole:
            labels = {name: text for name, text in labels.items() if text or name not in OPTIONAL}
        built.add_sample(metric.name, labels, value)
    return built


def _empty(metric: c.Metric) -> Family:
    """A family without series."""
    if metric.kind == "info":
        return InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
    if metric.kind == "counter":
        return CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, unit=metric.unit)
    return GaugeMetricFamily(metric.name, metric.help, unit=metric.unit)


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One family of a kind of object: its metric, and the samples of one object.

    `many`: an object may have any number of them. It gives these up first where there are too many series.
    """

    metric: c.Metric
    samples: Callable[[T], Iterable[Sample]]
    many: bool = False

    def count(self, one: T) -> int:
        """How many series one object has."""
        return sum(value is not None for _, value in self.samples(one))


@dataclass(frozen=True, slots=True)
class ObjectFamilies(Generic[T]):
    """All families of one kind of object. An object of which a family cannot be made is counted, and hides no other."""

    collector: Collector
    columns: Sequence[Column[T]]
    barrier: Barrier

    def families(
        self, limited: Limited, limit: str, objects: Sequence[T], size: Callable[[T], int]
    ) -> Iterator[Family]:
        """Make the families of the objects that the limit on series leaves: the largest, by `size` in bytes."""
        sized = partial(self._attempt, "size", size, instead=0)
        singles, manys = partial(self._count, many=False), partial(self._count, many=True)
        if limited.spares(limit, len(objects) * len(list(self._of(many=False))) + sum(map(manys, objects))):
            kept = [(one, True) for one in objects]
        else:
            kept = limited.keep(limit, objects, sized, singles, manys)
        for column in self.columns:
            wanted = [one for one, whole in kept if whole or not column.many]
            yield _built(column.metric, self._series(column, wanted))

    def _series(self, column: Column[T], objects: Sequence[T]) -> Samples:
        """The series of all objects. Where that fails, it is done once more, one object after the other."""
        try:
            return _series(sample for one in objects for sample in column.samples(one))
        except Exception:  # noqa: BLE001 - what nobody has foreseen
            series: Samples = {}
            for one in objects:
                series.update(self._series_of(column, one))
            return series

    def _series_of(self, column: Column[T], one: T) -> Samples:
        return self._attempt(column.metric.name, lambda it: _series(column.samples(it)), one, instead={})

    def _count(self, one: T, *, many: bool) -> int:
        """How many series one object has in the families that have one or `many` of each."""
        return sum(self._attempt(column.metric.name, column.count, one, instead=0) for column in self._of(many))

    def _of(self, many: bool) -> Iterator[Column[T]]:
        return (column for column in self.columns if column.many is many)

    def _attempt(self, what: str, work: Callable[[T], V], one: T, *, instead: V) -> V:
        return self.barrier.attempt_with(self.collector, what, one, work, instead)
