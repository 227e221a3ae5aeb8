"""Finds out whether a disk fills faster than the measured growth of trees explains."""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from exporter.core.hang_probe import HANG_PROBE
from exporter.core.space import space_of

_LEAST_BYTES = 64 * 1024 * 1024
_FIRST_PAUSE_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 900.0


class Disk(Struct):
    """Compares the free bytes that one filesystem lost with the growth of the trees on it.

    Files outside the root may use the space. So while measuring again does not explain the loss, each pause until the
    next attempt is longer than the one before.
    """

    used: int
    explained: int
    _pause: float = 0.0
    _until: float = 0.0

    def is_losing_space(self, now: float, used: int, explained: int) -> bool:
        """Whether more than 64 MiB were lost since the last True, not counting the growth of the trees."""
        went, grew = used - self.used, explained - self.explained
        if went < grew:
            self.used, self.explained = used, explained
            return False
        if grew >= _LEAST_BYTES or now > self._until + _LONGEST_PAUSE_SECONDS:
            self._pause = self._until = 0.0
        if went - grew <= _LEAST_BYTES or now < self._until:
            return False
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS) or _FIRST_PAUSE_SECONDS
        self._until = now + self._pause
        self.used, self.explained = used, explained
        return True


class DiskPressure:
    """Checks the free space of the root's filesystem, and of those mounted below it that hold trees."""

    def __init__(self) -> None:
        self._disks: dict[int, Disk] = {}

    def is_losing_space(self, now: float, root: str, below: Iterable[str], allocated: Mapping[int, int]) -> bool:
        """Whether one of them loses unexplained space.

        `below`: the mount points of those below the root. `allocated`: the bytes of trees, by their device numbers.
        """
        found = [space for path in (root, *below) if (space := _used_space(path)) is not None]
        used = dict(reversed(found))
        if not found:
            return False
        # A tree with another device number is on the root's filesystem: each btrfs subvolume has its own number.
        rest = found[0][0]
        explained: dict[int, int] = defaultdict(int)
        for device, size in allocated.items():
            explained[device if device in used else rest] += size
        self._disks = {device: self._disks.get(device) or Disk(used[device], explained[device]) for device in used}
        losing = [disk.is_losing_space(now, used[device], explained[device]) for device, disk in self._disks.items()]
        return any(losing)


def _used_space(path: str) -> tuple[int, int] | None:
    """The device number of a filesystem and its used bytes; None if statvfs hangs or fails."""
    if not HANG_PROBE.has_answered(path):
        return None
    try:
        used = space_of(os.statvfs(path)).used
        return None if used is None else (os.stat(path).st_dev, used)
    except OSError:
        return None
