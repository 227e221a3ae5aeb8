"""Labels that the operator gives to all series of an exposition, to tell two of them apart in one place."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from exporter.core.text import label
from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.expose.metrics.family import Family, Sample

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


def with_labels(families: Iterable[Family], labels: Mapping[str, str]) -> Iterator[Family]:
    """Add labels to every sample. A sample that has a label of that name keeps its own."""
    for family in families:
        family.samples = [Sample(one.name, {**labels, **one.labels}, one.value) for one in family.samples]
        yield family
