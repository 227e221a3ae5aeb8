"""`du -i` on a terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.roots.layerdb import DbRoot
from tests.support.waiting import DEADLINE

_DOWN, _RIGHT, _LEFT = b"\x1b[B", b"\x1b[C", b"\x1b[D"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*([A-Za-z])|\x1b[()=>][B0]?|\x1b[78]")


class _Terminal:
    """A terminal with a program on it. What the program sends is taken as text, without where on the screen it is."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self.descriptor, self.process = descriptor, process
        self.seen = ""

    def press(self, key: bytes) -> None:
        self.seen = ""
        os.write(self.descriptor, key)

    def shows(self, *texts: str) -> str:
        """Wait until all these were sent since the last key; return what was."""
        until = time.monotonic() + DEADLINE
        while not all(text in self.text() for text in texts):
            if not select.select([self.descriptor], [], [], max(0, until - time.monotonic()))[0]:
                raise AssertionError((texts, self.seen))
            try:
                piece = os.read(self.descriptor, 65536)
            except OSError as error:  # how the end of a pseudo-terminal reads
                raise AssertionError((texts, self.seen)) from error
            self.seen += piece.decode("utf-8", "replace")
        return self.text()

    def text(self) -> str:
        return _CONTROL.sub(" ", self.seen)

    def ends(self) -> int:
        while True:
            try:
                if not os.read(self.descriptor, 65536):
                    break
            except OSError:
                break
        return self.process.wait(DEADLINE)


@contextmanager
def _terminal(*arguments: str, term: str = "xterm") -> Iterator[_Terminal]:
    reading, writing = pty.openpty()
    fcntl.ioctl(writing, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    command = ["setsid", "--ctty", sys.executable, "-m", "exporter", "du", "-i", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"TERM": term, "LC_ALL": "C.UTF-8"}
    with subprocess.Popen(
        command,
        stdin=writing,
        stdout=writing,
        stderr=writing,
        env=environment,
    ) as process:
        os.close(writing)
        try:
            yield _Terminal(reading, process)
        finally:
            process.kill()
            os.close(reading)


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("base", 5000).image("app", "base", ["app:1"])
    built.container("web", "app", "base", log=20_000).volume("data", 9000)
    top = built.path / "volumes/data/_data"
    for name, size in (("alpha/in/file", 10_000), ("\x1b[2Jevil/small", 10), ("zeta/large", 400_000)):
        (top / name).parent.mkdir(parents=True)
        (top / name).write_bytes(b"x" * size)
    for number in range(9):
        (top / "alpha" / f"n{number}").mkdir()
    return built


def _order(text: str, *names: str) -> list[str]:
    return sorted(names, key=text.index)


def test_looking_around(built: DbRoot) -> None:
    before = {path: path.lstat().st_mtime_ns for path in built.path.rglob("*")}
    with _terminal("--root", str(built.path), "--containerd.root", "none", "data") as terminal:
        text = terminal.shows("zeta/", "alpha/", "r: read again")
        assert _order(text, "zeta/", "alpha/", "evil/") == ["zeta/", "alpha/", "evil/"]
        assert "\\x1b[2Jevil/" in text
        terminal.press(b"i")
        assert _order(terminal.shows("zeta/", "alpha/", "r: read again"), "zeta/", "alpha/") == ["alpha/", "zeta/"]
        terminal.press(b"n")
        terminal.shows("zeta/", "alpha/", "r: read again")
        terminal.press(b"s")
        terminal.shows("zeta/", "alpha/", "r: read again")
        terminal.press(_DOWN)
        terminal.shows("zeta/", "alpha/")
        terminal.press(_RIGHT)
        text = terminal.shows("_data/alpha/", "in/", "n8/", "r: read again")
        assert "zeta" not in text
        terminal.press(b"\r")
        terminal.shows("in/", "file", "r: read again")
        terminal.press(b"\x7f")
        terminal.shows("n8/", "r: read again")
        terminal.press(_LEFT)
        terminal.shows("zeta/", "r: read again")
        terminal.press(_LEFT)  # the top stays
        terminal.shows("zeta/", "r: read again")
        terminal.press(b"q")
        assert terminal.ends() == 0
    assert {path: path.lstat().st_mtime_ns for path in built.path.rglob("*")} == before


def test_an_object_of_several_places_begins_with_these(built: DbRoot) -> None:
    with _terminal("--root", str(built.path), "--containerd.root", "none", "web") as terminal:
        terminal.shows("writable layer", "log and settings", "r: read again")
        terminal.press(b"\r")
        terminal.shows("-json.log", "r: read again")
        terminal.press(b"\x03")
        assert terminal.ends() == 130


def test_what_cannot_be_shown_is_one_line(built: DbRoot) -> None:
    for term, wanted, said in (
        ("no-such-terminal", "data", "cannot use this terminal"),
        ("xterm", "nothing", "nothing is called nothing"),
        ("xterm", "data", "data/gone"),
    ):
        more = ["gone"] if said == "data/gone" else []
        with _terminal("--root", str(built.path), "--containerd.root", "none", wanted, *more, term=term) as terminal:
            if not more:
                terminal.shows(said)
                assert terminal.ends() == 1
                continue
            terminal.shows("nothing is there by that path", "r: read again")
            terminal.press(b"q")
            assert terminal.ends() == 0
