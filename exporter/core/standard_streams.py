"""The descriptors 0, 1 and 2 of a process that was started without them (`2>&-` in a shell, a bare supervisor).

The next file, pipe or socket that is opened would get such a number. Then log lines would go into a connection, and a
process that is started would take it for its input.
"""

import contextlib
import os

_STREAMS = 3


def fill_closed_streams() -> None:
    """Open /dev/null in the place of the standard streams that are closed. To be called before anything is opened."""
    for number in range(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):  # without /dev there is nothing better
                opened = os.open(os.devnull, os.O_RDWR)  # the lowest free number: those before it are open
                os.set_inheritable(opened, True)
