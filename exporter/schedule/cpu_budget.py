"""How much CPU time scanning may take after the first scan: a fraction of one core, on average."""

from dataclasses import dataclass

#: What was not used is kept, up to the share of this many seconds, so that a rare scan need not wait.
_SAVED_SECONDS = 60.0
#: Measuring trees again leaves the share of this many seconds for what events tell of.
_RESERVED_SECONDS = 10.0


@dataclass(slots=True)
class Budget:
    """CPU seconds that may be spent: `share` of each second that passes. Times are those of a monotonic clock."""

    share: float
    balance: float = 0.0
    _paid: float | None = None
    _spent: float = 0.0

    def update(self, now: float, cpu: float) -> None:
        """Add the share of the time since the last call, and subtract what was spent; `cpu` is a running total."""
        if self._paid is None:
            self._paid, self._spent, self.balance = now, cpu, self.share * _SAVED_SECONDS
            return
        self.balance += (now - self._paid) * self.share - (cpu - self._spent)
        self.balance = min(self.balance, self.share * _SAVED_SECONDS)
        self._paid, self._spent = now, cpu

    @property
    def pace(self) -> float:
        """The fraction of a core that measuring one large tree again may use: half, so that events are not delayed."""
        return self.share / 2

    def wait(self, *, audit: bool = False) -> float:
        """For how many seconds nothing may be spent; with `audit`, nothing on measuring trees again."""
        return max(0.0, (_RESERVED_SECONDS if audit else 0.0) - self.balance / self.share)
