"""How much CPU time scanning may take after the first scan: a fraction of one core, on average."""

from dataclasses import dataclass

#: What was not used is saved up to this many seconds, so that a rare scan need not wait.
_SAVED_SECONDS = 60.0
#: ... of which audits leave so much to what events tell of.
_RESERVED_SECONDS = 10.0


@dataclass(slots=True)
class Budget:
    """An account of CPU seconds that fills with time. Times are those of a monotonic clock."""

    share: float
    balance: float = 0.0
    _paid: float | None = None
    _spent: float = 0.0

    def update(self, now: float, cpu: float) -> None:
        """Pay in for the time since the last call, and take out what `cpu`, a running total, has grown by."""
        if self._paid is None:
            self._paid, self._spent, self.balance = now, cpu, self.share * _SAVED_SECONDS
            return
        self.balance += (now - self._paid) * self.share - (cpu - self._spent)
        self.balance = min(self.balance, self.share * _SAVED_SECONDS)
        self._paid, self._spent = now, cpu

    @property
    def pace(self) -> float:
        """What one large audit may take of a core: the rest must be able to go on meanwhile."""
        return self.share / 2

    def wait(self, *, audit: bool = False) -> float:
        """For how many seconds there is nothing to spend, or not on an `audit`."""
        return max(0.0, (_RESERVED_SECONDS if audit else 0.0) - self.balance / self.share)
