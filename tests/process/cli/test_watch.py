"""`--watch` on a terminal: the tables are drawn again until Ctrl-C, and fit."""

import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

from tests.support.roots import change, graph_root
from tests.support.waiting import DEADLINE

_DRAWN = b"\x1b[H\x1b[2J"


def test_the_tables_are_drawn_anew_until_ctrl_c(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=5, tag="app:1").container("web", image="base")
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 60, 0, 0))
    environment = {**os.environ, "TERM": "dumb", "PYTHONIOENCODING": "latin-1"}
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "exporter", "images", "--root", str(built.path), "--watch", "500ms"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    os.close(theirs)
    try:
        seen = b""
        while seen.count(_DRAWN) < 2:
            seen += os.read(ours, 1 << 16)
        change(built)
        while b"more" not in seen:
            seen += os.read(ours, 1 << 16)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    seen.decode("ascii")
    screens = seen.split(_DRAWN)[1:]
    lines = [line.rstrip() for one in screens for line in re.sub(rb"\x1b\[[0-9;]*[mJ]", b"", one).splitlines()]
    assert max(map(len, lines)) <= 60
    assert all(one.count(b"\n") <= 12 for one in screens)
