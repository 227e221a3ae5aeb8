"""Waiting for what a test has caused, by asking again and again. A deadline only bounds how long a failure takes."""

import gc
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

#: In seconds: so long that a machine on which everything takes a hundred times as long passes.
DEADLINE = 240.0
_PAUSE_SECONDS = 0.05
T = TypeVar("T")


def eventually(
    ask: Callable[[], T | None], *, otherwise: Callable[[], object] = lambda: "", seconds: float = DEADLINE
) -> T:
    """Ask until the answer is true, and return it; fail with what `otherwise` says when that never happens."""
    until = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > until:
            raise AssertionError(f"it never became so: {otherwise()}")
        time.sleep(_PAUSE_SECONDS)
    return answer


def often(ask: Callable[[], T | None], *, seconds: float = DEADLINE) -> T:
    """Ask without a pause, for what is there for moments only."""
    until = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > until:
            raise AssertionError("it was never so")
    return answer


def with_growing_timeout(scenario: Callable[[float], None], first: float = 0.5) -> None:
    """Play a scenario with a short timeout of the product, and with longer ones where the machine is too slow for it.

    With the longest one nothing is given up on but what hangs: then all that the scenario asserts must hold.
    """
    for seconds in (first, first * 6):
        try:
            return scenario(seconds)
        except AssertionError:
            pass
        _forget_processes()
    return scenario(first * 36)


def _forget_processes() -> None:
    """Drop what a failed try has left, now and without a warning.

    Its workers were killed, but may not have ended: `Popen` warns of that when it is collected, in whichever test that
    happens.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
