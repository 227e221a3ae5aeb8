"""Makes calls that may hang in processes of their own, for a command that must end whatever hangs.

A process does not end before all its threads have, and a thread may wait in the kernel for an answer of a filesystem
without being killed for it (a request that a FUSE server has taken, Linux fs/fuse/dev.c, request_wait_answer). So
each call is made in a process that is left behind if it hangs. The asker is the process that forks these. It is small
and has one thread, and it never makes such a call itself.
"""

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from typing import Self

from exporter.core.ask_server import BEGUN, PIECE_BYTES, Answer
from exporter.core.interrupts import interrupts_held
from exporter.core.process_state import state_of

_FORK_SECONDS = 5.0
_END_SECONDS = 5.0
_TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_START = "import sys; sys.path.insert(0, sys.argv[1]); from exporter.core.ask_server import serve; serve()"


class AskerError(Exception):
    """The asker has ended, or could not be started."""


class Asker:
    """The process that forks. Use as a context manager: at its end, calls that hang are killed or left behind."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._lost = False
        self._received = b""
        self._processes: dict[int, int] = {}
        self._answers: dict[int, Answer] = {}
        self._asked = 0
        with contextlib.suppress(OSError), interrupts_held():
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with this program
                [sys.executable, "-S", "-E", "-P", "-c", _START, _TOP],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what is left behind must not hold the pipe of a reader of errors
                bufsize=0,
                process_group=0,  # Ctrl-C does not reach it; it ends when its input does
            )

    @property
    def pid(self) -> int | None:
        """The id of the process; None if it could not be started."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._lost = True
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                self._process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:  # it was stopped
                self._process.kill()
                self._process.wait()

    def ask(self, kind: str, path: str) -> "Asked":
        """Begin a call; raises AskerError."""
        with self._lock:
            self._asked += 1
            process = self._running()
            assert process.stdin is not None, "opened as a pipe"
            try:
                process.stdin.write(f"{self._asked} {kind} {os.fsencode(path).hex()}\n".encode())
            except OSError as error:
                raise AskerError from error
            return Asked(self, self._asked)

    def answer(self, number: int, seconds: float) -> Answer | None:
        """The answer to a question, if it comes within so many seconds; raises AskerError.

        They are counted from when its process runs, and again if that only waits for a core.
        """
        with self._lock:
            while number not in self._processes:
                if not self._receive(_FORK_SECONDS) and not state_of(self._running().pid).ready:
                    self._lost = True  # it was stopped: all that it does without waiting is to fork
                    raise AskerError
            until = time.monotonic() + seconds
            while number not in self._answers:
                if self._receive(max(0.0, until - time.monotonic())):
                    continue
                if not state_of(self._processes[number]).ready:
                    return None
                until = time.monotonic() + seconds
            return self._answers[number]

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._lost:
            raise AskerError
        return self._process

    def _receive(self, seconds: float) -> bool:
        """Receive what it has written, and whether it had, within so many seconds."""
        output = self._running().stdout
        assert output is not None, "opened as a pipe"
        waiting = select.poll()
        waiting.register(output, select.POLLIN)
        if not waiting.poll(seconds * 1000):
            return False
        piece = output.read(PIECE_BYTES)
        if not piece:
            self._lost = True
            raise AskerError
        *lines, self._received = (self._received + piece).split(b"\n")
        for line in lines:
            begun = line.startswith(BEGUN.encode())
            number, *rest = map(int, line.split())
            if begun:
                self._processes[number] = rest[0]
            else:
                self._answers[number] = tuple(rest)
        return True


class Asked:
    """A call that an asker makes."""

    def __init__(self, asker: Asker, number: int) -> None:
        self._asker, self._number = asker, number
        self.answer: Answer = ()

    def returned(self, seconds: float) -> bool:
        """Whether the call returns within so many seconds; raises AskerError."""
        answer = self._asker.answer(self._number, seconds)
        self.answer = answer or ()
        return answer is not None
