"""The values above or below which alerts fire, and how people write them."""

import re
from dataclasses import dataclass, field, fields, replace
from typing import Literal

Kind = Literal["share", "size", "time", "count"]

_SIZES = {unit: 1000.0**power for power, unit in enumerate(("kB", "MB", "GB", "TB"), 1)}
_SIZES |= {unit: 1024.0**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)}
#: The units of each kind of threshold, and one that is an example.
_UNITS: dict[Kind, dict[str, float]] = {
    "share": {"": 1.0, "%": 0.01},
    "size": {"": 1.0, **_SIZES},
    "time": {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0},
    "count": {"": 1.0},
}
_EXAMPLES: dict[Kind, str] = {"share": "15% or 0.15", "size": "2GB", "time": "6h", "count": "3"}
_VALUE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z%]*)")
_GB = 1e9


def _threshold(kind: Kind, default: float, text: str, *, below: tuple[str, ...] = ()) -> float:
    """A threshold; `below` are those that must be larger, or alerts come in the wrong order."""
    value: float = field(default=default, metadata={"help": text, "kind": kind, "below": below})
    return value


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The values above or below which alerts fire. Sizes are bytes, times seconds, the rest fractions and counts."""

    filling_up: float = _threshold(
        "share", 0.40, "available space below which a disk that fills within a day is reported"
    )
    filling_up_critical: float = _threshold(
        "share", 0.20, "the same for a disk that fills within four hours", below=("filling_up",)
    )
    almost_full: float = _threshold("share", 0.10, "available space that is a warning", below=("filling_up",))
    almost_full_critical: float = _threshold(
        "share", 0.05, "available space that is critical", below=("almost_full", "filling_up_critical")
    )
    full_soon: float = _threshold("time", 1800, "the time within which a disk below almost-full is full: critical")
    inodes: float = _threshold("share", 0.05, "free inodes that are critical", below=("almost_full",))
    growth: float = _threshold("share", 0.05, "growth of the data in an hour, as a share of the disk")
    log: float = _threshold("size", _GB, "the size above which logs are reported")
    log_share: float = _threshold("share", 0.10, "the same as a share of the disk: what is reached first counts")
    log_fills: float = _threshold("time", 6 * 3600, "the time within which a growing log would fill the disk")
    writable: float = _threshold("size", 10 * _GB, "the size of a container's writable layer")
    writable_share: float = _threshold("share", 0.25, "the same as a share of the disk")
    writable_limit: float = _threshold(
        "share", 0.90, "the share of its --storage-opt size that a writable layer may reach"
    )
    orphaned: float = _threshold("size", _GB, "disk blocks of layers that nothing refers to")
    orphaned_share: float = _threshold("share", 0.10, "the same as a share of the disk")
    reclaimable: float = _threshold("share", 0.50, "the share of Docker's data that a prune would free")
    reclaimable_used: float = _threshold("share", 0.70, "how full the disk must be for that alert")
    scan_age: float = _threshold(
        "time", 2700, "the age of the last successful scan: three times the longest pause between two"
    )
    audit_age: float = _threshold("time", 3 * 3600, "the age of the oldest measurement of a volume or container")
    clock: float = _threshold("time", 60, "by how much the clock of a host may be wrong")
    overflows: float = _threshold("count", 3, "kernel queue overflows in an hour")
    watches: float = _threshold("share", 0.90, "the share of the allowed kernel watches that is in use")

    def changed(self, settings: tuple[str, ...]) -> "Thresholds":
        """Apply `name=value` settings, such as `log=2GB`; raises ValueError with the reason."""
        values: dict[str, float] = {}
        names = {one.name.replace("_", "-"): one.name for one in fields(self)}
        for setting in settings:
            name, _, text = setting.partition("=")
            if name not in names:
                raise ValueError(f"no threshold is called {name!r}; there are {', '.join(names)}")
            values[names[name]] = _value(setting, text, _kind(names[name]))
        made = replace(self, **values)
        made._check_order()  # noqa: SLF001 - of this class
        return made

    def _check_order(self) -> None:
        """Refuse a critical threshold that is reached before the warning; raises ValueError."""
        for name, other in ((one.name, other) for one in fields(self) for other in one.metadata["below"]):
            if getattr(self, name) >= getattr(self, other):
                small, large = (f"{one.replace('_', '-')} ({number(getattr(self, one))})" for one in (name, other))
                raise ValueError(f"{small} must be less than {large}: it is the later alert")


def _kind(name: str) -> Kind:
    (kind,) = (one.metadata["kind"] for one in fields(Thresholds) if one.name == name)
    found: Kind = kind
    return found


def _value(setting: str, text: str, kind: Kind) -> float:
    """The value of a setting; raises ValueError where it has a unit of another kind, or is not possible."""
    found = _VALUE.fullmatch(text.strip())
    if found is None or found[2] not in _UNITS[kind]:
        raise ValueError(f"{setting!r}: not a {kind} such as {_EXAMPLES[kind]}")
    value = round(float(found[1]) * _UNITS[kind][found[2]], 12)  # 70 * 0.01 is 0.7
    if kind == "share" and not 0 < value <= 1:
        raise ValueError(f"{setting!r}: a share is more than 0% and at most 100%")
    if value <= 0 and kind != "count":
        raise ValueError(f"{setting!r}: must be more than 0")
    return value


def seconds(text: str) -> float:
    """A time such as 10m in seconds; raises ValueError."""
    return _value(text, text, "time")


def number(value: float) -> str:
    """Write a threshold without a needless fraction; whole MB, GB and TB with an exponent, whole MiB as products."""
    for power in (12, 9, 6):
        if value and value % 10.0**power == 0:
            return f"{value / 10.0**power:.0f}e{power}"
    for power, length in ((4, 1024.0**4), (3, 1024.0**3), (2, 1024.0**2)):
        if value and value % length == 0:
            return f"{value / length:.0f} * 1024 ^ {power}"
    return f"{value:.10g}"


def described(thresholds: Thresholds) -> str:
    """A table of all thresholds with value and meaning; each value is one that can be set."""
    rows = [(one, _shown(getattr(thresholds, one.name), one.metadata["kind"])) for one in fields(thresholds)]
    return "".join(f"{one.name.replace('_', '-'):<22} {value:<8} {one.metadata['help']}\n" for one, value in rows)


def _shown(value: float, kind: Kind) -> str:
    """A value in the largest unit of its kind that it is a whole number of."""
    if kind == "share":
        return f"{100 * value:.10g}%"
    unit, length = max((one for one in _UNITS[kind].items() if value % one[1] == 0), key=lambda one: one[1])
    return f"{value / length:.10g}{unit}"
