"""Alerts on the space and the inodes of the filesystems of the data root, and on the growth of its data."""

from msgspec import Struct

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Alert, Select, Severity, enclosed, indented, joined
from exporter.rules.filesystems import (
    ALLOCATED,
    AVAIL,
    FILES,
    FILES_CHANGED,
    FILES_FREE,
    IMAGES,
    RESIZED,
    ROOT,
    SIZE,
    gone,
    images,
)
from exporter.rules.history import HISTORY_SECONDS, LOW_FILES, LOW_SPACE, MOST_ALLOCATED, MOST_USED
from exporter.rules.recording import USED
from exporter.rules.settings import Settings, duration
from exporter.rules.thresholds import number

_PLACE = (
    "{{ with $labels.mountpoint }}{{ . }}{{ else }}the pool {{ $labels.device }}{{ end }} on {{ $labels.instance }}"
)
_SHARE = "{{ $value | humanizePercentage }}"
_HOUR = 3600
_DAY = 24 * _HOUR
#: A level must be left by so much before an alert on it ends, so that it does not come and go.
_BEYOND = 1.2


class _Resource(Struct, frozen=True):
    """What a filesystem can run out of: space or inodes."""

    free: str
    all: str
    low: str
    resized: str
    filling: str
    full: str
    has: str
    end: str

    def share(self, select: Select) -> str:
        """The share that is left; nothing for a filesystem that does not count it."""
        return f"{select(self.free)} / ({select(self.all)} > 0)"


_SPACE = _Resource(
    AVAIL,
    SIZE,
    LOW_SPACE,
    RESIZED,
    "DockerStorageFilesystemFillingUp",
    "DockerStorageFilesystemAlmostFull",
    f"Docker's disk {_PLACE} has {_SHARE} available",
    "is full",
)
_INODES = _Resource(
    FILES_FREE,
    FILES,
    LOW_FILES,
    FILES_CHANGED,
    "DockerStorageInodesFillingUp",
    "DockerStorageInodesAlmostExhausted",
    f"Docker's disk {_PLACE} has {_SHARE} of its inodes free",
    "has none",
)


def disk_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts: filling up, almost full, full soon, read-only, inodes, growth."""
    select = Select(settings)
    return [
        *_filling(select, _SPACE, f"{_PLACE} fills up"),
        *_almost_full(select),
        _full_soon(select),
        *_filling(select, _INODES, f"The inodes of {_PLACE} run out"),
        _inodes(select),
        *_readonly(select),
        _growth(select),
    ]


def _filling(select: Select, what: _Resource, summary: str) -> list[Alert]:
    """The forecasts. The trend of six hours avoids the false alarms of shorter ones; a short one says that it goes on.

    The short range of the critical one is shorter than the time for which the condition must hold: what fell once, and
    does not fall any more, has ended by then.
    """
    limits = select.settings.thresholds
    short = select.settings.trend(1200)

    def alert(severity: Severity, lasting: float, hours: int, level: float, recent: float, *further: str) -> Alert:
        falls = [f"{_full_within(select, what, past, hours)}" for past in (6 * _HOUR, recent)]
        expression = joined("and", f"{what.share(select)} < {number(level)}", *map(indented, (*falls, *further)))
        return Alert(
            what.filling,
            severity,
            lasting,
            f"{expression}\nunless\n{_usual(select, what)}\nunless\n  {select(what.resized)}",
            f"{summary} within {hours} hours",
            f"{what.has} and, at the rate of the last hours, {what.end} within {hours} h.",
        )

    day_before = f"last_over_time({select(what.free)}{select.window(_HOUR)} {select.offset(HISTORY_SECONDS)}) >= 0"
    return [
        alert("warning", _HOUR, 24, limits.filling_up, max(2 * _HOUR, short)),
        alert("critical", max(1800, 1.5 * short), 4, limits.filling_up_critical, short, day_before),
    ]


def _full_within(select: Select, what: _Resource, past: float, hours: int) -> str:
    return f"predict_linear({select(what.free)}{select.trend(past)}, {hours} * 3600) < 0"


def _usual(select: Select, what: _Resource) -> str:
    """About as little is left as regularly is, such as on a CI host that is pruned each night."""
    return f"  {select(what.free)} > 0.8 * last_over_time({select(what.low)}{select.window(1800)})"


def _almost_full(select: Select) -> list[Alert]:
    limits = select.settings.thresholds

    def alert(severity: Severity, lasting: float, level: float) -> Alert:
        return Alert(
            _SPACE.full,
            severity,
            lasting,
            f"{_below(select, _SPACE, level, severity)}\nunless on ({select.host}, mountpoint)\n  ({images(select)})",
            f"{_PLACE} is almost full",
            f"{_SPACE.has}. Containers that write will fail when it is full.",
        )

    return [
        alert("warning", 1800, limits.almost_full),
        alert("critical", 300, limits.almost_full_critical),
    ]


def _below(select: Select, what: _Resource, level: float, severity: Severity) -> str:
    """Below a level, or not far above it while the alert fires. What may be unmounted does not begin to count."""
    firing = f'ALERTS{{alertname="{what.full}", alertstate="firing", severity="{severity}"}}'
    share = what.share(select)
    lasting = f"{share} < {number(_BEYOND * level)}\n  and on ({select.host}, device, mountpoint) {firing}"
    begins = f"{share} < {number(level)}\nunless on ({select.host}, mountpoint)\n  ({gone(select)})"
    return enclosed(f"{begins}\nor\n  {lasting}")


def _full_soon(select: Select) -> Alert:
    """What fills faster than the ranges of the forecasts see: the level says that the end is near.

    One pull makes a trend of ten minutes, too: what falls no more since some scrapes has ended, unless it is full.
    """
    limits = select.settings.thresholds
    soon = duration(limits.full_soon)

    def expression(what: _Resource) -> str:
        trend = f"predict_linear({select(what.free)}{select.trend(600)}, {number(limits.full_soon)}) < 0"
        falls = f"{select(what.free)} < 0.99 * ({select(what.free)} {select.offset(select.settings.moments)})"
        falls = enclosed(f"{falls}\nor\n  {what.share(select)} < 0.02")
        low = f"{what.share(select)} < {number(limits.almost_full)}"
        return f"{joined('and', low, indented(trend), indented(falls))}\nunless\n{_usual(select, what)}"

    labelled = [
        f'label_replace(\n{indented(expression(what))},\n  "resource", "{name}", "", ""\n)'
        for what, name in ((_SPACE, "space"), (_INODES, "inodes"))
    ]
    return Alert(
        "DockerStorageFilesystemFullSoon",
        "critical",
        120,
        joined("or", *labelled),
        f"{_PLACE} is full within {soon}",
        f"Docker's disk {_PLACE} has {_SHARE} of its {{{{ $labels.resource }}}} left and, at the rate of the last"
        f" minutes, none within {soon}.",
    )


def _inodes(select: Select) -> Alert:
    limits = select.settings.thresholds
    return Alert(
        _INODES.full,
        "critical",
        300,
        _below(select, _INODES, limits.inodes, "critical"),
        f"{_PLACE} runs out of inodes",
        f"{_INODES.has}. Without free inodes no file can be created, however much space is free.",
    )


def _readonly(select: Select) -> list[Alert]:
    """Read-only where the root lies; and elsewhere, where that has changed within a day."""
    on_root = f"on ({select.host}, mountpoint)\n  {select(ROOT)}"
    before = f"{select(c.FILESYSTEM_READONLY)}{select.window(_HOUR)} {select.offset(_DAY)}"
    writable = f'fstype!~"{IMAGES}"'
    others = f"{select.last(c.FILESYSTEM_READONLY, writable)} == 1"

    def alert(severity: Severity, lasting: float, expression: str) -> Alert:
        return Alert(
            "DockerStorageFilesystemReadOnly",
            severity,
            lasting,
            expression,
            f"{_PLACE} is read-only",
            f"Docker's disk {_PLACE} is read-only: nothing on it can be written or removed. The kernel makes a"
            " filesystem read-only when it finds an error in it.",
        )

    return [
        alert("critical", 300, f"{select.last(c.FILESYSTEM_READONLY)} == 1\nand {on_root}"),
        alert("warning", 900, f"{others}\nunless\n  last_over_time({before}) == 1\nunless {on_root}"),
    ]


def _growth(select: Select) -> Alert:
    """Growth above the highest value of the last week: to pull again what a prune removed does not count.

    Where the first scan was not done an hour ago, there is no value to compare with. The sum of the root's directories
    stands for exporters that do not add up by filesystem.
    """
    share, host = number(select.settings.thresholds.growth), select.host
    ago = select.offset(_HOUR)

    def grown(now: str, most: str, limit: str) -> str:
        """Above the highest value that was recorded last, and above those between that and an hour ago."""
        before = (
            f"max_over_time({select(now)}{select.window(900)} {ago})",
            f"last_over_time({select(most)}{select.window(1800)})",
        )
        return joined("and", *(f"{select(now)} - {one} > {limit}" for one in before))

    by_place = grown(ALLOCATED, MOST_ALLOCATED, f"{share} * {select(SIZE)}")
    of_host = grown(USED, MOST_USED, f"on ({host}) {share} * sum by ({host}) ({select(ROOT)})")
    by_host = f"{of_host}\nunless on ({host}) {select(ALLOCATED)}"
    first = f"last_over_time({{metric}}{select.bridge} {ago})"
    done, trees = (first.format(metric=select(one)) for one in (c.INITIAL_TREES_DONE, c.INITIAL_TREES))
    either = enclosed(joined("or", by_place, enclosed(by_host)))
    return Alert(
        "DockerStorageGrowthHigh",
        "warning",
        900,
        f"{either}\nunless on ({host})\n  ({done} < {trees})",
        "Docker's data on {{ $labels.instance }} grows fast",
        "Docker's data on {{ with $labels.mountpoint }}{{ . }} on {{ end }}{{ $labels.instance }} has grown by"
        " {{ $value | humanize }}B within an hour, to more than at any time of the week before.",
    )
