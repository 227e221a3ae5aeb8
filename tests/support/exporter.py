"""A real exporter, started as a user would start it, and asked over loopback."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.product import Samples
from tests.support.waiting import DEADLINE, eventually


class Exporter:
    def __init__(
        self, root: Path, *flags: str, under: tuple[str, ...] = (), program: tuple[str, ...] = ("-m", "exporter")
    ) -> None:
        command = [*under, sys.executable, *program, "run", "--root", str(root), "--scan.interval", "1"]
        command += ["--watch.look-interval", "1", "--cache.file", "none", *flags]
        self.process = subprocess.Popen(
            [*command, "--web.listen-address", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True, bufsize=1
        )
        self.lines: list[str] = []
        self._searched = 0
        self._rest = b""
        try:
            self.port = int(self.log_line(r"127\.0\.0\.1:(\d+)")[1])
            self._searched = 0  # what scans may have said something before what serves
        except BaseException:
            self.close()
            raise

    def log_line(self, pattern: str) -> re.Match[str]:
        """Wait for a line; the next call goes on behind it. Several may come at once."""
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            for number in range(self._searched, len(self.lines)):
                if found := re.search(pattern, self.lines[number]):
                    self._searched = number + 1
                    return found
            self._searched = len(self.lines)
            if not self._read():
                break
        raise AssertionError("".join(self.lines))

    def _read(self) -> bool:
        assert self.process.stderr is not None
        descriptor = self.process.stderr.fileno()
        ready = select.select([descriptor], [], [], DEADLINE)[0]
        piece = os.read(descriptor, 65536) if ready else b""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        self.lines += [line.decode() + "\n" for line in lines]
        return bool(piece)

    def get(self, path: str = "/metrics", **headers: str) -> tuple[int, str, bytes]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.headers["content-type"], answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers["content-type"], error.read()

    def figures(self) -> Samples:
        return Samples(self.get()[2].decode())

    def until(self, there: Callable[[Samples], bool], otherwise: str = "") -> Samples:
        """Ask for figures until they are so, and return them."""
        figures = self.figures()

        def ask() -> bool:
            nonlocal figures
            figures = self.figures()
            return there(figures)

        eventually(ask, otherwise=lambda: otherwise or figures.text)
        return figures

    def wait_for(self, name: str, value: float, /, **labels: str) -> Samples:
        """Wait until a metric has one series, with this value."""
        return self.until(
            lambda figures: [found for _, found in figures.all(name, **labels)] == [value],
            f"{name} never became {value}",
        )

    def becomes(self, name: str, least: float, /, **labels: str) -> Samples:
        """Wait until the series of a metric come to at least this value together."""
        return self.until(
            lambda figures: figures.sum(name, **labels) >= least, f"{name} {labels} never came to {least}"
        )

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Have it end in an orderly way."""
        self.process.send_signal(number)
        assert self.process.wait(DEADLINE) == 0

    def close(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()


@contextlib.contextmanager
def exporter(
    root: Path, *flags: str, under: tuple[str, ...] = (), program: tuple[str, ...] = ("-m", "exporter")
) -> Iterator[Exporter]:
    """Run an exporter for the length of a `with` block; `under` goes before its command.

    `program` is what the interpreter runs: the exporter, or code that makes something fail first.
    """
    running = Exporter(root, *flags, under=under, program=program)
    try:
        yield running
    finally:
        running.close()
