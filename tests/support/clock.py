"""A clock that tests move."""

from exporter.core.clock import Clock


class FakeClock:
    """Both clocks of the exporter at once: they go together until one of them is set."""

    def __init__(self, now: float = 1_750_000_000.0) -> None:
        self._monotonic = 1000.0
        self._offset = now - self._monotonic
        self.clock = Clock(now=self.now, monotonic=self.monotonic)

    def now(self) -> float:
        """Unix seconds."""
        return self._monotonic + self._offset

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._monotonic += seconds

    def set(self, now: float) -> None:
        """Set the wall clock, as an administrator does."""
        self._offset = now - self._monotonic
