"""Has the kernel refuse what landlock has no rule for: changing permissions, owners, times and extended attributes.

It holds for this thread and all that it starts, and cannot be undone. Sources: seccomp(2), Linux
include/uapi/linux/{seccomp,filter,audit,fs}.h; the numbers of system calls: arch/x86/entry/syscalls/syscall_64.tbl and
scripts/syscall.tbl, which all newer architectures share.
"""

import ctypes
import errno
import os
from typing import NamedTuple

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_AT_NUMBER, _AT_ARCHITECTURE, _AT_SECOND_ARGUMENT = 0, 4, 24  # of struct seccomp_data, little endian
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
#: System calls from this number on are those of another table (x32).
_X32 = 0x40000000
#: FS_IOC_SETFLAGS and FS_IOC_FSSETXATTR: flags of a file, as chattr sets them.
_SET_FLAGS = (0x40086602, 0x401C5820)

_C = ctypes.CDLL(None, use_errno=True)


class _Table(NamedTuple):
    """The numbers of system calls: those that change what a file is said to be, and those that open a way outside."""

    architecture: int
    change: tuple[int, ...]
    network: tuple[int, ...]
    ioctl: int


# fchmodat2, setxattrat, removexattrat and file_setattr have the same number everywhere.
_NEW = (452, 463, 466, 469)
_X86_64 = _Table(
    0xC000003E,
    # chmod, fchmod, fchmodat; chown, fchown, lchown, fchownat; utime, utimes, futimesat, utimensat; *setxattr,
    # *removexattr
    (90, 91, 268, 92, 93, 94, 260, 132, 235, 261, 280, 188, 189, 190, 197, 198, 199, *_NEW),
    (41, 425),  # socket, io_uring_setup
    16,
)
# fchmod, fchmodat, fchown, fchownat; utimensat; *setxattr, *removexattr; socket, io_uring_setup; ioctl.
_SHARED = ((52, 53, 55, 54, 88, 5, 6, 7, 14, 15, 16, *_NEW), (198, 425), 29)
_TABLES = {
    "x86_64": _X86_64,
    "aarch64": _Table(0xC00000B7, *_SHARED),
    "riscv64": _Table(0xC00000F3, *_SHARED),
    "loongarch64": _Table(0xC0000102, *_SHARED),
}


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


def refuse_changes(*, network: bool) -> bool:
    """Have these calls fail with EPERM; with `network`, also sockets. Whether that is in force.

    `no_new_privs` must be set. It is not for a machine whose numbers are not known here. Raises OSError.
    """
    table = _TABLES.get(os.uname().machine)
    if table is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    instructions = _filter(table, (*table.change, *(table.network if network else ())))
    array = (_Instruction * len(instructions))(*(_Instruction(*one) for one in instructions))
    program = _Program(len(instructions), array)
    if _C.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


def _filter(table: _Table, refused: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """The program: it compares the number with each of those that are refused, and ends by `_ALLOW` or `_REFUSE`."""
    checks = [(_AT_LEAST, _X32), *((_EQUAL, number) for number in refused)]
    of_ioctl = [(_EQUAL, command) for command in _SET_FLAGS]
    # After each check come the others, then two instructions, those of ioctl, and `_ALLOW`.
    rest = 2 + len(of_ioctl) + 1
    made = [(_LOAD, 0, 0, _AT_ARCHITECTURE), (_EQUAL, 1, 0, table.architecture), (_RETURN, 0, 0, _REFUSE)]
    made.append((_LOAD, 0, 0, _AT_NUMBER))
    for at, (code, value) in enumerate(checks):
        made.append((code, len(checks) - at - 1 + rest, 0, value))
    made += [(_EQUAL, 0, 1 + len(of_ioctl), table.ioctl), (_LOAD, 0, 0, _AT_SECOND_ARGUMENT)]
    for at, (code, value) in enumerate(of_ioctl):
        made.append((code, len(of_ioctl) - at, 0, value))
    return [*made, (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)]
