"""The series of a fleet as blocks of Prometheus: what a real exporter serves, for many hosts, with a past."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.subject import subject
from benchmarks.tsdb import Chunk, Labels, chunk, write_block
from exporter.demo import build

_LINE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
#: Labels that name one object: such a series is made again with another name until a host has enough of them.
_OBJECT = {"container_id", "image_id", "volume", "record_id"}
_NAMED = (*_OBJECT, "name", "pod", "image", "tag", "source")
#: Filesystems beside the first: mounts of volumes.
_FILESYSTEMS = 3
#: Scrapes a minute apart, at one of so many offsets; 120 samples are a chunk, as Prometheus makes them.
STEP, SAMPLES, _OFFSETS = 60_000, 120, 4
SPAN = STEP * SAMPLES
#: How much of the past series of objects and all others have: the rules look back a week at the latter.
_PAST, _LONG_PAST = 4 * SPAN, 12 * 8 * SPAN
#: So long after now there are samples: measuring takes a while.
_FUTURE = SPAN


@dataclass(frozen=True, slots=True)
class Series:
    """A series of one host without the labels of the host, or of a rule with all labels."""

    labels: Labels
    value: float
    long: bool

    @property
    def name(self) -> str:
        """The name of the metric."""
        return dict(self.labels)["__name__"]


def templates(count: int) -> list[Series]:
    """So many series of one host: of the example host with containerd, with as many objects as it takes."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "root"
        build(root, "containerd")
        with subject(root, "--cache.file", "none") as running:
            running.ready()
            text = running.get().decode()
    found = [_series(*match) for match in _LINE.findall(text)]
    scraped = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added")
    found += [Series((("__name__", name),), 1.0, long=True) for name in scraped]
    disks = [one for one in found if one.name.startswith("docker_storage_filesystem_")]
    found += [_renamed(one, f"v{copy}", ("mountpoint", "device")) for copy in range(1, _FILESYSTEMS) for one in disks]
    objects = [one for one in found if not one.long]
    copy = 0
    while len(found) < count:
        copy += 1
        found += [_renamed(one, str(copy), _NAMED) for one in objects[: count - len(found)]]
    return found


def _series(name: str, labels: str, value: str) -> Series:
    pairs = {key: text for key, text in _LABEL.findall(labels) if text}
    made = tuple(sorted({"__name__": name, **pairs}.items()))
    return Series(made, float(value), long=not _OBJECT & pairs.keys())


def _renamed(one: Series, suffix: str, names: Sequence[str]) -> Series:
    changed = tuple((key, f"{value}{suffix}" if key in names else value) for key, value in one.labels)
    return Series(changed, one.value, one.long)


def hosts(number: int, job: str, label: str | None) -> list[dict[str, str]]:
    """The labels of each host."""
    made = []
    for index in range(number):
        one = {"instance": f"host-{index:05}.example:9588", "job": job}
        made.append(one | ({label: f"cluster-{index % 5}"} if label else {}))
    return made


class Fleet:
    """Writes the blocks of fleets; `now` is in seconds, and `label` one that hosts have beside job and instance."""

    def __init__(self, now: float, label: str | None) -> None:
        self.label = label
        self._chunks: dict[tuple[Labels, int, int], Chunk] = {}
        end = int(now * 1000 + _FUTURE) // SPAN
        self._spans = range(end - _LONG_PAST // SPAN, end + 1)

    def write(self, data: Path, own: Sequence[Series], labels: Sequence[dict[str, str]]) -> None:
        """Write the series of all hosts: a block of the last hours, and one of the week with those that need it."""
        ways = [(index % _OFFSETS, tuple(host.items())) for index, host in enumerate(labels)]
        found = [(tuple(sorted((*one.labels, *host))), one, offset) for one in own for offset, host in ways]
        found.sort(key=lambda one: one[0])
        symbols = {text for labels, _, _ in found for pair in labels for text in pair}
        past = [one for one in found if one[1].long]
        recent = -_PAST // SPAN
        for number, part, spans in ((1, past, self._spans[:recent]), (2, found, self._spans[recent:])):
            made = ((labels, self._course(one, offset, spans)) for labels, one, offset in part)
            write_block(data, number, made, symbols)

    def _course(self, one: Series, offset: int, spans: range) -> list[Chunk]:
        return [self._chunk(one, offset, span) for span in spans]

    def _chunk(self, one: Series, offset: int, span: int) -> Chunk:
        key = (one.labels, offset, span)
        if key not in self._chunks:
            start = span * SPAN + offset * STEP // _OFFSETS
            self._chunks[key] = chunk(start, STEP, _values(one, start, span - self._spans[0]))
        return self._chunks[key]


def _values(one: Series, start: int, spans: int) -> list[float]:
    """The course of a series: times and counters rise, free space falls with some noise, sizes change now and then."""
    steps = range(spans * SAMPLES, (spans + 1) * SAMPLES)
    if one.name.endswith("timestamp_seconds"):
        return [start / 1000 + 60 * index - 20 for index in range(SAMPLES)]
    if one.name.endswith("_total"):
        return [one.value + 0.25 * step for step in steps]
    if "free" in one.name or "avail" in one.name:
        return [float(int(one.value * (1 - 2e-5 * step + 1e-3 * (step * 7919 % 13)))) for step in steps]
    if one.name.endswith("_bytes") or ":" in one.name:
        return [one.value * (1 + 1e-4 * (step // 10)) for step in steps]
    return [one.value] * SAMPLES
