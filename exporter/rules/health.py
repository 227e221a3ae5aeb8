"""Alerts on the exporter itself: whether its figures are right and up to date."""

from exporter.core.content import WALKABLE
from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Alert, Select, enclosed, joined
from exporter.rules.presence import CLOCK_WRONG
from exporter.rules.settings import Settings
from exporter.rules.thresholds import Thresholds, number

_AT = "{{ $labels.instance }}"
_AGE = "{{ $value | humanizeDuration }}"


def health_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts: unreadable root, stale or failing scans, degraded watching, unknown layouts."""
    select, limits = Select(settings), settings.thresholds
    return [*_scan_alerts(select, limits), *_service_alerts(select, limits)]


def _scan_alerts(select: Select, limits: Thresholds) -> list[Alert]:
    """The alerts on scans: figures are missing, old or incomplete."""
    return [
        Alert(
            "DockerStorageRootUnreadable",
            "critical",
            300,
            f"{select.last(c.UP)} == 0",
            f"The data root on {_AT} cannot be read",
            f"The exporter on {_AT} cannot read Docker's data root: it is missing, not mounted, or may not be read.",
        ),
        Alert(
            "DockerStorageScanStale",
            "warning",
            300,
            _stale(select, limits),
            f"The figures of {_AT} are old",
            f"{_AT} has not scanned{{{{ with $labels.collector }}}} its {{{{ . }}}}{{{{ end }}}}"
            f"{{{{ with $labels.area }}}} all its {{{{ . }}}}{{{{ end }}}} without error for {_AGE}: its figures are"
            " old.",
        ),
        Alert(
            "DockerStorageScanErrors",
            "info",
            3600,
            _errors(select),
            f"Some files on {_AT} cannot be read",
            f"The collector {{{{ $labels.collector }}}} on {_AT} cannot read some files: the objects that they describe"
            " are missing from the figures. The exporter's log names the files.",
        ),
        Alert(
            "DockerStorageNotKnown",
            "warning",
            3600,
            f"{select.last(c.KNOWN)} == 0",
            f"A part of what {_AT} holds is not known",
            f"The exporter on {_AT} could not read {{{{ $labels.input }}}} whole: figures that need it are absent, and"
            " nothing is called unused or reclaimable because of it. /status names the files.",
        ),
        Alert(
            "DockerStorageSeriesDropped",
            "info",
            3600,
            f"{select.last(c.SERIES_DROPPED)} > 0",
            f"Not all objects of {_AT} are served",
            f"The collector {{{{ $labels.collector }}}} on {_AT} leaves out series of {{{{ $value }}}} objects: there"
            " are more than its limit allows.",
        ),
    ]


def _service_alerts(select: Select, limits: Thresholds) -> list[Alert]:
    """The alerts on what the exporter can do: watch the root, read its layout."""
    walked = "|".join(WALKABLE)
    snapshots = select.last(c.LAYERS, 'namespace!=""', f'driver!~"{walked}"')
    return [
        Alert(
            "DockerStorageScannerDown",
            "warning",
            300,
            f"avg_over_time({select(c.SCANNER_UP)}{select.bridge}) < 0.5",
            f"Nothing is scanned on {_AT}",
            f"The exporter on {_AT} answers, but its scanning process does not start or does not stay: its figures do"
            " not change any more. The exporter's log says why.",
        ),
        Alert(
            "DockerStorageWatchDegraded",
            "info",
            1800,
            _degraded(select, limits),
            f"Changes on {_AT} are served late",
            f"The exporter on {_AT} polls, is near the limit of kernel watches, or loses events: its figures are right"
            " but late.",
        ),
        Alert(
            "DockerStorageImageStoreUnsupported",
            "info",
            900,
            f"sum by ({select.host}, driver) ({snapshots}) > 0",
            f"A snapshotter of containerd on {_AT} has no directories",
            f"The snapshotter {{{{ $labels.driver }}}} of containerd on {_AT} keeps {{{{ $value }}}} snapshots in"
            " another form than directories: what it has written down of them is shown, and what is not is absent.",
        ),
    ]


def _stale(select: Select, limits: Thresholds) -> str:
    """No collector has succeeded lately (a scan hangs), or a failing one has not; audits are late; a first scan hangs.

    A collector that does not fail may have an old success because nothing of it has changed. What changes is not
    stale, however old it says that it is: the clock of the host is wrong, and has an alert of its own.
    """
    host, age = select.host, max(limits.scan_age, 3 * select.settings.textfile)
    last, changes = select.last(c.SCAN_LAST_SUCCESS), f"changes({select(c.SCAN_LAST_SUCCESS)}{select.window(age)})"
    hangs = (
        f"time() - max by ({host}) ({last}) > {number(age)}\nunless\n  sum by ({host}) ({changes}) > 0\n"
        f"unless on ({host})\n  {select(CLOCK_WRONG)}"
    )
    fails = (
        f"time() - {last} > {number(age)}\nunless\n  {changes} > 0\n"
        f"and on ({host}, collector)\n  {select.last(c.SCAN_SUCCESS)} == 0"
    )
    oldest = max(limits.audit_age, 3 * select.settings.textfile)
    late = f"time() - {select.last(c.AUDIT_OLDEST)} > {number(oldest)}\nunless on ({host})\n  {select(CLOCK_WRONG)}"
    return "\nor\n".join(map(enclosed, (hangs, fails, late, _hanging_at_first(select, age))))


def _hanging_at_first(select: Select, age: float) -> str:
    """A first scan that looks at nothing more: no collector has a success yet that could be old."""
    done, entries = select(c.INITIAL_TREES_DONE), select(c.INITIAL_ENTRIES)
    begun = f"last_over_time({done}{select.bridge} {select.offset(age)})"
    moves = (f"  changes({one}{select.window(age)}) > 0" for one in (done, entries))
    waits = f"{number(age)} * ({select.last(c.INITIAL_TREES_DONE)} < bool {select.last(c.INITIAL_TREES)} > 0)"
    return joined("unless", f"{waits}\nand\n  {begun} >= 0", *moves)


def _errors(select: Select) -> str:
    by = f"{select.host}, collector"
    errors = select(c.SCAN_ERRORS, 'reason!="vanished"') + select.trend(1800)
    return f"sum by ({by}) (increase({errors})) > 0\nor\n  max by ({by}) (1 - {select.last(c.SCAN_SUCCESS)}) > 0"


def _degraded(select: Select, limits: Thresholds) -> str:
    host, polling = select.host, select.last(c.WATCH_MODE, 'mode="polling"')
    share = f"{select.last(c.WATCHES)} / ({select.last(c.WATCHES_LIMIT)} > 0)"
    overflows = f"increase({select(c.WATCH_OVERFLOWS)}{select.window(3600)})"
    return (
        f"max by ({host}) ({polling}) == 1\nor\n  max by ({host}) ({share}) > {number(limits.watches)}\nor\n"
        f"  max by ({host}) ({overflows}) > {number(limits.overflows)}"
    )
