"""The clocks that the exporter goes by. Tests put others in their place."""

import time
from collections.abc import Callable

from msgspec import Struct


class Clock(Struct, frozen=True):
    """`now` is the wall clock in Unix seconds; `monotonic` counts seconds and cannot be set back."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


SYSTEM_CLOCK = Clock()
