"""A clock that tests move."""

from dataclasses import dataclass

from exporter.core.clock import Clock


@dataclass
class FakeClock:
    """Both clocks of the exporter: `uptime` cannot be set back, `date` (Unix seconds) can be set to anything."""

    uptime: float = 5000.0
    date: float = 1_750_000_000.0

    @property
    def clock(self) -> Clock:
        """What the product is given."""
        return Clock(now=lambda: self.date, monotonic=lambda: self.uptime)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.uptime += seconds
        self.date += seconds
