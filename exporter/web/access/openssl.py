"""Two settings of OpenSSL that Python's ssl does not offer: taking any client certificate, and several curves.

A context of Python's ssl is an object whose first field is OpenSSL's own context (CPython 3.11 to 3.14,
Modules/_ssl.c, struct PySSLContext). Where that is not known to hold, nothing is touched, and it is an error.
"""

import _ssl
import ctypes
import ssl
import sys

_SET_GROUPS_LIST = 92  # SSL_CTRL_SET_GROUPS_LIST
_KNOWN = ((3, 11), (3, 14))
_VERIFIER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


class UnavailableError(Exception):
    """This Python gives no way to the setting."""


def _library() -> ctypes.CDLL:
    known = sys.implementation.name == "cpython" and _KNOWN[0] <= sys.version_info[:2] <= _KNOWN[1]
    file = getattr(_ssl, "__file__", None)
    if not known or file is None or hasattr(sys, "getobjects"):  # the last: a build whose objects have a longer head
        raise UnavailableError("is not available with this Python")
    return ctypes.CDLL(file)


def _pointer(context: ssl.SSLContext) -> ctypes.c_void_p:
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    return ctypes.c_void_p(pointer.value)


#: Kept here for as long as OpenSSL may call it.
_ACCEPT = _VERIFIER(lambda _verified, _store: 1)


def take_any_certificate(context: ssl.SSLContext) -> None:
    """Have the certificate of a client asked for and not verified; `verify_mode` says whether it must have one.

    Raises UnavailableError.
    """
    try:
        setter = _library().SSL_CTX_set_verify
    except (OSError, AttributeError):
        raise UnavailableError("is not available with this Python") from None
    setter.argtypes, setter.restype = [ctypes.c_void_p, ctypes.c_int, _VERIFIER], None
    required = context.verify_mode == ssl.CERT_REQUIRED
    setter(_pointer(context), 0x01 | (0x02 if required else 0), _ACCEPT)


def set_groups(context: ssl.SSLContext, names: tuple[str, ...]) -> None:
    """Allow these curves, in order of preference; raises UnavailableError."""
    try:
        control = _library().SSL_CTX_ctrl
    except (OSError, AttributeError):
        raise UnavailableError("is not available with this Python") from None
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    control.restype = ctypes.c_long
    if control(_pointer(context), _SET_GROUPS_LIST, 0, ":".join(names).encode()) != 1:
        raise UnavailableError("is not known to this OpenSSL")
