"""Opens the sockets to listen on."""

import contextlib
import socket
from collections.abc import Sequence

_BACKLOG = 512


class AddressError(Exception):
    """An address to listen on is malformed, or cannot be bound."""


def listen(addresses: Sequence[str]) -> list[socket.socket]:
    """Open a listening socket for every HOST:PORT; an empty host is every address of the machine.

    Raises AddressError.
    """
    sockets: list[socket.socket] = []
    try:
        sockets.extend(_listen(address) for address in addresses)
    except BaseException:
        for one in sockets:
            one.close()
        raise
    return sockets


def _listen(address: str) -> socket.socket:
    host, separator, port = address.rpartition(":")
    if not separator or not port.isascii() or not port.isdecimal() or int(port) > 0xFFFF:
        raise AddressError(f"not HOST:PORT: {address!r}")
    try:
        if not host:
            return _every_address(int(port))
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, target = found[0]
        return socket.create_server(target, family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressError(f"cannot listen on {address}: {error.strerror or error}") from None


def _every_address(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):  # IPv6 may be compiled in and switched off
            return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=_BACKLOG)
