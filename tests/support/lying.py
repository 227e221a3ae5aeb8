"""A FUSE filesystem that says what cannot be true: of its files, and of its space."""

import contextlib
import ctypes
import os
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Structures and numbers of Linux include/uapi/linux/fuse.h.
_IN, _OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ")
_INIT_OUT = struct.Struct("<IIIIHHIIHH32x")
_ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
_ENTRY_HEAD, _ATTR_HEAD = struct.Struct("<QQQQII"), struct.Struct("<QII")
_STATFS = struct.Struct("<QQQQQIIII24x")
_LOOKUP, _FORGET, _GETATTR, _STATFS_OP, _INIT, _OPENDIR, _READDIR, _BATCH_FORGET = 1, 2, 3, 17, 26, 27, 28, 42
_RELEASEDIR, _ENOSYS, _ENOENT = 29, 38, 2
_MNT_FORCE, _MNT_DETACH = 1, 2
_TOP, _ALL = 1, 2**64 - 1


@dataclass(frozen=True)
class Lies:
    """What the filesystem says: `blocks` of the file `file` and, if `top`, of the directory; `free` of its space."""

    blocks: int = 8
    top: bool = False
    size: int = 100
    free: int = 1000
    total: int = 2000


@contextlib.contextmanager
def lying(on: Path, lies: Lies) -> Iterator[None]:
    """Mount a filesystem with one file, `file`."""
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        pytest.skip("there is no FUSE here")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, device)
        if libc.mount(b"lies", os.fsencode(on), b"fuse.fuse-overlayfs", 0, options.encode()):
            pytest.skip("nothing can be mounted here")
        server = threading.Thread(target=_serve, args=(device, lies))
        server.start()
        stack.callback(server.join)
        stack.callback(libc.umount2, os.fsencode(on), _MNT_FORCE | _MNT_DETACH)
        yield


def _serve(device: int, lies: Lies) -> None:
    with contextlib.suppress(OSError):  # ENODEV when it is unmounted
        while True:
            request = os.read(device, 1 << 18)
            _, opcode, unique, node, *_ = _IN.unpack_from(request)
            if opcode in (_FORGET, _BATCH_FORGET):
                continue
            error, answer = _answer(opcode, node, request[_IN.size :], lies)
            with contextlib.suppress(FileNotFoundError):  # whoever asked is gone
                os.write(device, _OUT.pack(_OUT.size + len(answer), -error, unique) + answer)


def _answer(opcode: int, node: int, body: bytes, lies: Lies) -> tuple[int, bytes]:
    """The error number and the answer to a request."""
    known: dict[int, Callable[[], bytes]] = {
        _INIT: lambda: _INIT_OUT.pack(7, 31, 0, 0, 0, 0, 4096, 1, 0, 0),
        _GETATTR: lambda: _ATTR_HEAD.pack(0, 0, 0) + _attributes(node, lies),
        _LOOKUP: lambda: _ENTRY_HEAD.pack(2, 0, 0, 0, 0, 0) + _attributes(2, lies),
        _OPENDIR: lambda: struct.pack("<QII", 0, 0, 0),
        _READDIR: lambda: b"" if struct.unpack_from("<QQ", body)[1] else _entries(),
        _STATFS_OP: lambda: _STATFS.pack(
            lies.total & _ALL, lies.free & _ALL, lies.free & _ALL, 10, 5, 4096, 255, 4096, 0
        ),
        _RELEASEDIR: lambda: b"",
    }
    if opcode == _LOOKUP and body != b"file\0":
        return _ENOENT, b""
    return (0, known[opcode]()) if opcode in known else (_ENOSYS, b"")


def _attributes(node: int, lies: Lies) -> bytes:
    directory = node == _TOP
    blocks = lies.blocks if lies.top or not directory else 8
    mode, size = (0o40755, 4096) if directory else (0o100644, lies.size)
    return _ATTR.pack(node, size, blocks & _ALL, 0, 0, 0, 0, 0, 0, mode, 2 if directory else 1, 0, 0, 0, 4096, 0)


def _entries() -> bytes:
    """One entry, `file`, of struct fuse_dirent, padded to eight bytes."""
    return struct.pack("<QQII", 2, 1, 4, 8) + b"file" + bytes(4)
