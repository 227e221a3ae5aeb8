"""Alerts on the filesystems below the data root, and on how fast the data grows."""

from exporter.metrics import catalogue as c
from exporter.rules.alert import HOST, Alert, Severity, indented, selector
from exporter.rules.recording import USED
from exporter.rules.thresholds import Settings, number

_PLACE = "{{ $labels.mountpoint }} on {{ $labels.instance }}"
_SHARE = "{{ $value | humanizePercentage }}"
_DAY = 86400


def disk_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts: filling up, almost full, inodes, growth."""
    limits = settings.thresholds
    return [
        _filling(settings, "warning", limits.filling_up, 24),
        _filling(settings, "critical", limits.filling_up_critical, 4),
        _almost_full(settings, "warning", limits.almost_full, 1800),
        _almost_full(settings, "critical", limits.almost_full_critical, 300),
        _inodes(settings),
        _growth(settings),
    ]


def _ratio(settings: Settings) -> str:
    return f"{selector(c.FILESYSTEM_AVAIL.name, settings)} / ({selector(c.FILESYSTEM_SIZE.name, settings)} > 0)"


def _unless_readonly(settings: Settings) -> str:
    return f"unless\n  {selector(c.FILESYSTEM_READONLY.name, settings)} == 1"


def _filling(settings: Settings, severity: Severity, level: float, hours: int) -> Alert:
    """Six hours of history against false alarms of shorter ones.

    The warning spares a disk that was as full before within a week and recovered: a CI host that fills by day
    and is pruned by night.
    """
    avail = selector(c.FILESYSTEM_AVAIL.name, settings)
    window = settings.window(6 * 3600)
    lines = [
        f"{_ratio(settings)} < {number(level)}",
        "and",
        f"  predict_linear({avail}[{window}], {hours} * 3600) < 0",
        _unless_readonly(settings),
    ]
    if severity == "warning":
        week = settings.window(7 * _DAY)
        lines += ["unless", f"  {avail} > min_over_time({avail}[{week}] offset {window})"]
    return Alert(
        "DockerStorageFilesystemFillingUp",
        severity,
        3600 if severity == "warning" else 1800,
        "\n".join(lines),
        f"{_PLACE} fills up within {hours} hours",
        f"Docker's disk {_PLACE} has {_SHARE} available and, going on as in the last hours, is full within {hours} h.",
    )


def _almost_full(settings: Settings, severity: Severity, level: float, lasting: float) -> Alert:
    return Alert(
        "DockerStorageFilesystemAlmostFull",
        severity,
        lasting,
        f"{_ratio(settings)} < {number(level)}\n{_unless_readonly(settings)}",
        f"{_PLACE} is almost full",
        f"Docker's disk {_PLACE} has {_SHARE} available. Containers that write will fail when it is full.",
    )


def _inodes(settings: Settings) -> Alert:
    free, files = selector(c.FILESYSTEM_FILES_FREE.name, settings), selector(c.FILESYSTEM_FILES.name, settings)
    return Alert(
        "DockerStorageInodesAlmostExhausted",
        "critical",
        1800,
        f"{free} / ({files} > 0) < {number(settings.thresholds.inodes)}\n{_unless_readonly(settings)}",
        f"{_PLACE} runs out of inodes",
        f"Docker's disk {_PLACE} has {_SHARE} of its inodes free. Without one no file can be made, however much"
        " space there is.",
    )


def _growth(settings: Settings) -> Alert:
    """Growth above the highest of the last day: pulling again what a prune removed is none.

    A first scan that was still under way an hour ago is no level to compare with.
    """
    used, size = selector(USED, settings), selector(c.FILESYSTEM_SIZE.name, settings)
    hour, day = settings.window(3600), settings.window(_DAY)
    done, trees = (selector(one.name, settings) for one in (c.INITIAL_TREES_DONE, c.INITIAL_TREES))
    growth = f"{used} - max_over_time({used}[{day}] offset {hour})"
    level = f"{number(settings.thresholds.growth)} * sum by ({HOST}) ({size})"
    return Alert(
        "DockerStorageGrowthHigh",
        "warning",
        900,
        f"(\n{indented(growth)}\n)\n> on ({HOST})\n  {level}\nunless on ({HOST})\n"
        f"  ({done} offset {hour} < {trees} offset {hour})",
        "Docker's data on {{ $labels.instance }} grows fast",
        "Docker's data on {{ $labels.instance }} has grown by {{ $value | humanize1024 }}B within an hour,"
        " to more than on any time of the day before.",
    )
