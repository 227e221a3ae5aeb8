from pathlib import Path

import pytest

from exporter.core.barrier import Barrier
from exporter.core.clock import Clock
from exporter.core.fault import Fault, fault_of
from exporter.core.fault_log import FaultLog
from exporter.core.measured import Reason
from exporter.core.model import Collector


def _fails() -> int:
    message = "what the disk says"
    raise OverflowError(message)


def _endless(number: int) -> int:
    return _endless(number + 1) + 1


def _caught(work: object) -> Exception:
    assert callable(work)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        work()
    assert isinstance(caught.value, Exception)
    return caught.value


def test_a_fault_names_the_exception_and_its_place_and_not_what_it_quotes() -> None:
    fault = fault_of(_caught(_fails))
    assert fault.kind.startswith(f"OverflowError at {Path(__file__).name}:")
    assert "what the disk says" not in fault.kind
    assert "what the disk says" in fault.traceback


def test_a_deep_recursion_has_a_short_traceback() -> None:
    fault = fault_of(_caught(lambda: _endless(0)))
    assert fault.kind.startswith("RecursionError at ")
    assert 0 < len(fault.traceback) <= 8000


def test_of_each_kind_one_traceback_is_logged_in_an_hour(capfd: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    log = FaultLog(Clock(monotonic=lambda: now[0]))
    for _ in range(100):
        assert log.note(Fault("A at b.py:1", "trace\nback"), "image x") == "A at b.py:1"
    log.note(Fault("B at b.py:2", "other"), "image y")
    lines = capfd.readouterr().err.splitlines()
    assert [line.count("internal.error") for line in lines] == [1, 1]
    assert "trace\\nback" in lines[0]
    assert "image x" in lines[0]
    now[0] = 3600.0
    log.note(Fault("A at b.py:1", "trace"), "image z")
    (line,) = capfd.readouterr().err.splitlines()
    assert "more_before=99" in line


def test_a_barrier_returns_what_stands_in_for_what_failed_and_counts_it() -> None:
    barrier = Barrier()
    assert barrier.attempt(Collector.IMAGES, "image a", lambda: 5, 0) == 5
    assert not barrier.failed
    for _ in range(200):
        assert barrier.attempt(Collector.IMAGES, "image a", _fails, 0) == 0
    assert barrier.failed == {Collector.IMAGES: 200}
    assert len(barrier.problems) == 100
    assert (barrier.problems[0].reason, barrier.problems[0].path) == (Reason.INTERNAL, "image a")
