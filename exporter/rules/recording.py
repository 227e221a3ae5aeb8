"""Recording rules of the dashboards: those of many hosts and long ranges read these instead of thousands of series."""

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Record, Select

USED = "instance:docker_storage_directory_allocated_bytes:sum"
GROWTH = "directory:docker_storage_directory_allocated_bytes:growth1h"
AVAILABLE = "mountpoint:docker_storage_filesystem_avail:ratio"
SECONDS_TO_FULL = "mountpoint:docker_storage_filesystem_full_seconds:deriv6h"

_HOUR = 3600


def used_record(select: Select) -> Record:
    """What Docker has below the roots of each host. An alert reads it, too.

    While the first scan goes on there is no sum: only some of the directories are served.
    """
    done, trees = select.last(c.INITIAL_TREES_DONE), select.last(c.INITIAL_TREES)
    used = f"sum by ({select.host}) ({select.last(c.DIRECTORY_ALLOCATED)})"
    return Record(USED, f"{used}\nunless on ({select.host})\n  ({done} < {trees})")


def recording_rules(select: Select) -> list[Record]:
    """The series that only dashboards read."""
    avail, size = select.last(c.FILESYSTEM_AVAIL), select.last(c.FILESYSTEM_SIZE)
    fall = f"deriv({select(c.FILESYSTEM_AVAIL)}{select.window(6 * _HOUR)}) < 0"
    return [
        Record(GROWTH, f"3600 * deriv({select(c.DIRECTORY_ALLOCATED)}{select.trend(_HOUR)})"),
        Record(AVAILABLE, f"{avail} / ({size} > 0)"),
        Record(SECONDS_TO_FULL, f"{avail} / -({fall})"),
    ]
