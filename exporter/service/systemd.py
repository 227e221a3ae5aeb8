"""The protocols between systemd and a service: passed sockets, and notifications of the state.

Source: the manuals sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3).
"""

import contextlib
import os
import socket
import time

_FIRST_DESCRIPTOR = 3


def sockets() -> list[socket.socket]:
    """The listening sockets that systemd has passed to this process; empty without socket activation."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    number = os.environ.get("LISTEN_FDS", "")
    forget_sockets()
    if not (number.isascii() and number.isdecimal()):
        return []
    taken = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(number)):
        os.set_inheritable(descriptor, False)
        taken.append(socket.socket(fileno=descriptor))
    return taken


def forget_sockets() -> None:
    """Have the processes that this one starts not told of any sockets."""
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)


def is_there() -> bool:
    """Whether systemd has started this process, and hears of its state."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(*states: str) -> None:
    """Send a notification to systemd: READY=1, STOPPING=1, WATCHDOG=1, ...; does nothing without systemd."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(1)
        channel.sendto("\n".join(states).encode(), address)


def reloading() -> None:
    """Tell systemd that a reload begins; READY=1 tells that it has ended."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_seconds() -> float | None:
    """Seconds between two WATCHDOG=1: half of the timeout of systemd's watchdog. None without a watchdog."""
    wanted = os.environ.get("WATCHDOG_USEC", "")
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not wanted.isdecimal():
        return None
    return int(wanted) / 2e6 or None
