"""How memory that is freed is kept, and how it is looked through.

Without `map_large_blocks` and `trim`, a fifth of a process is memory that it does not use. Without `settle`, reading a
change of a large root takes a fifth longer.
"""

import contextlib
import ctypes
import gc

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1 << 16
#: So much may be free at the end of the heap. With less, each piece of a file that is read is memory that the kernel
#: has to clear, which costs as much as to read it.
_FREE_BYTES = 1 << 20
#: The thresholds of the garbage collector, and the first of them before the first scan is done.
_RARELY = (50_000, 20, 50)
_AT_FIRST = 500_000


def map_large_blocks() -> None:
    """Lower M_MMAP_THRESHOLD (mallopt(3)), so that large blocks go back to the kernel when they are freed."""
    with contextlib.suppress(AttributeError, OSError):  # another C library has no such function
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, _FREE_BYTES)


def trim() -> None:
    """Return freed memory to the kernel (malloc_trim(3)), such as that of a page that was replaced."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """Have the garbage collector look no more through the objects that exist now, which are here to stay.

    They are freed as always when nothing refers to them. Only cycles among them would stay.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_RARELY)


def collect_garbage_rarely() -> None:
    """Look for objects that refer to each other in circles less often, and hardly ever before `settle`.

    Nearly all objects of a scan last, and few refer to each other so: to look for these often costs a tenth.
    """
    gc.set_threshold(_AT_FIRST, *_RARELY[1:])
