"""More workers than cores are wanted while they wait for the disk, and only then."""

import math
import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.measure.pool.protocol import Working
from exporter.measure.pool.waits import Crew, Waiting
from exporter.measure.pool.worker_main import Worker

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


@pytest.mark.parametrize(
    ("worked", "waited", "wanted"),
    [(1, 0, 2), (9, 1, 2), (2, 1, 2), (5, 4, 4), (1, 1, 4), (1, 2, 6), (1, 9, 8), (0, 5, 8)],
)
def test_so_many_are_wanted_that_the_cores_are_busy(worked: float, waited: float, wanted: int) -> None:
    crew = Crew(2, 8)
    crew.note(worked, waited)
    assert crew.wanted == wanted
    crew.note(1, 0)
    assert crew.wanted == 2, "the disk is fast again"


def test_a_moment_says_nothing() -> None:
    crew = Crew(2, 8)
    crew.note(0.01, 0.18)
    assert crew.wanted == 2
    crew.note(0, 0.02)
    assert crew.wanted == 8


def test_a_number_that_was_set_is_not_exceeded() -> None:
    crew = Crew(3, 0)
    crew.note(0, 100)
    assert crew.wanted == 3


@given(
    cores=st.integers(1, 64),
    more=st.integers(0, 64),
    notes=st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), max_size=9),
)
def test_there_is_one_for_each_core_at_least(cores: int, more: int, notes: list[tuple[float, float]]) -> None:
    crew = Crew(cores, cores + more)
    for worked, waited in notes:
        crew.note(worked, waited)
        assert cores <= crew.wanted <= cores + more


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that pass without this process being on a core."""
    seconds = [0.0]
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + seconds[0])
    return seconds


def test_time_off_the_core_is_waited_unless_there_was_nothing_to_do(passed: list[float]) -> None:
    waiting = Waiting()
    passed[0] += 1000
    waiting.add()
    assert math.isclose(waiting.seconds, 1000, abs_tol=100)
    passed[0] += 1000
    waiting.begin()
    waiting.add()
    assert math.isclose(waiting.seconds, 1000, abs_tol=100)


def test_where_the_kernel_does_not_count_nothing_is_waited(
    passed: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr("os.open", missing)
    waiting = Waiting()
    passed[0] += 1000
    waiting.add()
    assert waiting.seconds == 0


def test_a_reader_who_is_late_is_not_the_disk(passed: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    pipes = [os.pipe() for _ in range(3)]
    worker = Worker(pipes[0][0], pipes[1][1], pipes[2][1])
    real = os.write

    def slow(file: int, data: "ReadableBuffer") -> int:
        passed[0] += 60
        return real(file, data)

    monkeypatch.setattr(os, "write", slow)
    for _ in range(2):
        worker._unsent.append(Working(1, 0, 0.0, 0.0))
        worker._flush()
    assert passed == [120]
    assert worker._waiting.seconds < 60
    for one in (end for both in pipes for end in both):
        os.close(one)
