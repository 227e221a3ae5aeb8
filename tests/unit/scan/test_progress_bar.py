import os
import pty
import select

import pytest

from exporter.core.model import Progress
from exporter.scan.progress_bar import Bar, on_terminal


def test_a_bar_tells_trees_and_entries_also_when_only_entries_move(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = pty.openpty()
    with os.fdopen(reading, "rb", buffering=0) as terminal, os.fdopen(writing, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        assert on_terminal()
        with Bar() as bar:
            bar.show(Progress(trees=4, trees_done=1, entries=10))
            bar.show(Progress(trees=4, trees_done=1, entries=5010))
            bar.show(Progress(trees=4, trees_done=3, entries=9000))
        stderr.flush()
        drawn = b""
        while select.select([terminal], [], [], 0)[0]:
            drawn += terminal.read(4096)
    for expected in (b"1/4", b"10 entries", b"5,010 entries", b"3/4", b"9,000 entries"):
        assert expected in drawn
    assert drawn.endswith(b"\x1b[?25h\r\n")


def test_a_bar_that_was_never_shown_leaves_no_trace(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar():
        assert not on_terminal()
    assert capsys.readouterr().err == ""
