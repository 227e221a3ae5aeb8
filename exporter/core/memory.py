"""Memory that is not needed any more."""

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1 << 16


def keep_apart() -> None:
    """Have what is large mapped by itself from now on: it goes back when it is gone, and leaves no holes behind."""
    with contextlib.suppress(AttributeError, OSError):  # another C library has no such function
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def give_back() -> None:
    """Return to the system what a page took that is gone: glibc keeps it otherwise, a fifth of a process."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
