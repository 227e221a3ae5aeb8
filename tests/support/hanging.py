"""Filesystems that do not answer: FUSE without a server, or with one that has stopped."""

import contextlib
import ctypes
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

_INIT = 26
#: fuse_in_header and fuse_out_header, fuse_init_out (Linux include/uapi/linux/fuse.h).
_IN, _OUT, _INIT_OUT = struct.Struct("<IIQQIIII"), struct.Struct("<IiQ"), struct.Struct("<IIIIHHIIHH32x")
_LEAST_BUFFER = 1 << 18
_MNT_FORCE, _MNT_DETACH = 1, 2


@contextlib.contextmanager
def hanging(on: Path, *, deadly: bool = False) -> Iterator[None]:
    """Mount a filesystem that nobody serves. What hangs in it can be killed, unless it is `deadly`.

    A deadly one has taken the request and never answers: who waits for that cannot be killed until it is unmounted.
    """
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        pytest.skip("there is no FUSE here")
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, device)
        if libc.mount(b"dead", os.fsencode(on), b"fuse", 0, options.encode()):
            pytest.skip("nothing can be mounted here")
        if deadly:
            server = threading.Thread(target=_swallow, args=(device,))
            server.start()
            stack.callback(server.join)
        stack.callback(libc.umount2, os.fsencode(on), _MNT_FORCE | _MNT_DETACH)
        yield


def _swallow(device: int) -> None:
    """Answer the first request, in which nothing can hang, and take all others until it is unmounted."""
    with contextlib.suppress(OSError):
        while True:
            request = os.read(device, _LEAST_BUFFER)
            _, opcode, unique, *_ = _IN.unpack_from(request)
            if opcode == _INIT:
                answer = _INIT_OUT.pack(7, 31, 0, 0, 0, 0, 4096, 1, 0, 0)
                os.write(device, _OUT.pack(_OUT.size + len(answer), 0, unique) + answer)
