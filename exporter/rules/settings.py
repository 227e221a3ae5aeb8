"""The settings of one rules file: whose series it reads, how it bridges gaps, and the speed of its alerts."""

import re

from msgspec import Struct
from msgspec.structs import force_setattr

from exporter.expose.metrics import catalogue
from exporter.rules.thresholds import Thresholds

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
#: Labels that the series of the exporter have, or that Prometheus and the rules add. `once --label` gives a `root`.
_TAKEN = frozenset(
    label for one in vars(catalogue).values() if isinstance(one, catalogue.Metric) for label in one.labels
).difference(("root",)) | {"job", "instance", "alertname", "alertstate", "severity", "resource", "pool"}
_RUNBOOK = re.compile(r"https?://\S+")
_MOST_LABELS = 4
_NAME = "NAME"
_DEFAULTS = Thresholds()


class Settings(Struct, frozen=True):
    """The settings of one rules file. Times are seconds; raises ValueError for what cannot be a setting.

    `runbooks` is the address of the pages, or "" where there are none. `labels` tell fleets apart that have the same
    `job` and `instance`, or roots of one host; `up` need not have them. `bridge` is the length of a gap in the samples
    that changes nothing. `textfile` is how often `once` writes for node_exporter; 0 where the exporter itself is
    scraped. `speed` divides all durations, to try the alerts out: no range becomes shorter than `shortest` seconds
    then, because it must contain some scrapes.
    """

    job: str = "docker-storage"
    thresholds: Thresholds = _DEFAULTS
    runbooks: str = ""
    speed: float = 1.0
    shortest: float = 60.0
    labels: tuple[str, ...] = ()
    bridge: float = 600.0
    textfile: float = 0.0

    def __post_init__(self) -> None:
        """Escape the job's name, which stands in quotes, and check the others."""
        escaped = self.job.replace("\\", "\\\\").replace('"', '\\"')
        force_setattr(self, "job", escaped)
        if self.runbooks and not _RUNBOOK.match(self.runbooks):
            raise ValueError(f"{self.runbooks!r}: the address of the runbooks does not begin with https:// or http://")
        for one in self.labels:
            if not _LABEL.fullmatch(one) or one.startswith("__"):
                raise ValueError(f"{one!r} is no name of a label")
            if one in _TAKEN:
                raise ValueError(f"the label {one!r} has a meaning of its own in these rules")
        for name, value, least, most in (("bridge", self.bridge, 180, 3600), ("textfile", self.textfile, 60, 86400)):
            if value and not least <= value <= most:
                raise ValueError(f"{name}: {duration(value)} is not between {duration(least)} and {duration(most)}")
        if len({*self.labels}) < len(self.labels):
            raise ValueError("a label is named twice")
        if len(self.labels) > _MOST_LABELS:
            raise ValueError(f"more than {_MOST_LABELS} labels: each of them doubles some of the rules")

    @property
    def host(self) -> str:
        """The labels that tell hosts apart, for `by` and `on`."""
        return ", ".join((*self.labels, "job", "instance"))

    @property
    def moments(self) -> float:
        """The seconds of some scrapes one after the other: what none of them has seen is not just lost."""
        return max(0.3 * self.bridge, 1.5 * self.textfile)

    def runbook(self, alert: str) -> str:
        """The address of an alert's page; "" where no runbooks are served. NAME in the address stands for the alert."""
        if _NAME in self.runbooks:
            return self.runbooks.replace(_NAME, alert)
        return f"{self.runbooks.rstrip('/')}/{alert}" if self.runbooks else ""

    def lasting(self, seconds: float) -> str:
        """How long a condition must hold, at this speed, as Prometheus writes it."""
        return duration(max(0, round(seconds / self.speed)))

    def length(self, seconds: float) -> float:
        """The seconds of a range, at this speed."""
        return max(min(self.shortest, seconds), round(seconds / self.speed))

    def window(self, seconds: float) -> str:
        """The same, as Prometheus writes it."""
        return duration(self.length(seconds))

    def trend(self, seconds: float) -> float:
        """The seconds of a range in which a trend is seen: it has three scrapes at least, and four runs of `once`."""
        return max(seconds, self.bridge, 4 * self.textfile)


def duration(seconds: float) -> str:
    """Write whole seconds in the largest unit that needs no fraction: 90 is `90s`, 3600 is `1h`."""
    whole = round(seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole and whole % length == 0:
            return f"{whole // length}{unit}"
    return f"{whole}s"
