"""Reads the objects of a root at one time from a Prometheus, by the exporter's own series."""

import math
from collections.abc import Iterator, Mapping

import click
import msgspec
from msgspec import Struct, field

from exporter.cli.commands.diff_ends import BUILD_CACHE, CONTAINER, IMAGE, LOG, NEEDS, PART, VOLUME, DiffEnd, Key
from exporter.cli.commands.remote import Remote, get
from exporter.core.log import printable
from exporter.core.shell import arguments
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.catalogue import Metric

_PATH = "/api/v1/query"
_SHOWN = 20
#: The series with the size of each kind of objects.
_SIZES = {
    PART: c.DIRECTORY_ALLOCATED,
    IMAGE: c.IMAGE_PROPORTIONAL_SIZE,
    CONTAINER: c.CONTAINER_WRITABLE_ALLOCATED,
    LOG: c.CONTAINER_LOG_SIZE,
    VOLUME: c.VOLUME_ALLOCATED,
    BUILD_CACHE: c.BUILD_RECORD_SIZE,
}
#: The series of all objects of a kind, with their names, whether their sizes are known or not.
_LISTS = {
    PART: c.DIRECTORY_ALLOCATED,
    IMAGE: c.IMAGE_INFO,
    CONTAINER: c.CONTAINER_INFO,
    LOG: c.CONTAINER_INFO,
    VOLUME: c.VOLUME_INFO,
    BUILD_CACHE: c.BUILD_RECORD_INFO,
}
#: The collector that may leave out series of a kind because there are too many.
_COLLECTORS = {
    PART: "directories",
    IMAGE: "images",
    CONTAINER: "containers",
    LOG: "containers",
    VOLUME: "volumes",
    BUILD_CACHE: "build_cache",
}
_STATE = (c.UP, c.ROOT_INFO, c.KNOWN, c.SERIES_DROPPED, c.INITIAL_TREES, c.INITIAL_TREES_DONE)
_IDS = {
    PART: ("root", "directory"),
    IMAGE: ("namespace", "image_id"),
    CONTAINER: ("namespace", "container_id"),
    LOG: ("namespace", "container_id"),
    VOLUME: ("volume",),
    BUILD_CACHE: ("namespace", "record_id"),
}


class _Sample(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    result: list[_Sample]


class _Answer(msgspec.Struct):
    status: str
    data: _Data


class PrometheusHost(Struct, frozen=True):
    """A Prometheus, and the labels that choose one host of it."""

    remote: Remote
    labels: Mapping[str, str] = field(default_factory=dict)

    def ends(self, seconds: float) -> tuple[DiffEnd, DiffEnd]:
        """The objects so many seconds ago, and now. Raises click.ClickException."""
        labels, now = self._host()
        return self._at(labels, now - seconds), self._at(labels, now)

    def _host(self) -> tuple[dict[str, str], float]:
        """All labels of the only host that is meant, and the time of the server."""
        found = self._ask(_selector([c.UP], self.labels), None)
        hosts = [{name: value for name, value in one.metric.items() if name != "__name__"} for one in found]
        if len(hosts) == 1:
            return hosts[0], found[0].value[0]
        chosen = " with " + ", ".join(f"{name}={value}" for name, value in self.labels.items()) if self.labels else ""
        if not hosts:
            raise click.ClickException(printable(f"{self.remote.what} has no figures of an exporter{chosen} now"))
        lines = [f"  {arguments(*_flags(one))}" for one in hosts[:_SHOWN]]
        lines += [f"  and {len(hosts) - _SHOWN} more"] if len(hosts) > _SHOWN else []
        listed = "\n".join(map(printable, lines))
        raise click.ClickException(f"it has several exporters{chosen}; choose one of them:\n{listed}")

    def _at(self, labels: Mapping[str, str], when: float) -> DiffEnd:
        metrics = {*_SIZES.values(), *_LISTS.values(), *_STATE}
        return _end(self._ask(_selector(metrics, labels), when), when)

    def _ask(self, query: str, when: float | None) -> list[_Sample]:
        asked = {"query": query} if when is None else {"query": query, "time": f"{when:.3f}"}
        answer = get(self.remote, _PATH, asked)
        try:
            found = msgspec.json.decode(answer.body, type=_Answer)
        except msgspec.MsgspecError as error:
            raise click.ClickException(printable(f"{answer.address} is no Prometheus: {error}")) from None
        return found.data.result


def _flags(labels: Mapping[str, str]) -> Iterator[str]:
    for name in ("instance", "job"):
        if name in labels:
            yield f"--{name}"
            yield labels[name]
    for name, value in labels.items():
        if name not in ("instance", "job"):
            yield "--label"
            yield f"{name}={value}"


def _selector(metrics: "set[Metric] | list[Metric]", labels: Mapping[str, str]) -> str:
    names = "|".join(sorted(one.name for one in metrics))
    matchers = [f'__name__=~"{names}"', *(f"{name}={_quoted(value)}" for name, value in labels.items())]
    return "{" + ",".join(matchers) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _end(samples: list[_Sample], when: float) -> DiffEnd:
    """The objects that samples of one host tell of."""
    by_name: dict[str, list[_Sample]] = {}
    for one in samples:
        by_name.setdefault(one.metric.get("__name__", ""), []).append(one)
    end = DiffEnd(when)
    end.root = next((one.metric.get("root", "") for one in by_name.get(c.ROOT_INFO.name, ())), "")
    for kind, metric in _LISTS.items():
        for one in by_name.get(metric.name, ()):
            end.add(kind, _identity(kind, one), _name(kind, one.metric), None)
    for kind, metric in _SIZES.items():
        for one in by_name.get(metric.name, ()):
            key = Key(kind, _identity(kind, one))
            end.add(*key, end.names.get(key) or _name(kind, one.metric), _number(one))
    end.unsure = set(_unsure(by_name))
    return end


def _unsure(by_name: Mapping[str, list[_Sample]]) -> Iterator[str]:
    """The kinds of which there may be more objects than there are series."""
    up = [_number(one) for one in by_name.get(c.UP.name, ())]
    trees, done = (
        sum(_number(one) or 0 for one in by_name.get(name.name, ())) for name in (c.INITIAL_TREES, c.INITIAL_TREES_DONE)
    )
    known = {one.metric.get("input", "") for one in by_name.get(c.KNOWN.name, ()) if _number(one) == 1}
    dropped = {one.metric.get("collector", "") for one in by_name.get(c.SERIES_DROPPED.name, ()) if _number(one) != 0}
    for kind, inputs in NEEDS.items():
        if up != [1] or done < trees or not known.issuperset(inputs) or _COLLECTORS[kind] in dropped:
            yield kind


def _identity(kind: str, one: _Sample) -> str:
    return " ".join(one.metric.get(label, "") for label in _IDS[kind])


def _name(kind: str, labels: Mapping[str, str]) -> str:
    if kind == PART:
        return "/".join(one for one in (labels.get("root", ""), labels.get("directory", "")) if one)
    if kind == IMAGE:
        return labels.get("image") or labels.get("image_id", "")[:12]
    if kind == BUILD_CACHE:
        return f"{labels.get('type', '')} {labels.get('record_id', '')}".strip()
    if kind == VOLUME:
        return labels.get("volume", "")
    if labels.get("pod"):
        return (
            f"{labels.get('pod_namespace', '')}/{labels['pod']}/{labels.get('pod_container') or labels.get('name', '')}"
        )
    return labels.get("name") or labels.get("container_id", "")[:12]


def _number(one: _Sample) -> float | None:
    try:
        number = float(one.value[1])
    except ValueError:
        return None
    return number if math.isfinite(number) else None
