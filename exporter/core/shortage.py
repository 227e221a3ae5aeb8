"""A lack of descriptors or memory: its errors say nothing of what was asked, and whether a lack is to be expected."""

import errno
import os

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def is_shortage(error: BaseException) -> bool:
    """Whether an error is of the kind."""
    return isinstance(error, OSError) and error.errno in _SHORTAGES


def require_descriptors(number: int, any_open: int) -> None:
    """Raise OSError where the limit of this process leaves fewer descriptors. `any_open` is one that it has."""
    copies: list[int] = []
    try:
        for _ in range(number):
            copies.append(os.dup(any_open))  # noqa: PERF401 - those before one that fails are closed, too
    finally:
        for one in copies:
            os.close(one)
