"""Collects changes until none has come for a second, or for five seconds."""

from msgspec import Struct, field

from exporter.core.dirty import Dirty
from exporter.core.measured import Tree

QUIET_SECONDS = 1.0
LATEST_SECONDS = 5.0
#: With more entries than this, everything is scanned.
MOST_ENTRIES = 4096


class Debounce(Struct):
    """Entries that have changed, and when they are to be scanned. Times are those of a monotonic clock."""

    _entries: set[Tree] = field(default_factory=set)
    _everything: bool = False
    _first: float | None = None
    _last: float = 0.0

    def add(self, now: float, entries: set[Tree], *, everything: bool = False, postpones: bool = True) -> None:
        """Note changes. Those that do not postpone are scanned a second after the first of them at the latest."""
        if not entries and not everything:
            return
        self._entries |= entries
        self._everything = self._everything or everything or len(self._entries) > MOST_ENTRIES
        if self._everything:
            self._entries.clear()
        if postpones or self._first is None:
            self._last = now
        if self._first is None:
            self._first = now

    @property
    def due(self) -> float | None:
        """When the collected changes are to be scanned; None when there are none."""
        if self._first is None:
            return None
        return min(self._last + QUIET_SECONDS, self._first + LATEST_SECONDS)

    @property
    def waiting(self) -> Dirty:
        """The changes collected so far."""
        return Dirty(frozenset(self._entries), self._everything)

    def take_dirty(self) -> Dirty:
        """Return the collected changes and forget them."""
        dirty = self.waiting
        self._entries, self._everything, self._first = set(), False, None
        return dirty
