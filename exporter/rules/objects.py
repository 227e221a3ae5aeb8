"""Alerts on layers: orphaned and missing ones; and on the space that a prune would free."""

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Alert, Record, Select, enclosed
from exporter.rules.containers import ROOT_SIZE, over
from exporter.rules.filesystems import root_of
from exporter.rules.recording import USED
from exporter.rules.settings import Settings
from exporter.rules.thresholds import Thresholds, number

#: The disk blocks of orphaned layers by driver and namespace, and the share of what Docker has on a filesystem that a
#: prune frees there.
ORPHANED = "driver:docker_storage_layers_allocated_bytes:orphaned"
FREED = "mountpoint:docker_storage_filesystem_reclaimable:ratio"

_SIZE = "{{ $value | humanize }}B"
_DRIVER = "{{ $labels.instance }} (driver {{ $labels.driver }}{{ with $labels.namespace }}, namespace {{ . }}{{ end }})"
_HOUR = 3600


def object_records(settings: Settings) -> list[Record]:
    """The series that these alerts read."""
    select = Select(settings)
    freed = f"{select.last(c.FILESYSTEM_RECLAIMABLE)} / ({select.last(c.FILESYSTEM_ALLOCATED)} > 0)"
    orphaned = select.last(c.LAYERS_ALLOCATED, 'use="orphaned"')
    return [Record(ORPHANED, select.held(ORPHANED, orphaned)), Record(FREED, select.held(FREED, freed))]


def object_alerts(settings: Settings) -> list[Alert]:
    """Make the alerts on layers and on what is reclaimable."""
    select, limits = Select(settings), settings.thresholds
    return [
        Alert(
            "DockerStorageOrphanedLayers",
            "warning",
            6 * _HOUR,
            over(select, select(ORPHANED), limits.orphaned, limits.orphaned_share, ROOT_SIZE),
            "There are orphaned layers on {{ $labels.instance }}",
            f"Layers on {_DRIVER} that no image, container or build refers to occupy {_SIZE}. No prune removes them.",
        ),
        Alert(
            "DockerStorageMissingLayers",
            "critical",
            900,
            f"{select.last(c.MISSING_LAYERS)} > 0",
            "Layers are missing on {{ $labels.instance }}",
            f"Images or containers on {_DRIVER} refer to {{{{ $value }}}} layers that are not on disk: these containers"
            " cannot start.",
        ),
        Alert(
            "DockerStorageReclaimableHigh",
            "info",
            12 * _HOUR,
            _reclaimable(select, limits),
            "A prune on {{ $labels.instance }} would free much space",
            "{{ $value | humanizePercentage }} of Docker's data on {{ with $labels.mountpoint }}{{ . }} on {{ end }}"
            "{{ $labels.instance }} could be removed, and the"
            f" disk is more than {100 * limits.reclaimable_used:g}% full.",
        ),
    ]


def _reclaimable(select: Select, limits: Thresholds) -> str:
    """By filesystem; and by host, for exporters that do not add up by filesystem."""
    host, level, share = select.host, number(1 - limits.reclaimable_used), number(limits.reclaimable)
    left = f"{select.last(c.FILESYSTEM_AVAIL)} / ({select.last(c.FILESYSTEM_SIZE)} > 0)"
    by_place = f"{select(FREED)} > {share}\nand\n  {left} < {level}"
    of_host = f"sum by ({host}) ({select.last(c.RECLAIMABLE)}) / last_over_time({select(USED)}{select.bridge})"
    roots = f"({enclosed(root_of(select, c.FILESYSTEM_AVAIL))} / ({select.last(c.FILESYSTEM_SIZE)} > 0)) < {level}"
    by_host = f"{of_host} > {share}\nand on ({host})\n  {roots}\nunless on ({host}) {select(FREED)}"
    return f"{by_place}\nor\n{enclosed(by_host)}"
