"""Errors that say that this process or the host has no descriptor or memory left, and nothing of what was asked."""

import errno

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def is_shortage(error: BaseException) -> bool:
    """Whether an error is of the kind."""
    return isinstance(error, OSError) and error.errno in _SHORTAGES
