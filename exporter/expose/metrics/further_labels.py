"""Labels that the operator gives to all series of an exposition, to tell two of them apart in one place."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from exporter.core.text import label
from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.expose.metrics.family import OPTIONAL, MetricFamily

#: Prometheus keeps names that begin with two underscores for itself; `le` and `quantile` are parts of a value.
_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_RESERVED = frozenset(("le", "quantile"))
#: `root_info` alone has it, with the path of the root, and keeps its own.
_SHARED = frozenset(("root",))


def parse_labels(settings: Sequence[str]) -> dict[str, str]:
    """Read `NAME=VALUE` settings; raises ValueError with the reason."""
    taken = {name for metric in CATALOGUE for name in metric.labels} - _SHARED
    labels: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not value:
            raise ValueError(f"{setting!r} is not NAME=VALUE")
        if _NAME.fullmatch(name) is None or name in _RESERVED:
            raise ValueError(f"{name!r} cannot be the name of a label")
        if name in taken:
            raise ValueError(f"{name!r} is a label of the exporter's own")
        if name in labels:
            raise ValueError(f"{name!r} is given twice")
        labels[name] = label(value)
    return labels


def with_labels(families: Iterable[MetricFamily], labels: Mapping[str, str]) -> Iterator[MetricFamily]:
    """Add labels to every series. A series that has a label of that name keeps its own."""
    for family in families:
        own = family.metric.labels
        added = {name: value for name, value in labels.items() if name not in own}
        instead = [labels.get(name, "") if name in OPTIONAL else "" for name in own]
        series = {
            (*(text or other for text, other in zip(values, instead, strict=True)), *added.values()): value
            for values, value in family.series.items()
        }
        yield MetricFamily(replace(family.metric, labels=(*own, *added)), series)
