"""Request targets and authorities (RFC 9112, 3.2): what a client asks for, and of which host."""

import re
import socket
from urllib.parse import unquote

_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?", re.ASCII)


def split_target(target: bytes) -> tuple[str, str, str]:
    """Split a target into its authority, "" where it has none, its path with percent escapes decoded, and its query.

    The path ends at the first `?`. A path without an authority is what clients send; one with it
    (`http://host/metrics`) is what they send to a proxy, and servers have to accept it.
    """
    found = _ABSOLUTE.match(target)
    authority = found[1].decode("latin-1") if found else ""
    path, _, query = target[found.end() if found else 0 :].decode("latin-1").partition("?")
    return authority, unquote(path) or ("/" if found else ""), query


def split_authority(authority: str) -> tuple[str, int | None] | None:
    """Split `host:port` into the host in one spelling and the port, None where none is given; None if it is neither.

    Names are in lower case and without a final dot, IPv6 addresses in brackets in their shortest form.
    """
    found = _AUTHORITY.fullmatch(authority.strip())
    if found is None or (found[2] and int(found[2]) > 0xFFFF):
        return None
    host = found[1].lower().removesuffix(".")
    if host.startswith("["):
        try:
            host = f"[{socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host[1:-1]))}]"
        except OSError:
            return None
    return (host, int(found[2]) if found[2] else None) if host else None
