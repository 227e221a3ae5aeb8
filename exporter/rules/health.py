"""Alerts on the exporter itself: whether its figures can be trusted."""

from exporter.metrics import catalogue as c
from exporter.rules.alert import HOST, Alert, selector
from exporter.rules.thresholds import Settings, number

_AT = "{{ $labels.instance }}"
_AGE = "{{ $value | humanizeDuration }}"
#: What stands still is measured every hour; what runs, at least every quarter of an hour.
_AUDIT_AGE = 3 * 3600


def health_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts: unreadable root, stale or failing scans, degraded watching, unknown layouts, no exporter."""
    return [
        _unreadable(settings),
        _stale(settings),
        _errors(settings),
        _watching(settings),
        _unsupported(settings),
        _down(settings),
    ]


def _unreadable(settings: Settings) -> Alert:
    return Alert(
        "DockerStorageRootUnreadable",
        "critical",
        300,
        f"{selector(c.UP.name, settings)} == 0",
        f"The data root on {_AT} cannot be read",
        f"The exporter on {_AT} cannot read Docker's data root: it is missing, unmounted or not permitted.",
    )


def _stale(settings: Settings) -> Alert:
    """The newest success tells of a scanner that hangs: of one collector it may be old because nothing happened."""
    success, last = selector(c.SCAN_SUCCESS.name, settings), selector(c.SCAN_LAST_SUCCESS.name, settings)
    age = number(settings.thresholds.scan_age)
    return Alert(
        "DockerStorageScanStale",
        "warning",
        300,
        f"time() - max by ({HOST}) ({last}) > {age}\nor\n  time() - {last} > {age} and {success} == 0\nor\n"
        f"  time() - {selector(c.AUDIT_OLDEST.name, settings)} > {_AUDIT_AGE}",
        f"The figures of {_AT} are old",
        f"{_AT} has not scanned{{{{ with $labels.collector }}}} its {{{{ . }}}}{{{{ end }}}}"
        f"{{{{ with $labels.area }}}} all its {{{{ . }}}}{{{{ end }}}} without error for {_AGE}: its figures are old.",
    )


def _errors(settings: Settings) -> Alert:
    errors = selector(c.SCAN_ERRORS.name, settings, 'reason!="vanished"')
    by = f"{HOST}, collector"
    return Alert(
        "DockerStorageScanErrors",
        "info",
        3600,
        f"sum by ({by}) (increase({errors}[{settings.window(1800)}])) > 0\nor\n"
        f"  max by ({by}) (1 - {selector(c.SCAN_SUCCESS.name, settings)}) > 0",
        f"Not everything on {_AT} can be read",
        f"The collector {{{{ $labels.collector }}}} on {_AT} meets files that it cannot read: what they describe is"
        " missing from the figures. The exporter's log names them.",
    )


def _watching(settings: Settings) -> Alert:
    mode = selector(c.WATCH_MODE.name, settings, 'mode="polling"')
    watches, limit = selector(c.WATCHES.name, settings), selector(c.WATCHES_LIMIT.name, settings)
    overflows = selector(c.WATCH_OVERFLOWS.name, settings)
    limits = settings.thresholds
    return Alert(
        "DockerStorageWatchDegraded",
        "info",
        1800,
        f"max by ({HOST}) ({mode}) == 1\nor\n  max by ({HOST}) ({watches} / ({limit} > 0)) > {number(limits.watches)}"
        f"\nor\n  max by ({HOST}) (increase({overflows}[{settings.window(3600)}])) > {number(limits.overflows)}",
        f"Changes on {_AT} are noticed late",
        f"The exporter on {_AT} polls, is near the limit of kernel watches, or loses events: its figures are right but"
        " come later.",
    )


def _unsupported(settings: Settings) -> Alert:
    layout = selector(c.ROOT_INFO.name, settings, 'layout!~"graph|layerdb"')
    return Alert(
        "DockerStorageImageStoreUnsupported",
        "info",
        900,
        layout,
        f"The image store of {_AT} cannot be measured by object",
        f"{{{{ $labels.root }}}} on {_AT} keeps images in the layout {{{{ $labels.layout }}}}: only its directories are"
        " measured.",
    )


def _down(settings: Settings) -> Alert:
    return Alert(
        "DockerStorageExporterDown",
        "warning",
        300,
        f"{selector('up', settings)} == 0",
        f"The exporter on {_AT} does not answer",
        f"Prometheus cannot scrape the docker-storage-exporter on {_AT}: there are no figures of its disk.",
    )
