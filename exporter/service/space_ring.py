"""How full the filesystems were in the last hour: a ring in the serving process, which begins anew with that."""

import os
from collections import deque
from collections.abc import Iterable

from exporter.core.model import Filesystem
from exporter.core.space import space_of
from exporter.expose.growing import SpaceThen

#: How often it is noted, and how many of the notes are kept: an hour and one pause.
PAUSE_SECONDS = 300.0
_KEPT = 13
_HOUR = 3600.0


class SpaceRing:
    """The used bytes of each filesystem by its path. All times are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, dict[str, int | None]]] = deque(maxlen=_KEPT)
        self._begun: float | None = None

    def note(self, now: float, answers: Iterable[tuple[Filesystem, os.statvfs_result]]) -> None:
        """Note what the filesystems that answered say now. Where none did, nothing is noted."""
        used = {one.path: space_of(status).used for one, status in answers}
        if used:
            self._begun = now if self._begun is None else self._begun
            self._kept.append((now, used))

    def then(self, now: float) -> SpaceThen | None:
        """What was noted an hour ago, or first; None where nothing is."""
        if not self._kept or self._begun is None:
            return None
        at, used = next((one for one in reversed(self._kept) if now - one[0] >= _HOUR), self._kept[0])
        return SpaceThen(now - at, now - self._begun, used)
