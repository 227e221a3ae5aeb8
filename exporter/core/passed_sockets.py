"""The sockets that systemd has passed to this process (sd_listen_fds(3)).

A launcher is copied from a process that has loaded this, and little more: so it imports no `socket`.
"""

import os

_FIRST_DESCRIPTOR = 3


def take_passed() -> range:
    """The descriptors of the passed sockets. Processes that this one starts are not told of them."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return range(0)
    number = os.environ.get("LISTEN_FDS", "")
    forget_passed()
    if not (number.isascii() and number.isdecimal()):
        return range(0)
    return range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(number))


def forget_passed() -> None:
    """Have the processes that this one starts not told of any sockets."""
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)
