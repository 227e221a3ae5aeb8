"""The rows Now and Growth: how full the disk is, when it will be full, and which part grows."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from exporter.figures.needs import Figure
from exporter.figures.prunes import Category
from exporter.rules.recording import AVAILABLE, GROWTH, SECONDS_TO_FULL, USED
from grafana.links import to_runbook
from grafana.panels import BYTES, COUNT, RATE, SHARE, TIME, Column, dial, figure, graph, listing
from grafana.queries import BANDS, DISK, HOST, alerts, bands, known, metric, not_known, plain, recorded, total, whole
from grafana.words import GOOD, LATER, NOW, YEAR, not_filling, nothing, yes_or_no

FULL = ((0.7, "yellow"), (0.9, NOW))
WHEN_FULL = ((None, NOW), (86400, LATER), (604800, GOOD))
AGE = ((3600, LATER),)
ANY = ((1, LATER),)
MUCH = ((1e9, LATER),)
_PLACE = "{{instance}} {{mountpoint}}"
#: Shown for a figure that is left out because a part of the root was not read.
_UNKNOWN = "not known"


def available() -> str:
    """The share of each filesystem that is available."""
    return recorded(AVAILABLE, f"{metric('filesystem_avail_bytes')} / ({metric('filesystem_size_bytes')} > 0)", DISK)


def time_to_full() -> str:
    """Seconds until the disk is full at the rate of the last six hours, one year at most.

    A disk of which there is one sample is neither filling nor not.
    """
    avail = metric("filesystem_avail_bytes")
    filling = recorded(SECONDS_TO_FULL, f"{avail} / -(deriv({avail}[6h]) < 0)", DISK)
    falls_not = f"0 * (deriv({avail}[6h]) >= 0) + {YEAR}"
    return f"clamp_max({filling} or on ({', '.join(DISK)}) {falls_not}, {YEAR})"


def used() -> str:
    """The share of each filesystem that is not available."""
    return f"1 - {available()}"


def data() -> str:
    """Docker's data on each host."""
    return recorded(USED, whole(total(metric("directory_allocated_bytes"))))


def reclaimable() -> str:
    """What all prunes would free on each host; nothing where that of one category is not known."""
    return whole(known(total(metric("reclaimable_bytes")), *Category))


def orphaned() -> str:
    """The disk blocks of orphaned layers of each host."""
    return whole(total(metric("layers_allocated_bytes", 'use="orphaned"')))


def slope() -> str:
    """The growth of each directory over the last hour, in bytes a second."""
    raw = f"3600 * deriv({metric('directory_allocated_bytes')}[1h])"
    return f"{recorded(GROWTH, raw, (*HOST, 'root', 'directory'))} / 3600"


def alert_list(expression: str, size: tuple[int, int]) -> Builder[board.Panel]:
    """The alerts that are pending or fire, and for how long."""
    since = expression.replace("ALERTS", "ALERTS_FOR_STATE", 1)
    asked = f"{expression} * ignoring (alertstate) group_left () (time() - {since})"
    names = {"alertname": "Alert", "severity": "Severity", "alertstate": "State", "instance": "Host"}
    names |= {"mountpoint": "Mount point", "name": "Container"}
    text = "Alerts of the rules for Prometheus that are pending or fire. The name is a link to the runbook."
    severe = {"critical": NOW, "warning": LATER, "info": "blue"}
    colours = [
        board.ValueMap(
            options={word: board.ValueMappingResult(text=word, color=colour) for word, colour in severe.items()}
        )
    ]
    shown = [
        board.DynamicConfigValue(id_val="mappings", value=colours),
        board.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
    ]
    overrides = {"Alert": [to_runbook()], "Severity": shown}
    columns = [Column("For", TIME, asked)]
    return listing("Alerts", text, names, columns, size=size, overrides=overrides, absent="No alert is pending.")


def now() -> Iterator[Builder[board.Panel]]:
    """The row Now: one number for each question."""
    text = "Not available to Docker. Above 90 %: free space now (row Clean-up), see DockerStorageFilesystemAlmostFull."
    yield dial("Disk used", text, used(), _PLACE, FULL)
    text = (
        "At the rate of the last six hours. Less than a day: row Growth shows what grows. "
        "See DockerStorageFilesystemFillingUp and DockerStorageFilesystemFullSoon."
    )
    yield figure("Time to full", text, TIME, time_to_full(), _PLACE, levels=WHEN_FULL, mappings=not_filling())
    text = "Disk blocks below the data root, as du -x counts them. It is not known until the first scan is done."
    yield figure("Docker data", text, BYTES, data(), absent=_UNKNOWN)
    text = "What all prunes would free. Row Clean-up shows the categories. See DockerStorageReclaimableHigh."
    yield figure("Reclaimable", text, BYTES, reclaimable(), absent=_UNKNOWN)
    text = "Layers that nothing refers to. No prune removes them: see the runbook DockerStorageOrphanedLayers."
    yield figure("Orphaned", text, BYTES, orphaned(), levels=MUCH, absent=_UNKNOWN)
    text = "Disk blocks below the root that belong to no layer, container or volume, such as metadata."
    yield figure("Unattributed", text, BYTES, total(metric("unattributed_allocated_bytes")), absent=_UNKNOWN)
    counts = {
        "Layers": (Figure.LAYERS_OF_OTHERS, "Layer directories on disk. Row Layers shows their use."),
        "Images": (Figure.IMAGE_STATES, "Images, the intermediate ones included. Row Images shows their states."),
        "Containers": (Figure.CONTAINER_STATES, "All containers. Stopped ones use space, too: row Containers."),
        "Volumes": (Figure.VOLUME_STATES, "Used and unused volumes. Row Volumes lists them."),
    }
    for title, (needs, text) in counts.items():
        yield figure(title, text, COUNT, known(total(metric(title.lower())), needs), size=(3, 4), absent=_UNKNOWN)
    text = "1 where the data root could be read. Where it could not: see DockerStorageRootUnreadable."
    levels = ((None, NOW), (1, GOOD))
    words = yes_or_no(no=NOW)
    yield figure("Root readable", text, COUNT, metric("up"), levels=levels, size=(4, 4), mappings=words)
    text = (
        "Parts of the root that were not read whole: figures that need them are absent. Row Exporter names them. "
        "See DockerStorageNotKnown."
    )
    yield figure("Not known", text, COUNT, not_known(), levels=ANY, size=(4, 4), mappings=nothing("all is known"))
    age = f"time() - {metric('snapshot_timestamp_seconds')}"
    text = (
        "Time since the snapshot that is served was taken. Above an hour: see row Exporter and DockerStorageScanStale."
    )
    yield figure("Age of the figures", text, TIME, age, levels=AGE, size=(4, 4))
    yield alert_list(alerts(), (24, 5))


def growth() -> Iterator[Builder[board.Panel]]:
    """The row Growth: which part grows, and when the disk will be full."""
    allocated, avail = metric("directory_allocated_bytes"), metric("filesystem_avail_bytes")
    by = "{{instance}} {{root}} {{directory}}"
    text = f"Disk blocks of each top-level entry: the widest band has most; aufs and overlay2 are layers. {BANDS}"
    shown = bands("directory_allocated_bytes", "root", "directory")
    yield graph("Where the space goes", text, BYTES, [(shown, by)], stacked=True)
    text = (
        "Slope over the last hour. A directory that stays above zero fills the disk: see DockerStorageGrowthHigh, and "
        "the row of that directory."
    )
    yield graph("Growth by directory", text, RATE, [(slope(), by)])
    text = (
        "Available space, and its forecast for a day by the trend of six hours: below zero is full. Root has a reserve."
    )
    forecast = f"predict_linear({avail}[6h], 86400)"
    free = metric("filesystem_free_bytes")
    queries = [(avail, f"{_PLACE} available"), (free, f"{_PLACE} free for root")]
    yield graph("Free space and forecast", text, BYTES, [*queries, (forecast, f"{_PLACE} available in 24 h")])
    files = inodes()
    text = (
        "Used inodes. Without free inodes no file can be created, however much space is free: "
        "see DockerStorageInodesAlmostExhausted and DockerStorageInodesFillingUp."
    )
    yield graph("Inodes used", text, SHARE, [(files, _PLACE)], levels=((0.9, LATER), (0.95, NOW)))
    columns = [Column("Disk blocks", BYTES, total(allocated, "root", "directory"))]
    columns += [Column("Size", BYTES, total(metric("directory_size_bytes"), "root", "directory"))]
    columns += [Column("Inodes", COUNT, total(metric("directory_inodes"), "root", "directory"))]
    text = "As du of the root. A size above the disk blocks means sparse files."
    names = {"instance": "Host", "root": "Root", "directory": "Directory"}
    yield listing("Directories", text, names, columns, size=(12, 8))
    names = {"instance": "Host", "mountpoint": "Mount point", "device": "Device", "fstype": "Type"}
    text = (
        "Filesystems below the root, what Docker has on each, and what all prunes free there. Docker cannot write to "
        "one that is read-only: see DockerStorageFilesystemReadOnly."
    )
    columns = [
        Column("Used", SHARE, f"1 - {avail} / ({metric('filesystem_size_bytes')} > 0)", levels=FULL),
        Column("Size", BYTES, metric("filesystem_size_bytes")),
        Column("Docker data", BYTES, metric("filesystem_allocated_bytes")),
        Column("Reclaimable", BYTES, metric("filesystem_reclaimable_bytes")),
        Column("Read-only", COUNT, metric("filesystem_readonly"), words=yes_or_no(yes=NOW)),
    ]
    yield listing("Filesystems", text, names, columns, size=(12, 8))


def inodes() -> str:
    """The share of each filesystem's inodes that is used."""
    return f"1 - {metric('filesystem_files_free')} / ({metric('filesystem_files')} > 0)"


def silent() -> str:
    """Targets of the job that do not answer."""
    return f"{plain('up')} == 0"
