"""Logs errors inside of the exporter: of each kind one traceback in an hour, however many objects are affected."""

from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.fault import Fault, fault_of
from exporter.core.log import Logger

_AGAIN_SECONDS = 3600.0
_MOST_KINDS = 1000

_log = Logger()


class FaultLog:
    """Remembers when each kind of fault was logged last."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._logged: dict[str, float] = {}
        self._silent: dict[str, int] = {}

    def note(self, error: Exception | Fault, where: str) -> str:
        """Log an error with what it is about, unless one of its kind was logged in the last hour; return its kind."""
        fault = fault_of(error) if isinstance(error, Exception) else error
        now = self._clock.monotonic()
        last = self._logged.get(fault.kind)
        if last is not None and now - last < _AGAIN_SECONDS:
            self._silent[fault.kind] = self._silent.get(fault.kind, 0) + 1
            return fault.kind
        if len(self._logged) >= _MOST_KINDS:
            self._logged.clear()
        self._logged[fault.kind] = now
        more = {"more_before": self._silent.pop(fault.kind)} if fault.kind in self._silent else {}
        _log.error("internal.error", error=fault.kind, where=where, traceback=fault.traceback, **more)
        return fault.kind


#: The log of this process.
FAULT_LOG = FaultLog()
