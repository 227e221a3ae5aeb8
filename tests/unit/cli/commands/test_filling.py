"""Tables on a terminal fill while a root is scanned; whoever reads a pipe gets the whole."""

import os
import pty
import select
from pathlib import Path

import pytest

from exporter.cli.commands import filling as module
from exporter.cli.commands.containers import containers
from exporter.cli.commands.filling import filled
from exporter.cli.commands.habits import Habits
from exporter.cli.commands.index import Index
from exporter.cli.commands.output import Output
from exporter.cli.commands.source import Turn, parse
from exporter.cli.commands.tables import Answer
from exporter.core.dirty import Dirty
from exporter.core.model import Trigger
from exporter.expose.snapshot_api.encode import describe
from exporter.expose.snapshot_api.pieces import ending
from exporter.expose.snapshot_api.rows import Document
from exporter.figures.figures import Figures
from exporter.scan.pace import Pace
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.roots import graph_root


class _Source:
    """Scans a root, and shows each state of it."""

    def __init__(self, path: Path) -> None:
        built = graph_root(path).image("app", size=3, files={"a": 1}, tag="app:1")
        built.container("web", image="app", writable={"w": 4321})
        self._scanner = Scanner(str(built.path), 600.0, LocalPool())
        self.turned = 0

    def __call__(self, turn: Turn | None) -> Document:
        self._scanner.begin(Trigger.STARTUP, Dirty(everything=True))
        while self._scanner.runs:
            if turn is not None:
                self.turned += 1
                turn(self._scanner.progress, self._document)
            self._scanner.collect(0.0)
        return self._document()

    def _document(self) -> Document:
        snapshot = self._scanner.snapshot()
        return parse(describe(Figures(snapshot)).finish(ending(1.0 if snapshot.complete else None, [])))


def _answer(document: Document) -> Answer:
    return containers(Index(document), Habits())


def test_a_terminal_shows_what_is_known_and_then_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_QUICK_SECONDS", "_REDRAWN_SECONDS"):
        monkeypatch.setattr(module, name, 0.0)
    monkeypatch.setattr(Pace, "is_due", lambda *_: True)
    monkeypatch.setenv("TERM", "xterm")
    source, drawn = _Source(tmp_path), b""
    reading, writing = pty.openpty()
    with os.fdopen(reading, "rb", buffering=0) as terminal, os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        real = source.__call__

        def slowly(turn: Turn | None) -> Document:
            """A terminal takes some kilobytes until somebody reads."""

            def read(*known: object) -> None:
                nonlocal drawn
                assert turn is not None
                turn(*known)  # type: ignore[arg-type]
                stdout.flush()
                while select.select([terminal], [], [], 0)[0]:
                    drawn += terminal.read(65536)

            return real(read)

        whole = filled(slowly, _answer, "containers", Output())
        stdout.flush()
        while select.select([terminal], [], [], 0)[0]:
            drawn += terminal.read(65536)
    assert whole.taken == 1.0
    frames = drawn.decode().split("measuring: ")
    assert len(frames) == source.turned + 2, "and once at the end, before it goes"
    assert "web" in frames[1]
    assert "?" in frames[1].partition("not known yet")[2]
    assert "4.32" not in frames[1]
    assert "4.32" in frames[-1]
    assert drawn.endswith(b"\x1b[2K"), "nothing is left of it"
    assert b"\x1b[?25h" in drawn.rpartition(b"measuring")[2], "the cursor is shown again"


def test_a_pipe_waits_for_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _Source(tmp_path)
    assert filled(source, _answer, "containers", Output()).taken == 1.0
    assert source.turned == 0
    assert capsys.readouterr().out == ""
