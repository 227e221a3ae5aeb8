"""Alerts on objects: logs, writable layers, orphaned and missing layers, reclaimable space."""

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import HOST, Alert, Select, indented, named
from exporter.rules.disk import ratio
from exporter.rules.thresholds import Settings, Thresholds, duration, number

_POD = "{{ with $labels.pod }} of the pod {{ . }}{{ end }}"
_CONTAINER = f"{{{{ $labels.name }}}} ({{{{ $labels.image }}}}){_POD} on {{{{ $labels.instance }}}}"
_SIZE = "{{ $value | humanize1024 }}B"
_DRIVER = "{{ $labels.instance }} (driver {{ $labels.driver }}{{ with $labels.namespace }}, namespace {{ . }}{{ end }})"
#: A failed scrape or a restart of Prometheus shorter than this does not reset an alert that needs many hours.
_BRIDGED_SECONDS = 900


def object_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts on containers, layers and what is reclaimable."""
    select, limits = Select(settings), settings.thresholds
    return [*_container_alerts(select, limits), *_layer_alerts(select, limits)]


def _container_alerts(select: Select, limits: Thresholds) -> list[Alert]:
    return [
        Alert(
            "DockerContainerLogRunaway",
            "critical",
            900,
            named(_runaway(select, limits), select),
            "The log of {{ $labels.name }} on {{ $labels.instance }} fills the disk",
            f"The log of {_CONTAINER} is {_SIZE} and, at its present rate, fills the disk within"
            f" {duration(limits.log_fills)}.",
        ),
        Alert(
            "DockerContainerLogUnbounded",
            "warning",
            3600,
            named(
                f"{select(c.CONTAINER_LOG_SIZE)} > {number(limits.log)}\nand\n  {select(c.CONTAINER_LOG_BOUNDED)} == 0",
                select,
            ),
            "The log of {{ $labels.name }} on {{ $labels.instance }} has no limit",
            f"The log of {_CONTAINER} is {_SIZE} and has no limit: set max-size and max-file for its log driver.",
        ),
        Alert(
            "DockerContainerWritableLayerLarge",
            "warning",
            3600,
            named(f"{select(c.CONTAINER_WRITABLE_SIZE)} > {number(limits.writable)}", select),
            "The writable layer of {{ $labels.name }} on {{ $labels.instance }} is large",
            f"{_CONTAINER} has written {_SIZE} into its writable layer: that data is lost with the container, and is in"
            " no backup of volumes.",
        ),
        Alert(
            "DockerContainerWritableLayerNearLimit",
            "warning",
            900,
            named(
                f"{select(c.CONTAINER_WRITABLE_ALLOCATED)} / ({select(c.CONTAINER_WRITABLE_LIMIT)} > 0)"
                f" > {number(limits.writable_limit)}",
                select,
            ),
            "The writable layer of {{ $labels.name }} on {{ $labels.instance }} is almost full",
            f"The writable layer of {_CONTAINER} has reached {{{{ $value | humanizePercentage }}}} of the size that"
            " --storage-opt allows it. When it is full the container cannot write, whatever space the disk has.",
        ),
    ]


def _layer_alerts(select: Select, limits: Thresholds) -> list[Alert]:
    orphaned = select(c.LAYERS_ALLOCATED, 'use="orphaned"')
    return [
        Alert(
            "DockerStorageOrphanedLayers",
            "warning",
            6 * 3600,
            f"{_bridged(orphaned, select)} > {number(limits.orphaned)}",
            "There are orphaned layers on {{ $labels.instance }}",
            f"Layers on {_DRIVER} that no image, container or build refers to occupy {_SIZE}. No prune removes them.",
        ),
        Alert(
            "DockerStorageMissingLayers",
            "critical",
            900,
            f"{select(c.MISSING_LAYERS)} > 0",
            "Layers are missing on {{ $labels.instance }}",
            f"Images or containers on {_DRIVER} refer to {{{{ $value }}}} layers that are not on disk: these containers"
            " cannot start.",
        ),
        Alert(
            "DockerStorageReclaimableHigh",
            "info",
            12 * 3600,
            _reclaimable(select, limits),
            "A prune on {{ $labels.instance }} would free much space",
            "{{ $value | humanizePercentage }} of Docker's data on {{ $labels.instance }} could be removed, and the"
            f" disk is more than {100 * limits.reclaimable_used:g}% full.",
        ),
    ]


def _runaway(select: Select, limits: Thresholds) -> str:
    """A large log that fills the disk within the threshold, unless it reaches its own limit first.

    A read-only filesystem cannot be filled.
    """
    log = select(c.CONTAINER_LOG_SIZE)
    writable = f"{select(c.FILESYSTEM_AVAIL)} unless {select(c.FILESYSTEM_READONLY)} == 1"
    available = f"on ({HOST}) group_left () min by ({HOST}) ({writable})"
    fills = f"deriv({log}{select.window(600)}) * {number(limits.log_fills)}"
    return (
        f"(\n  {log} > {number(limits.log)}\n  and\n    {fills} > {available}\n)\n"
        f"unless\n  {select(c.CONTAINER_LOG_LIMIT)} - {log} < {available}"
    )


def _reclaimable(select: Select, limits: Thresholds) -> str:
    parts = (c.RECLAIMABLE, c.DIRECTORY_ALLOCATED)
    share = " / ".join(f"sum by ({HOST}) ({_bridged(select(one), select)})" for one in parts)
    full = indented(f"{ratio(select)} < {number(1 - limits.reclaimable_used)}")
    return f"{share} > {number(limits.reclaimable)}\nand on ({HOST})\n{full}"


def _bridged(selected: str, select: Select) -> str:
    return f"last_over_time({selected}{select.window(_BRIDGED_SECONDS)})"
