"""What is known of workers that could not be started: for how long, and why."""

import errno
import time

from exporter.core.log import Logger

#: These pass: others may give back what they hold. All else lasts until somebody repairs the installation.
_PASSING = {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.EINTR, errno.ETXTBSY}
_LOG_SECONDS = 60.0

_log = Logger()


class StartFailure:
    """The failures since a worker was last started."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._logged = 0.0
        self._why = ""
        self._passes = True

    def note(self, error: Exception) -> None:
        """Note a failure. It is logged once a minute."""
        now = time.monotonic()
        said = error.strerror if isinstance(error, OSError) else None
        self._why = said or str(error) or type(error).__name__
        self._passes = not isinstance(error, OSError) or error.errno in _PASSING
        if self._since is None or now - self._logged >= _LOG_SECONDS:
            self._logged = now
            _log.warning("worker.not_started", error=self._why)
        if self._since is None:
            self._since = now

    def clear(self) -> None:
        """Note that a worker was started."""
        self._since = None

    def lasting(self, seconds: float) -> str:
        """Why no worker can be started, if that has been so for so long, or will not pass; "" otherwise."""
        if self._since is None or (self._passes and time.monotonic() - self._since < seconds):
            return ""
        return self._why
