"""Finds out whether a filesystem hangs, by a call that is abandoned after a timeout.

A call on the filesystem of a dead NFS server, or of a FUSE process that is stopped, does not return from the kernel.
"""

import math
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from exporter.core.ask_server import CALLS, LOOK, STATVFS, Answer
from exporter.core.asker import Asker, AskerError
from exporter.core.process_state import state_of

_TIMEOUT_SECONDS = 1.0
_STARVED_SECONDS = 0.1


class _Question(Protocol):
    """One call."""

    answer: Answer

    def returned(self, seconds: float) -> bool:
        """Whether the call returns within so many seconds; then `answer` is set. May raise AskerError."""


class HangProbe:
    """Remembers the paths whose call has not returned. For these no second call is made.

    The calls are made in threads. A process with such a thread cannot end before the call returns, and some calls
    cannot be interrupted. So a process that is to end makes them in other processes: `outside`.
    """

    def __init__(self, seconds: float = _TIMEOUT_SECONDS) -> None:
        self._seconds = seconds
        self._asked: dict[str, _Question] = {}
        self._answered: dict[str, float] = {}
        self._asker: Asker | None = None

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Make the calls in other processes, for the length of a `with` block."""
        with Asker() as asker:
            self._asker = asker
            try:
                yield
            finally:
                self._asker = None

    def answers(self, path: str) -> bool:
        """Open and list a directory; return whether that succeeds or fails within the timeout."""
        if path not in self._ask(LOOK, [path]):
            return False
        self._answered[path] = time.monotonic()
        return True

    def has_answered(self, path: str) -> bool:
        """Whether a filesystem answers, or did so a moment ago: for one more call in the same turn."""
        since = time.monotonic() - self._answered.get(path, -math.inf)
        return (since < self._seconds and not self.hangs(path)) or self.answers(path)

    def statvfs(self, paths: Iterable[str]) -> dict[str, os.statvfs_result | None]:
        """Call statvfs for all paths at once. One that fails is None; one that hangs is left out."""
        answers = self._ask(STATVFS, dict.fromkeys(paths))
        return {path: os.statvfs_result(answer) if answer else None for path, answer in answers.items()}

    def hangs(self, path: str) -> bool:
        """Whether a call for this path has not returned yet."""
        asked = self._asked.get(path)
        with suppress(AskerError):  # it is lost, and with it the answer
            if asked is not None and asked.returned(0.0):
                del self._asked[path]
                return False
        return asked is not None

    def _ask(self, kind: str, paths: Iterable[str]) -> dict[str, Answer]:
        """The answers of the calls that return within the timeout, by path."""
        questions = {path: self._begin(kind, path) for path in paths if not self.hangs(path)}
        until = time.monotonic() + self._seconds
        answers: dict[str, Answer] = {}
        for path, question in questions.items():
            left = max(0.0, until - time.monotonic())
            try:
                returned, asked = question.returned(left), question
            except AskerError:
                asked = self._without_asker(kind, path)
                returned = asked.returned(self._seconds)
            if returned:
                answers[path] = asked.answer
            else:
                self._asked[path] = asked
        return answers

    def _begin(self, kind: str, path: str) -> _Question:
        if self._asker is not None:
            try:
                return self._asker.ask(kind, path)
            except AskerError:
                return self._without_asker(kind, path)
        return _InThread(kind, path)

    def _without_asker(self, kind: str, path: str) -> _Question:
        """Ask in a thread from now on: the asker is lost."""
        self._asker = None
        return _InThread(kind, path)


class _InThread(threading.Thread):
    """A call in a thread of its own. It is a daemon thread: the interpreter does not wait for it."""

    def __init__(self, kind: str, path: str) -> None:
        super().__init__(daemon=True)
        self._call, self._path = CALLS[kind], path
        self.answer: Answer = ()
        self._done = False
        try:
            self.start()
        except (RuntimeError, MemoryError):
            # No thread can be started (a limit on processes or memory). A filesystem that hangs then stops the caller,
            # which is noticed (`core.stall_detector`); not to ask at all would take every filesystem for one.
            self.run()

    def run(self) -> None:
        """Make the call."""
        self.answer = self._call(self._path)
        self._done = True

    def returned(self, seconds: float) -> bool:
        """Whether the call returns within so many seconds, or later if the thread only waits for a core."""
        if not self._done:
            self.join(seconds)
        while not self._done and state_of(os.getpid(), self.native_id).is_starved(0.0, _TIMEOUT_SECONDS):
            self.join(_STARVED_SECONDS)
        return self._done


#: Of this process: a thread that is stuck in the kernel stays there, whoever had it started.
HANG_PROBE = HangProbe()
