"""What the last week was like: recorded seldom, because such a range has ten thousand values of each series."""

from exporter.rules.alert import Record, Select
from exporter.rules.filesystems import ALLOCATED, AVAIL, FILES_CHANGED, FILES_FREE, RESIZED
from exporter.rules.recording import USED

LOW_SPACE = "mountpoint:docker_storage_filesystem_avail_bytes:low1w"
LOW_FILES = "mountpoint:docker_storage_filesystem_files_free:low1w"
MOST_ALLOCATED = "mountpoint:docker_storage_filesystem_allocated_bytes:max1w"
MOST_USED = "instance:docker_storage_directory_allocated_bytes:max1w"

_HOUR = 3600
_WEEK = 7 * 24 * _HOUR
#: Between two values of the week that are looked at for the usual level.
_SECONDS = 600
#: What is known for less long than this, and the hour before, has no past that a forecast could be compared with.
HISTORY_SECONDS = 23 * _HOUR


def history_records(select: Select) -> list[Record]:
    """The lowest values that are regular, and the highest of the week until an hour ago."""
    week, ago = select.window(_WEEK), select.offset(_HOUR)
    return [
        Record(LOW_SPACE, _low(select, AVAIL, RESIZED)),
        Record(LOW_FILES, _low(select, FILES_FREE, FILES_CHANGED)),
        Record(MOST_ALLOCATED, f"max_over_time({select(ALLOCATED)}{week} {ago})"),
        Record(MOST_USED, f"max_over_time({select(USED)}{week} {ago})"),
    ]


def _low(select: Select, free: str, resized: str) -> str:
    """The fullest hundredth of the week does not count: a past incident is not regular.

    A disk that fills steadily is not at its usual level: 24 hours before it is full it has less than four fifths of the
    space that it had six hours before. The history of a disk that was resized does not count.
    """
    week = f"[{select.settings.window(_WEEK)}:{select.settings.window(_SECONDS)}]"
    low = f"quantile_over_time(0.01, {select(free)}{week} {select.offset(6 * _HOUR)})"
    return f"{low}\nunless\n  last_over_time({select(resized)}{select.window(_WEEK)})"
