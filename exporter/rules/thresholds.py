"""What a user may set for the rules: the job's name, thresholds, and the speed of the alerts."""

import re
from dataclasses import dataclass, field, fields, replace

_UNITS = {
    "": 1.0,
    "%": 0.01,
    **{unit: 1000.0**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), 1)},
    **{unit: 1024.0**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
_VALUE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z%]*)")
_GIB = 1024.0**3

#: Where the runbooks are in this repository; `--runbooks` gives another address.
RUNBOOKS = "docs/runbooks/"


def _threshold(default: float, text: str) -> float:
    value: float = field(default=default, metadata={"help": text})
    return value


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The values above or below which alerts fire. Sizes are bytes, times seconds, the rest fractions and counts."""

    filling_up: float = _threshold(0.40, "available space below which a disk that fills within a day is reported")
    filling_up_critical: float = _threshold(0.20, "the same for a disk that fills within four hours")
    almost_full: float = _threshold(0.10, "available space that is a warning")
    almost_full_critical: float = _threshold(0.05, "available space that is critical")
    inodes: float = _threshold(0.05, "free inodes that are critical")
    growth: float = _threshold(0.05, "growth of the data in an hour, as a share of the disk")
    log: float = _threshold(_GIB, "the size above which logs are reported")
    log_fills: float = _threshold(6 * 3600, "the time within which a growing log would fill the disk")
    writable: float = _threshold(10 * _GIB, "the size of a container's writable layer")
    writable_limit: float = _threshold(0.90, "the share of its --storage-opt size that a writable layer may reach")
    orphaned: float = _threshold(_GIB, "disk blocks of layers that nothing refers to")
    reclaimable: float = _threshold(0.50, "the share of Docker's data that a prune would free")
    reclaimable_used: float = _threshold(0.70, "how full the disk must be for that alert")
    scan_age: float = _threshold(2700, "the age of the last successful scan: three times the longest pause between two")
    audit_age: float = _threshold(3 * 3600, "the age of the oldest measurement of a volume or container")
    overflows: float = _threshold(3, "kernel queue overflows in an hour")
    watches: float = _threshold(0.90, "the share of the allowed kernel watches that is in use")

    def changed(self, settings: tuple[str, ...]) -> "Thresholds":
        """Apply `name=value` settings, such as `log=2GiB`; raises ValueError with the reason."""
        values: dict[str, float] = {}
        names = {one.name.replace("_", "-"): one.name for one in fields(self)}
        for setting in settings:
            name, _, text = setting.partition("=")
            if name not in names:
                raise ValueError(f"no threshold is called {name!r}; there are {', '.join(names)}")
            found = _VALUE.fullmatch(text.strip())
            if found is None or found[2] not in _UNITS:
                raise ValueError(f"{setting!r}: not a number with a unit such as 2GiB, 15% or 6h")
            values[names[name]] = float(found[1]) * _UNITS[found[2]]
        return replace(self, **values)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one rules file. `speed` divides all durations, to try the alerts out.

    No range becomes shorter than `shortest` seconds: it must contain some scrapes.
    """

    job: str = "docker-storage"
    thresholds: Thresholds = Thresholds()
    runbooks: str = RUNBOOKS
    speed: float = 1.0
    shortest: float = 60.0

    def __post_init__(self) -> None:
        """Escape the job's name: it stands in quotes."""
        escaped = self.job.replace("\\", "\\\\").replace('"', '\\"')
        object.__setattr__(self, "job", escaped)

    def lasting(self, seconds: float) -> str:
        """How long a condition must hold, at this speed, as Prometheus writes it."""
        return duration(max(0, round(seconds / self.speed)))

    def window(self, seconds: float) -> str:
        """The length of a range, at this speed."""
        return duration(max(min(self.shortest, seconds), round(seconds / self.speed)))


def duration(seconds: float) -> str:
    """Write whole seconds in the largest unit that needs no fraction: 90 is `90s`, 3600 is `1h`."""
    whole = round(seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole and whole % length == 0:
            return f"{whole // length}{unit}"
    return f"{whole}s"


def number(value: float) -> str:
    """Write a threshold without a needless fraction; multiples of powers of 1024 as products."""
    for power, length in ((4, 1024.0**4), (3, 1024.0**3), (2, 1024.0**2)):
        if value and value % length == 0:
            return f"{value / length:.0f} * 1024 ^ {power}"
    return f"{value:.10g}"


def described(thresholds: Thresholds) -> str:
    """A table of all thresholds with value and meaning."""
    rows = [(one.name.replace("_", "-"), number(getattr(thresholds, one.name)), one) for one in fields(thresholds)]
    return "".join(f"{name:<22} {value:<14} {one.metadata['help']}\n" for name, value, one in rows)
