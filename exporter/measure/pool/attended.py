"""A thread that attends to a pool while the process does something else."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_TURN_SECONDS = 0.01


@contextmanager
def attended(go_on: Callable[[float], None]) -> Iterator[None]:
    """Call `go_on` again and again, for the length of a `with` block, with the seconds that it may wait.

    Nobody else may call anything of the same pool meanwhile. Where no thread can be started, workers do what they have.
    """
    ends = False

    def attend() -> None:
        with suppress(Exception):  # it is met again by whoever asks for results
            while not ends:
                go_on(_TURN_SECONDS)

    thread = threading.Thread(target=attend, daemon=True)
    with suppress(RuntimeError):
        thread.start()
    try:
        yield
    finally:
        ends = True
        if thread.ident is not None:
            thread.join()
