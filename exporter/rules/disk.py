"""Alerts on the filesystems of the data root, and on the growth of its data."""

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import HOST, Alert, Select, Severity, indented
from exporter.rules.recording import USED
from exporter.rules.thresholds import Settings, number

_PLACE = "{{ $labels.mountpoint }} on {{ $labels.instance }}"
_SHARE = "{{ $value | humanizePercentage }}"
_HOUR = 3600
_WEEK = 7 * 86400


def disk_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts: filling up, almost full, inodes, growth."""
    select, limits = Select(settings), settings.thresholds
    daily = f"and\n{_going_on(select, 2, 24)}\nunless\n{_usual(select)}"
    return [
        _filling("warning", _HOUR, 24, f"{_filling_within(select, limits.filling_up, 24)}\n{daily}"),
        _filling("critical", 1800, 4, _filling_within(select, limits.filling_up_critical, 4)),
        _almost_full("warning", 1800, _below(select, limits.almost_full)),
        _almost_full("critical", 300, _below(select, limits.almost_full_critical)),
        Alert(
            "DockerStorageInodesAlmostExhausted",
            "critical",
            1800,
            f"{select(c.FILESYSTEM_FILES_FREE)} / ({select(c.FILESYSTEM_FILES)} > 0) < {number(limits.inodes)}\n"
            f"{_unless_readonly(select)}",
            f"{_PLACE} runs out of inodes",
            f"Docker's disk {_PLACE} has {_SHARE} of its inodes free. Without free inodes no file can be created,"
            " however much space is free.",
        ),
        Alert(
            "DockerStorageGrowthHigh",
            "warning",
            900,
            _growth(select, limits.growth),
            "Docker's data on {{ $labels.instance }} grows fast",
            "Docker's data on {{ $labels.instance }} has grown by {{ $value | humanize1024 }}B within an hour,"
            " to more than at any time of the week before.",
        ),
    ]


def _filling(severity: Severity, lasting: float, hours: int, expression: str) -> Alert:
    return Alert(
        "DockerStorageFilesystemFillingUp",
        severity,
        lasting,
        expression,
        f"{_PLACE} fills up within {hours} hours",
        f"Docker's disk {_PLACE} has {_SHARE} available and, at the rate of the last hours, is full within {hours} h.",
    )


def _almost_full(severity: Severity, lasting: float, expression: str) -> Alert:
    return Alert(
        "DockerStorageFilesystemAlmostFull",
        severity,
        lasting,
        expression,
        f"{_PLACE} is almost full",
        f"Docker's disk {_PLACE} has {_SHARE} available. Containers that write will fail when it is full.",
    )


def ratio(select: Select) -> str:
    """The share of each filesystem that is available."""
    return f"{select(c.FILESYSTEM_AVAIL)} / ({select(c.FILESYSTEM_SIZE)} > 0)"


def _below(select: Select, level: float) -> str:
    return f"{ratio(select)} < {number(level)}\n{_unless_readonly(select)}"


def _unless_readonly(select: Select) -> str:
    return f"unless\n  {select(c.FILESYSTEM_READONLY)} == 1"


def _filling_within(select: Select, level: float, hours: int) -> str:
    """Below a level and full within some hours, by the trend of six hours: a shorter one raises false alarms."""
    return f"{ratio(select)} < {number(level)}\nand\n{_going_on(select, 6, hours)}\n{_unless_readonly(select)}"


def _going_on(select: Select, past: int, hours: int) -> str:
    return f"  predict_linear({select(c.FILESYSTEM_AVAIL)}{select.window(past * _HOUR)}, {hours} * 3600) < 0"


def _usual(select: Select) -> str:
    """Whether the disk has about as little space as it regularly has, such as a CI host that is pruned each night.

    The fullest hundredth of the week does not count: a past incident is not regular. A disk that fills steadily is not
    excluded: 24 hours before it is full it has less than four fifths of the space that it had six hours before. The
    history of a disk that was resized does not count.
    """
    avail, size = select(c.FILESYSTEM_AVAIL), select(c.FILESYSTEM_SIZE)
    week, before = select.window(_WEEK), select.offset(6 * _HOUR)
    lines = (
        f"{avail} > 0.8 * quantile_over_time(0.01, {avail}{week} {before})",
        "and",
        f"max_over_time({size}{week}) < 1.1 * min_over_time({size}{week})",
    )
    return "  (\n" + "\n".join("    " + line for line in lines) + "\n  )"


def _growth(select: Select, share: float) -> str:
    """Growth above the highest value of the last week: to pull again what a prune removed does not count.

    Where the first scan was not done an hour ago, there is no value to compare with.
    """
    used, ago = select(USED), select.offset(_HOUR)
    growth = f"{used} - max_over_time({used}{select.window(_WEEK)} {ago})"
    return (
        f"(\n{indented(growth)}\n)\n> on ({HOST})\n  {number(share)} * sum by ({HOST}) ({select(c.FILESYSTEM_SIZE)})\n"
        f"unless on ({HOST})\n  ({select(c.INITIAL_TREES_DONE)} {ago} < {select(c.INITIAL_TREES)} {ago})"
    )
