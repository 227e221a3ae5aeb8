"""What the rules record of filesystems, so that each is judged by itself and a lost scrape changes nothing.

Datasets of one ZFS pool share its free space: they are one thing, with the name of the pool as `device` and without
`mountpoint`. A dataset that has less space than the pool, because of a quota, is a thing of its own. All other
filesystems go by their mount point: a device may have another name after a reboot, and is replaced by a larger one.
"""

from exporter.expose.metrics import catalogue as c
from exporter.rules.alert import Record, Select, indented, joined

AVAIL = "mountpoint:docker_storage_filesystem_avail_bytes:last"
SIZE = "mountpoint:docker_storage_filesystem_size_bytes:last"
FILES_FREE = "mountpoint:docker_storage_filesystem_files_free:last"
FILES = "mountpoint:docker_storage_filesystem_files:last"
ALLOCATED = "mountpoint:docker_storage_filesystem_allocated_bytes:last"
#: Filesystems of which the size, or the number of inodes, was another one within three hours.
RESIZED = "mountpoint:docker_storage_filesystem_size_bytes:resized"
FILES_CHANGED = "mountpoint:docker_storage_filesystem_files:resized"
#: The size of the filesystem that the root lies on, with the labels as the exporter serves them.
ROOT = "mountpoint:docker_storage_filesystem_root_size_bytes:last"

_POOL = '"pool", "$1", "device", "([^/]+).*"'
_ZFS, _OTHERS = 'fstype="zfs"', 'fstype!="zfs"'
#: Filesystems that nobody can write to are images.
IMAGES = "squashfs|erofs|cramfs|iso9660|udf"
#: In which a filesystem was resized, in seconds; and how long that may take.
_PAST, _MOMENTS = 3 * 3600, 900
#: For hosts whose exporter does not say which filesystem is which: not the mounts of volumes, and no images.
_PROBABLY_ROOT = ('mountpoint!~".+/volumes/.+"', f'fstype!~"{IMAGES}"')


def filesystem_records(select: Select) -> list[Record]:
    """The series of filesystems that alerts read."""
    return [
        Record(AVAIL, _available(select)),
        Record(SIZE, _pooled(select, c.FILESYSTEM_SIZE, "max")),
        Record(FILES_FREE, _pooled(select, c.FILESYSTEM_FILES_FREE, "min")),
        Record(FILES, _pooled(select, c.FILESYSTEM_FILES, "max")),
        Record(ALLOCATED, _pooled(select, c.FILESYSTEM_ALLOCATED, "sum")),
        Record(ROOT, root_of(select, c.FILESYSTEM_SIZE)),
        Record(RESIZED, joined("or", _resized(select, SIZE, _OTHERS), _resized_at_once(select, SIZE, _ZFS))),
        Record(FILES_CHANGED, _resized(select, FILES)),
    ]


def _pools(select: Select, metric: c.Metric) -> str:
    return f"label_replace({select.last(metric, _ZFS)}, {_POOL})"


def _available(select: Select) -> str:
    pools = _pools(select, c.FILESYSTEM_AVAIL)
    most = f"on ({select.host}, pool) group_left ()\n  (0.9 * max by ({select.host}, pool) ({pools}))"
    return joined(
        "or",
        _by_mount_point(select, c.FILESYSTEM_AVAIL),
        f'{select.last(c.FILESYSTEM_AVAIL, _ZFS)}\nand\n  label_replace({pools} < {most}, "pool", "", "", "")',
        _of_pools(select, "min", f"{pools} >= {most}"),
    )


def _pooled(select: Select, metric: c.Metric, aggregate: str) -> str:
    """The same of another family. What has a quota of its own is in `AVAIL` by itself."""
    alone = f"on ({select.host}, mountpoint) {select(AVAIL)}"
    return joined(
        "or",
        _by_mount_point(select, metric),
        f"{select.last(metric, _ZFS)} and {alone}",
        _of_pools(select, aggregate, f"{_pools(select, metric)}\nunless {alone}"),
    )


def _by_mount_point(select: Select, metric: c.Metric) -> str:
    return f"max by ({select.host}, mountpoint, fstype) ({select.last(metric, _OTHERS)})"


def _of_pools(select: Select, aggregate: str, datasets: str) -> str:
    named = f'label_replace(\n{indented(datasets)},\n  "device", "$1", "pool", "(.+)"\n)'
    return f"{aggregate} by ({select.host}, device, fstype) (\n{indented(named)}\n)"


def _resized(select: Select, size: str, *matchers: str) -> str:
    sizes = f"{select(size, *matchers)}{select.window(_PAST)}"
    return f"max_over_time({sizes}) > 1.1 * min_over_time({sizes})"


def _resized_at_once(select: Select, size: str, *matchers: str) -> str:
    """The size of a dataset is what it has and what the pool has left: it shrinks when others fill the pool."""
    settings, moments = select.settings, f"{select(size, *matchers)}{select.window(_MOMENTS)}"
    past = f"[{settings.window(_PAST)}:{settings.window(_MOMENTS / 2)}]"
    return f"max_over_time((max_over_time({moments}) / min_over_time({moments})){past}) > 1.1"


def gone(select: Select) -> str:
    """The filesystems that some scrapes, one after the other, have not seen: bridged, but maybe unmounted."""
    seen = f"last_over_time({select(c.FILESYSTEM_AVAIL)}{select.window(select.settings.moments)})"
    return f"{select.last(c.FILESYSTEM_AVAIL)} unless {seen}"


def lies_on(select: Select, directory: str) -> str:
    """Which filesystem a directory of the root lies on."""
    return select.last(c.DIRECTORY_FILESYSTEM, f'directory="{directory}"')


def root_of(select: Select, metric: c.Metric, directory: str = ".") -> str:
    """A family of filesystems, for the one that the root lies on, or one of its directories.

    Where an exporter does not say that, as those before it did not, all that may be it.
    """
    told = lies_on(select, directory)
    return joined(
        "or",
        f"{select.last(metric)} and on ({select.host}, mountpoint) {told}",
        f"{select.last(metric, *_PROBABLY_ROOT)} unless on ({select.host}) {told}",
    )


def images(select: Select) -> str:
    """The filesystems that are read-only and hold no root: images, which are full by their nature."""
    readonly = f"{select.last(c.FILESYSTEM_READONLY)} == 1"
    return f"{readonly} unless on ({select.host}, mountpoint) {select(ROOT)}"
