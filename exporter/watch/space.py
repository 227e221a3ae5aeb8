"""Whether the disk fills faster than what was measured explains."""

import os
from collections.abc import Iterable

from exporter.measured import Measured

_LEAST_BYTES = 64 * 1024 * 1024


class Space:
    """Compares, from one look to the next, the space that went with the growth that was seen."""

    def __init__(self) -> None:
        self._used: int | None = None
        self._explained = 0

    def vanishes(self, path: str, trees: Iterable[Measured]) -> bool:
        """Whether more than 64 MiB went since the last time this said so, beyond what the trees have grown."""
        try:
            status = os.statvfs(path)
        except OSError:
            return False
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        explained = sum(tree.usage.allocated for tree in trees)
        if self._used is None or used - self._used < explained - self._explained:
            self._used, self._explained = used, explained
            return False
        if used - self._used - (explained - self._explained) <= _LEAST_BYTES:
            return False
        self._used, self._explained = used, explained
        return True
