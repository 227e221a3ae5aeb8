"""The CPU time that scans may use after the first one: a fraction of one core, on average."""

from msgspec import Struct

#: Unused CPU time is saved, at most the share of this many seconds. So a rare scan need not wait.
_SAVED_SECONDS = 60.0
#: Audits leave the share of this many seconds unused, for scans after events.
_RESERVED_SECONDS = 10.0


class Budget(Struct):
    """CPU seconds that may be spent: `share` of each second that passes. Times are those of a monotonic clock."""

    share: float
    balance: float = 0.0
    _paid: float | None = None
    _spent: float = 0.0

    def update(self, now: float, cpu: float) -> None:
        """Add the share of the time since the last call; subtract the CPU time spent. `cpu`: the total so far."""
        if self._paid is None:
            self._paid, self._spent, self.balance = now, cpu, self.share * _SAVED_SECONDS
            return
        self.balance += (now - self._paid) * self.share - (cpu - self._spent)
        self.balance = min(self.balance, self.share * _SAVED_SECONDS)
        self._paid, self._spent = now, cpu

    @property
    def pace(self) -> float:
        """The fraction of a core for the audit of a large tree: half the share, so that events are not delayed."""
        return self.share / 2

    def wait(self, *, audit: bool = False) -> float:
        """The seconds until a scan may begin; with `audit`, until an audit may."""
        return max(0.0, (_RESERVED_SECONDS if audit else 0.0) - self.balance / self.share)
