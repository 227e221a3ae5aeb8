"""Has the kernel limit what this process may open, change and connect to, for good: landlock(7).

Source: Linux include/uapi/linux/landlock.h. The library for it (landlock 1.0.0.dev5) is a pre-release without network
rules and scopes.
"""

import ctypes
import os
import stat
from collections.abc import Iterable
from typing import NamedTuple

from exporter.core.shortage import is_shortage

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_CHAR, _MAKE_DIR, MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (1 << bit for bit in range(6, 13))
_REFER, TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_MAKE = _MAKE_CHAR | _MAKE_DIR | MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_BLOCK | _MAKE_SYM
READ = READ_FILE | READ_DIR
#: What changes a file or a directory. There is no rule for chmod, chown, utime and extended attributes.
CHANGE = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | _MAKE | _REFER | TRUNCATE
#: What may be done with a file; the rest is for directories.
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | _IOCTL_DEV
#: The rights that a version of landlock knows, by the version that brought them.
_SINCE = ((2, _REFER), (3, TRUNCATE), (5, _IOCTL_DEV))
_EVERYTHING = EXECUTE | READ | CHANGE | _IOCTL_DEV

_NETWORK = 0b11  # TCP: bind, connect
_NETWORK_SINCE, _SCOPE_SINCE = 4, 6
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2

_C = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32))


class Limits(NamedTuple):
    """What a process may do from now on: of the rights in `files`, only those of `rules` (path, rights).

    No TCP. With `alone`, no signal and no abstract socket reaches a process that this one has not started since.
    """

    rules: tuple[tuple[str, int], ...]
    files: int = _EVERYTHING
    alone: bool = False


def version() -> int:
    """The kernel's version of landlock; 0 where it has none, or it may not be used."""
    found: int = _C.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_FLAG)
    return max(0, found)


def restrict(limits: Limits) -> int:
    """Apply limits to this thread and all that it starts; return the kernel's version of landlock, 0 without it.

    Paths that do not exist are left out. `no_new_privs` must be set. Raises OSError where the kernel refuses a rule, or
    a path cannot be opened for want of descriptors or memory; then nothing is limited.
    """
    known = version()
    if not known:
        return 0
    handled = limits.files & ~sum(right for since, right in _SINCE if known < since)
    scoped = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if limits.alone and known >= _SCOPE_SINCE else 0
    attributes = _Ruleset(handled, _NETWORK if known >= _NETWORK_SINCE else 0, scoped)
    size = 24 if known >= _SCOPE_SINCE else 16 if known >= _NETWORK_SINCE else 8
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    try:
        _add(ruleset, handled, limits.rules)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return known


def _add(ruleset: int, handled: int, rules: Iterable[tuple[str, int]]) -> None:
    for path, rights in rules:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError as error:
            if is_shortage(error):
                raise
            continue
        try:
            is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            allowed = handled & (rights if is_directory else rights & _OF_FILES)
            if allowed:
                rule = _Beneath(allowed, descriptor)
                _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    found: int = _C.syscall(number, *arguments)
    if found < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return found
