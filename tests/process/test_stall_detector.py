"""A thread that the kernel does not switch: it hangs, unless it could go on."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from exporter.core.process_state import state_of
from exporter.core.stall_detector import StallDetector
from tests.support.waiting import eventually


@pytest.fixture
def busy() -> Iterator[int]:
    with subprocess.Popen(["sh", "-c", "while :; do :; done"]) as process:
        eventually(lambda: state_of(process.pid).cpu > 0.05)  # before that the disk may be read for it
        yield process.pid
        process.kill()


def _is_stuck_at_once(process: int) -> bool:
    """As if half a minute had passed in which the kernel did not switch it."""
    detector = StallDetector(process, 30, 0)
    return any(detector.is_stuck(now) for now in (0, 10, 20, 30, 40))


def test_what_is_stopped_is_stuck(busy: int) -> None:
    os.kill(busy, signal.SIGSTOP)
    eventually(lambda: _is_stuck_at_once(busy))


def test_what_could_go_on_is_not_stuck(busy: int) -> None:
    assert not any(_is_stuck_at_once(busy) for _ in range(100))
