"""Lower bounds for comparison: bytes from a bare socket on busy cores, and a directory walk that keeps nothing."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

_WALK = """
import os, sys
waiting = [sys.argv[1]]
while waiting:
    descriptor = os.open(waiting.pop(), os.O_RDONLY)
    with os.scandir(descriptor) as entries:
        above = os.readlink(f"/proc/self/fd/{descriptor}")
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{above}/{entry.name}")
            else:
                entry.stat(follow_symlinks=False)
    os.close(descriptor)
"""


def bare_walk_seconds(root: Path) -> float:
    """CPU seconds of one Python process that only calls lstat on every file below a directory."""
    before = os.times()
    subprocess.run([sys.executable, "-S", "-E", "-c", _WALK, str(root)], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def bare_times(length: int, busy_with: Path, seconds: float) -> list[float]:
    """Milliseconds to get `length` bytes from a bare server, while an idle-class `du` runs on each core."""
    times = []
    with _server(length) as address, _walkers(busy_with):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            start = time.perf_counter()
            urllib.request.urlopen(address, timeout=30).read()
            times.append(1000 * (time.perf_counter() - start))
    return times


@contextlib.contextmanager
def _server(length: int) -> Iterator[str]:
    """Answer each connection with that many bytes, in a process of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    child = os.fork()
    if not child:
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % length + b"x" * length
        while True:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        listening.close()


@contextlib.contextmanager
def _walkers(root: Path) -> Iterator[None]:
    """Keep every core busy as a scan does, with du at idle priority."""
    again = ["chrt", "--idle", "0", "sh", "-c", 'while :; do du -s "$1" > /dev/null; done', "sh", str(root)]
    walkers = [subprocess.Popen(again, process_group=0) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for one in walkers:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()
