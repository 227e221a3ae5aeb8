"""The rows Now and Growth: is it full, when, and what part grows."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import DashboardRangeMapOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from grafana.panels import BYTES, COUNT, RATE, SHARE, TIME, Column, dial, figure, graph, listing
from grafana.queries import metric, total

_YEAR = 31536000
_FULL = ((0.7, "yellow"), (0.9, "red"))
_ANY = ((1, "orange"),)
_MUCH = ((1024.0**3, "orange"),)


def time_to_full() -> str:
    """Seconds until no space is left at the pace of the last six hours, a year at most."""
    avail = metric("filesystem_avail_bytes")
    return f"clamp_max({avail} / clamp_min(-deriv({avail}[6h]), 1), {_YEAR})"


def used() -> str:
    """The share of each filesystem that is not available."""
    return f"1 - {metric('filesystem_avail_bytes')} / {metric('filesystem_size_bytes')}"


def not_filling() -> board.ValueMapping:
    """Say in words what a year or more is."""
    result = board.ValueMappingResult(text="not filling", color="green")
    options = DashboardRangeMapOptions().from_val(_YEAR).to(100 * _YEAR).result(result).build()
    return board.RangeMap(options=options)


def now() -> Iterator[Builder[board.Panel]]:
    """Numbers that say at a glance whether to read on."""
    place = "{{instance}} {{mountpoint}}"
    yield dial("Disk used", "Not available to Docker. Above 90 %: make room now (row Clean-up).", used(), place, _FULL)
    yield figure(
        "Time to full",
        "At the pace of the last six hours. Under a day: see row Growth for what grows.",
        TIME,
        time_to_full(),
        place,
        levels=((0, "red"), (86400, "orange"), (604800, "green")),
        mappings=(not_filling(),),
    )
    data = total(metric("directory_allocated_bytes"))
    yield figure("Docker data", "Disk blocks below the data root: what du -x counts.", BYTES, data)
    reclaimable = total(metric("reclaimable_bytes"))
    yield figure("Reclaimable", "What prunes would free. By category in row Clean-up.", BYTES, reclaimable)
    orphaned = total(metric("layers_allocated_bytes", 'use="orphaned"'))
    text = "Layers that nothing refers to. No prune removes them: see the runbook of DockerStorageOrphanedLayers."
    yield figure("Orphaned", text, BYTES, orphaned, levels=_MUCH)
    text = "Below the root but of no layer, container or volume: metadata, and whatever else was put there."
    yield figure("Unattributed", text, BYTES, total(metric("unattributed_allocated_bytes")))
    counts = {
        "Layers": ("layers", "Layer directories on disk. By use in row Layers."),
        "Images": ("images", "Images with the intermediate ones. By state in row Images."),
        "Containers": ("containers", "All states. Stopped ones hold space too: row Containers."),
        "Volumes": ("volumes", "Used and unused. Row Volumes names them."),
    }
    for title, (name, text) in counts.items():
        yield figure(title, text, COUNT, total(metric(name)), size=(4, 4))
    age = f"time() - {metric('snapshot_timestamp_seconds')}"
    text = "Since the last change or audit was served. Above an hour: row Exporter."
    yield figure("Age of the figures", text, TIME, age, levels=((3600, "orange"),), size=(8, 4))


def growth() -> Iterator[Builder[board.Panel]]:
    """What part of the root grows, and when that is the end."""
    allocated, avail = metric("directory_allocated_bytes"), metric("filesystem_avail_bytes")
    by = "{{instance}} {{directory}}"
    text = "Disk blocks of each top-level entry. The widest band is where to look: aufs and overlay2 are layers."
    shown = total(allocated, "directory")
    yield graph("Where the space goes", text, BYTES, [(shown, by)], stacked=True)
    text = "Slope over the last hour. What stays above zero for long is what fills the disk."
    yield graph("Growth by directory", text, RATE, [(f"deriv({allocated}[1h])", by)])
    text = "Available now, and in a day at the pace of six hours: below zero the disk is full. Root has a reserve."
    place = "{{instance}} {{mountpoint}}"
    forecast = f"predict_linear({avail}[6h], 86400)"
    free = metric("filesystem_free_bytes")
    queries = [(avail, f"{place} available"), (free, f"{place} free for root")]
    yield graph("Free space and forecast", text, BYTES, [*queries, (forecast, f"{place} available in 24 h")])
    files = f"1 - {metric('filesystem_files_free')} / ({metric('filesystem_files')} > 0)"
    text = "Used inodes. When they run out nothing can be written, however much space is free."
    yield graph("Inodes used", text, SHARE, [(files, place)])
    columns = [Column("Disk blocks", BYTES, total(allocated, "directory"))]
    columns += [Column("Size", BYTES, total(metric("directory_size_bytes"), "directory"))]
    columns += [Column("Inodes", COUNT, total(metric("directory_inodes"), "directory"))]
    text = "The du of the root. Sizes above the blocks are sparse files; a read-only filesystem cannot fill."
    yield listing("Directories", text, {"instance": "Host", "directory": "Directory"}, columns, size=(16, 9))
    names = {"instance": "Host", "mountpoint": "Mount point", "device": "Device", "fstype": "Type"}
    text = "1 is a filesystem that is mounted read-only: Docker cannot write there."
    only = [Column("Read-only", COUNT, metric("filesystem_readonly"))]
    yield listing("Filesystems", text, names, only, size=(8, 9))
