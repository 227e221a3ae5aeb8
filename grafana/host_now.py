"""The rows Now and Growth: how full the disk is, when it will be full, and which part grows."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders.dashboard import DashboardRangeMapOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from exporter.figures.needs import Figure
from exporter.figures.prunes import Category
from grafana.panels import BYTES, COUNT, RATE, SHARE, TIME, Column, dial, figure, graph, listing
from grafana.queries import known, metric, not_known, total

_YEAR = 31536000
_FULL = ((0.7, "yellow"), (0.9, "red"))
_ANY = ((1, "orange"),)
_MUCH = ((1024.0**3, "orange"),)


def time_to_full() -> str:
    """Seconds until the disk is full at the rate of the last six hours, one year at most."""
    avail = metric("filesystem_avail_bytes")
    return f"clamp_max({avail} / clamp_min(-deriv({avail}[6h]), 1), {_YEAR})"


def used() -> str:
    """The share of each filesystem that is not available."""
    return f"1 - {metric('filesystem_avail_bytes')} / {metric('filesystem_size_bytes')}"


def not_filling() -> board.ValueMapping:
    """Shows a year or more as a text."""
    result = board.ValueMappingResult(text="not filling", color="green")
    options = DashboardRangeMapOptions().from_val(_YEAR).to(100 * _YEAR).result(result).build()
    return board.RangeMap(options=options)


def now() -> Iterator[Builder[board.Panel]]:
    """The row Now: one number for each question."""
    place = "{{instance}} {{mountpoint}}"
    yield dial(
        "Disk used",
        "Not available to Docker. Above 90 %: free space now (row Clean-up).",
        used(),
        place,
        _FULL,
    )
    yield figure(
        "Time to full",
        "At the rate of the last six hours. Less than a day: row Growth shows what grows.",
        TIME,
        time_to_full(),
        place,
        levels=((0, "red"), (86400, "orange"), (604800, "green")),
        mappings=(not_filling(),),
    )
    data = total(metric("directory_allocated_bytes"))
    yield figure("Docker data", "Disk blocks below the data root, as du -x counts them.", BYTES, data)
    reclaimable = known(total(metric("reclaimable_bytes")), *Category)
    yield figure("Reclaimable", "What all prunes would free. Row Clean-up shows the categories.", BYTES, reclaimable)
    orphaned = total(metric("layers_allocated_bytes", 'use="orphaned"'))
    text = "Layers that nothing refers to. No prune removes them: see the runbook DockerStorageOrphanedLayers."
    yield figure("Orphaned", text, BYTES, orphaned, levels=_MUCH)
    text = "Disk blocks below the root that belong to no layer, container or volume, such as metadata."
    yield figure("Unattributed", text, BYTES, total(metric("unattributed_allocated_bytes")))
    counts = {
        "Layers": (Figure.LAYERS_OF_OTHERS, "Layer directories on disk. Row Layers shows their use."),
        "Images": (Figure.IMAGE_STATES, "Images, the intermediate ones included. Row Images shows their states."),
        "Containers": (Figure.CONTAINER_STATES, "All containers. Stopped ones use space, too: row Containers."),
        "Volumes": (Figure.VOLUME_STATES, "Used and unused volumes. Row Volumes lists them."),
    }
    for title, (needs, text) in counts.items():
        yield figure(title, text, COUNT, known(total(metric(title.lower())), needs), size=(4, 4))
    text = "Parts of the root that were not read whole: figures that need them are absent. Row Exporter names them."
    yield figure("Not known", text, COUNT, not_known(), levels=((1, "orange"),), size=(4, 4))
    age = f"time() - {metric('snapshot_timestamp_seconds')}"
    text = "Time since the snapshot that is served was taken. Above an hour: see row Exporter."
    yield figure("Age of the figures", text, TIME, age, levels=((3600, "orange"),), size=(4, 4))


def growth() -> Iterator[Builder[board.Panel]]:
    """The row Growth: which part grows, and when the disk will be full."""
    allocated, avail = metric("directory_allocated_bytes"), metric("filesystem_avail_bytes")
    by = "{{instance}} {{root}} {{directory}}"
    text = "Disk blocks of each top-level entry. The widest band has the most data; aufs and overlay2 are layers."
    shown = total(allocated, "root", "directory")
    yield graph("Where the space goes", text, BYTES, [(shown, by)], stacked=True)
    text = "Slope over the last hour. A directory that stays above zero fills the disk."
    yield graph("Growth by directory", text, RATE, [(f"deriv({allocated}[1h])", by)])
    text = (
        "Available space, and its forecast for a day by the trend of six hours: below zero is full. Root has a reserve."
    )
    place = "{{instance}} {{mountpoint}}"
    forecast = f"predict_linear({avail}[6h], 86400)"
    free = metric("filesystem_free_bytes")
    queries = [(avail, f"{place} available"), (free, f"{place} free for root")]
    yield graph("Free space and forecast", text, BYTES, [*queries, (forecast, f"{place} available in 24 h")])
    files = f"1 - {metric('filesystem_files_free')} / ({metric('filesystem_files')} > 0)"
    text = "Used inodes. Without free inodes no file can be created, however much space is free."
    yield graph("Inodes used", text, SHARE, [(files, place)])
    columns = [Column("Disk blocks", BYTES, total(allocated, "root", "directory"))]
    columns += [Column("Size", BYTES, total(metric("directory_size_bytes"), "root", "directory"))]
    columns += [Column("Inodes", COUNT, total(metric("directory_inodes"), "root", "directory"))]
    text = "As du of the root. A size above the disk blocks means sparse files."
    names = {"instance": "Host", "root": "Root", "directory": "Directory"}
    yield listing("Directories", text, names, columns, size=(16, 9))
    names = {"instance": "Host", "mountpoint": "Mount point", "device": "Device", "fstype": "Type"}
    text = "1: mounted read-only, Docker cannot write there."
    only = [Column("Read-only", COUNT, metric("filesystem_readonly"))]
    yield listing("Filesystems", text, names, only, size=(8, 9))
