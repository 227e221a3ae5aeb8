"""Times as text."""

import time
from datetime import UTC, datetime

from exporter.core.units import age


def moment(seconds: float | None) -> str | None:
    """A Unix time as ISO 8601; None for none, and for one in a year that no calendar has."""
    try:
        return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return None


def since(seconds: float | None) -> str | None:
    """How long ago a Unix time was."""
    return None if seconds is None else f"{age(time.time() - seconds)} ago"
