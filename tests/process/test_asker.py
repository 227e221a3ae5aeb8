"""Questions to filesystems, asked in other processes."""

import os
import signal
import threading
from pathlib import Path

import pytest

import exporter.core.asker
from exporter.core.ask_server import LOOK, STATVFS
from exporter.core.asker import Asker, AskerError
from exporter.core.hang_probe import HangProbe
from tests.support.waiting import DEADLINE


def test_the_answers_are_those_of_statvfs(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"a \n\xff")
    odd.mkdir()
    probe = HangProbe(DEADLINE)
    with probe.outside():
        found = probe.statvfs([str(odd), str(tmp_path / "gone")])
        assert probe.answers(str(odd))
        assert probe.answers(str(tmp_path / "gone"))
    assert found[str(tmp_path / "gone")] is None
    assert (status := found[str(odd)]) is not None
    assert (status.f_blocks, status.f_frsize) == (os.statvfs(odd).f_blocks, os.statvfs(odd).f_frsize)


def test_many_threads_may_ask(tmp_path: Path) -> None:
    answered: list[bool] = []
    with Asker() as asker:
        asking = [
            threading.Thread(target=lambda: answered.append(asker.ask(LOOK, str(tmp_path)).returned(DEADLINE)))
            for _ in range(20)
        ]
        for one in asking:
            one.start()
        for one in asking:
            one.join()
    assert answered == [True] * 20


def test_an_asker_that_is_stopped_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter.core.asker, "_FORK_SECONDS", 0.2)
    monkeypatch.setattr(exporter.core.asker, "_END_SECONDS", 0.2)
    with Asker() as asker:
        assert asker.pid is not None
        os.kill(asker.pid, signal.SIGSTOP)
        with pytest.raises(AskerError):
            asker.ask(LOOK, str(tmp_path)).returned(DEADLINE)


def test_an_asker_ignores_interrupts(tmp_path: Path) -> None:
    with Asker() as asker:
        assert asker.pid is not None
        os.kill(asker.pid, signal.SIGINT)
        for _ in range(3):
            assert asker.ask(LOOK, str(tmp_path)).returned(DEADLINE)


def test_without_the_asker_threads_ask(tmp_path: Path) -> None:
    """It was killed, when memory was short, say: the next question finds that out."""
    probe = HangProbe(DEADLINE)
    with Asker() as asker:
        assert asker.ask(STATVFS, str(tmp_path)).returned(DEADLINE)
        assert asker.pid is not None
        os.kill(asker.pid, signal.SIGKILL)
        with probe.outside():
            probe._asker = asker
            assert probe.answers(str(tmp_path))
            assert probe.answers(str(tmp_path))
