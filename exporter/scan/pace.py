"""When the figures of a first scan are published that are known until then."""

_SHORTEST_SECONDS, _LONGEST_SECONDS = 1.0, 30.0
#: Of the time of a first scan, publications may take about a tenth.
_PAUSES = 10


class Pace:
    """At first often, then less often: each pause is as long as the scan has taken until then, within limits.

    All times are seconds of the monotonic clock.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def is_due(self, now: float) -> bool:
        """Whether it is time to publish."""
        return now >= self._next

    def note(self, began: float, now: float, seconds: float) -> None:
        """Note a publication that took so many seconds, of a scan that began then."""
        pause = min(max(now - began, _SHORTEST_SECONDS), _LONGEST_SECONDS)
        self._next = now + max(pause, _PAUSES * seconds)
