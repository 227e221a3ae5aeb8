"""Gives up capabilities, for good, and says which are left.

It holds for the calling thread: call it before others start. Sources: capabilities(7), capset(2), prctl(2); Linux
include/uapi/linux/capability.h and prctl.h.
"""

import contextlib
import ctypes
import os

#: To read files and search directories whatever their permissions are (CAP_DAC_READ_SEARCH).
READ_SEARCH = 2
_SETPCAP = 8
#: More than any kernel has: those that it does not know are refused.
_MOST = 64
_VERSION = 0x20080522
_PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 36, 38, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
#: The names of capabilities by number, without CAP_, of Linux 6.12.
_NAMES = (
    *("chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap"),
    *("linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner"),
    *("sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice"),
    *("sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap"),
    *("mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf"),
    "checkpoint_restore",
)

_C = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def holds(capability: int) -> bool:
    """Whether this thread has a capability, and may use it."""
    header, sets = _Header(_VERSION, 0), (_Sets * 2)()
    _call(_C.capget, ctypes.byref(header), sets)
    return bool(sets[capability // 32].effective >> capability % 32 & 1)


def keep_only(*capabilities: int) -> None:
    """Give up all other capabilities, and never gain one again: also not by a program that this process starts.

    Those that are kept are kept by programs that it starts, too. Where the bounding set may not be changed, it stays;
    with `no_new_privs` nothing can be gained from it. Raises OSError.
    """
    kept = [one for one in capabilities if holds(one)]
    bounded = holds(_SETPCAP)
    for one in range(_MOST) if bounded else ():
        if one not in kept:
            _C.prctl(_PR_CAPBSET_DROP, one, 0, 0, 0)
    # What root starts has its bounding set anyway.
    inherited = [] if bounded and os.geteuid() == 0 else kept
    header, sets = _Header(_VERSION, 0), (_Sets * 2)()
    for half in range(2):
        mask, inherit = _mask(kept, half), _mask(inherited, half)
        sets[half] = _Sets(mask, mask, inherit)
    _C.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
    _call(_C.capset, ctypes.byref(header), sets)
    for one in inherited:
        _call(_C.prctl, _PR_CAP_AMBIENT, _AMBIENT_RAISE, one, 0, 0)
    no_new_privileges()


def no_new_privileges() -> None:
    """Let no program that this process starts have more rights than it: set-user-id bits and the like are ignored."""
    _call(_C.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of all processes below this one whose parent ends (PR_SET_CHILD_SUBREAPER)."""
    _C.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def privileges_of(process: int) -> tuple[str, bool]:
    """The names of the effective capabilities of a process, and whether it has `no_new_privs`; raises OSError."""
    with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
        fields = dict(line.split(":", 1) for line in file if ":" in line)
    held = 0
    with contextlib.suppress(ValueError):
        held = int(fields.get("CapEff", "0"), 16)
    names = [_NAMES[one] if one < len(_NAMES) else str(one) for one in range(_MOST) if held >> one & 1]
    some = ",".join(names) if len(names) < len(_NAMES) // 2 else "many"
    return some or "none", fields.get("NoNewPrivs", "").strip() == "1"


def _mask(capabilities: list[int], half: int) -> int:
    return sum(1 << one % 32 for one in capabilities if one // 32 == half)


def _call(function: "ctypes._FuncPointer", *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
