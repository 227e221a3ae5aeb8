"""Limits how often something happens."""

import time
from collections.abc import Callable


class TokenBucket:
    """A token bucket: one token every `interval` seconds, at most `burst` are kept. An interval of 0 is no limit."""

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.shape = (interval, burst)
        self._clock = clock
        self._tokens = float(burst)
        self._filled = clock()

    def take_token(self) -> bool:
        """Take a token; return False if none is left."""
        interval, burst = self.shape
        if not interval:
            return True
        now = self._clock()
        self._tokens = min(float(burst), self._tokens + (now - self._filled) / interval)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    @property
    def seconds_to_next(self) -> float:
        """How long it takes until there is a token, seconds."""
        return max(0.0, (1 - self._tokens) * self.shape[0] - (self._clock() - self._filled))
