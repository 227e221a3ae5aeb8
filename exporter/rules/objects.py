"""Alerts on single objects: logs, writable layers, leftovers, what a prune would free."""

from exporter.metrics import catalogue as c
from exporter.rules.alert import CONTAINER, HOST, Alert, indented, joined, selector
from exporter.rules.thresholds import Settings, duration, number

_CONTAINER = "{{ $labels.name }} ({{ $labels.image }}) on {{ $labels.instance }}"
_SIZE = "{{ $value | humanize1024 }}B"
_DRIVER = "{{ $labels.instance }} (driver {{ $labels.driver }})"


def object_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts on containers, layers and what is reclaimable."""
    return [
        _log_runaway(settings),
        _log_unbounded(settings),
        _writable(settings),
        _orphaned(settings),
        _missing(settings),
        _reclaimable(settings),
    ]


def _log_runaway(settings: Settings) -> Alert:
    """A log whose limit is nearer than the end of the disk cannot fill it."""
    log, limit = selector(c.CONTAINER_LOG_SIZE.name, settings), selector(c.CONTAINER_LOG_LIMIT.name, settings)
    available = f"min by ({HOST}) ({selector(c.FILESYSTEM_AVAIL.name, settings)})"
    fills = f"deriv({log}[{settings.window(600)}]) * {number(settings.thresholds.log_fills)}"
    expression = (
        f"(\n  {log} > {number(settings.thresholds.log)}\n  and\n    {fills} > on ({HOST}) group_left () {available}\n)"
        f"\nunless\n  {limit} - {log} < on ({HOST}) group_left () {available}"
    )
    return Alert(
        "DockerContainerLogRunaway",
        "critical",
        900,
        joined(expression, selector(c.CONTAINER_INFO.name, settings), CONTAINER, "name, image"),
        "The log of {{ $labels.name }} on {{ $labels.instance }} fills the disk",
        f"The log of {_CONTAINER} is {_SIZE} and at its present rate fills the disk within"
        f" {duration(settings.thresholds.log_fills)}.",
    )


def _log_unbounded(settings: Settings) -> Alert:
    log, bounded = selector(c.CONTAINER_LOG_SIZE.name, settings), selector(c.CONTAINER_LOG_BOUNDED.name, settings)
    expression = f"{log} > {number(settings.thresholds.log)}\nand\n  {bounded} == 0"
    return Alert(
        "DockerContainerLogUnbounded",
        "warning",
        3600,
        joined(expression, selector(c.CONTAINER_INFO.name, settings), CONTAINER, "name, image"),
        "The log of {{ $labels.name }} on {{ $labels.instance }} has no limit",
        f"The log of {_CONTAINER} is {_SIZE} and nothing bounds it: set max-size and max-file for its log driver.",
    )


def _writable(settings: Settings) -> Alert:
    writable = selector(c.CONTAINER_WRITABLE_SIZE.name, settings)
    return Alert(
        "DockerContainerWritableLayerLarge",
        "warning",
        3600,
        joined(
            f"{writable} > {number(settings.thresholds.writable)}",
            selector(c.CONTAINER_INFO.name, settings),
            CONTAINER,
            "name, image",
        ),
        "{{ $labels.name }} on {{ $labels.instance }} has written much into its own layer",
        f"{_CONTAINER} has written {_SIZE} into its writable layer: it is lost with the container, and no backup of"
        " volumes holds it.",
    )


def _orphaned(settings: Settings) -> Alert:
    orphaned = selector(c.LAYERS_ALLOCATED.name, settings, 'use="orphaned"')
    return Alert(
        "DockerStorageOrphanedLayers",
        "warning",
        6 * 3600,
        f"{orphaned} > {number(settings.thresholds.orphaned)}",
        "Layers that nothing refers to lie on {{ $labels.instance }}",
        f"Layers on {_DRIVER} that no image, container or build refers to occupy {_SIZE}. No prune removes them.",
    )


def _missing(settings: Settings) -> Alert:
    return Alert(
        "DockerStorageMissingLayers",
        "critical",
        900,
        f"{selector(c.MISSING_LAYERS.name, settings)} > 0",
        "Layers are missing on {{ $labels.instance }}",
        f"Images or containers on {_DRIVER} refer to {{{{ $value }}}} layers that are not on disk: they cannot start.",
    )


def _reclaimable(settings: Settings) -> Alert:
    limits = settings.thresholds
    reclaimable = f"sum by ({HOST}) ({selector(c.RECLAIMABLE.name, settings)})"
    used = f"sum by ({HOST}) ({selector(c.DIRECTORY_ALLOCATED.name, settings)})"
    available = f"{selector(c.FILESYSTEM_AVAIL.name, settings)} / ({selector(c.FILESYSTEM_SIZE.name, settings)} > 0)"
    return Alert(
        "DockerStorageReclaimableHigh",
        "info",
        12 * 3600,
        f"{reclaimable} / {used} > {number(limits.reclaimable)}\nand on ({HOST})\n"
        f"{indented(available)} < {number(1 - limits.reclaimable_used)}",
        "A prune on {{ $labels.instance }} would free much",
        "{{ $value | humanizePercentage }} of Docker's data on {{ $labels.instance }} could be removed, and the disk"
        " is filling.",
    )
