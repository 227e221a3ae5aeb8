"""One worker process as its crew sees it."""

import contextlib
import ctypes
import fcntl
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from exporter.core.measured import Tree
from exporter.measure.pool.worker_main import NUMBER_BYTES, Frames, frame

#: ioprio_set(2) by machine; its numbers were given out one architecture at a time.
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "loongarch64": 30, "ppc64le": 273, "s390x": 282}
_WHO_PROCESS = 1
_CLASS_IDLE = 3 << 13
_HOUSE = str(Path(__file__).parents[3])
_START = "import sys; sys.path.insert(0, sys.argv[1]); from exporter.measure.pool.worker_main import main; main()"
_PEACE_SECONDS = 0.2
#: What a worker is given, or gives, is to fit into its pipe.
_PIPE_BYTES = 1 << 20


class WorkerHandle:
    """A worker process: what it was given, and when it last gave a sign of life."""

    def __init__(self) -> None:
        self._begins, begins = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with this program
                # Without site: half of a worker's start would be the search for packages that it does not use.
                [sys.executable, "-S", "-E", "-c", _START, _HOUSE, str(begins)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                process_group=0,  # of this session: see exporter/service.py
                pass_fds=[begins],
            )
        except OSError:
            os.close(self._begins)
            raise
        finally:
            os.close(begins)
        assert self._process.stdin is not None, "opened as a pipe"
        assert self._process.stdout is not None, "opened as a pipe"
        self.input = self._process.stdin.fileno()
        self.output = self._process.stdout.fileno()
        os.set_blocking(self.input, False)
        for pipe in (self.input, self.output):
            with contextlib.suppress(OSError):  # the user may have too many large pipes: then it takes longer
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._unsent = bytearray()
        self._frames = Frames()
        self._begun = -1
        self.pid = self._process.pid
        #: Numbers of the pieces it has, in the order in which it does them.
        self.work: list[int] = []
        #: Whether that is work at a pace, which takes next to nothing of a core.
        self.paced = False
        #: Where it hung when it was given up on.
        self.stuck_in: Tree | None = None
        self.cpu = 0.0
        #: How many entries it has looked at for the piece that it is at.
        self.at = 0
        self.asked = False
        self.ask_after = 0.0
        self.began = self.moved = time.monotonic()
        _lower_io_priority(self.pid)

    def give(self, number: int, message: tuple[Any, ...]) -> None:
        """Give it one piece of work."""
        if not self.work:
            self.began = self.moved = time.monotonic()
        self.work.append(number)
        self._send(message)

    def ask(self) -> None:
        """Ask it to give back half of what it has not begun."""
        self.asked = True
        self._send(("give",))

    def given(self, *, anything: bool) -> None:
        """Note its answer. One that had nothing to give is left in peace for a while."""
        self.asked = False
        self.ask_after = time.monotonic() + (0 if anything else _PEACE_SECONDS)

    def done(self, number: int) -> None:
        """Take one piece off its list."""
        if number in self.work:
            self.work.remove(number)
            self.at = 0
        self.began = time.monotonic()
        self.paced = self.paced and bool(self.work)

    @property
    def begun(self) -> int:
        """The piece that it has begun last, as far as that is not done: what it hangs in, or has died of."""
        self._note_begun()
        return self._begun if self._begun in self.work else self.work[0]

    def _note_begun(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self._begins, NUMBER_BYTES << 10):
                self._begun = int.from_bytes(said[-NUMBER_BYTES:], "big")

    def hear(self) -> list[tuple[Any, ...]] | None:
        """Return what it has said; None when it is gone."""
        piece = os.read(self.output, 1 << 18)
        if not piece:
            return None
        self._note_begun()  # so that there is always room for more
        self.moved = time.monotonic()
        return self._frames.feed(piece)

    @property
    def unsent(self) -> bool:
        """Whether something waits for room in the pipe."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send what did not fit into the pipe before."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self.input, self._unsent)]
        except BlockingIOError:
            pass  # it reads when it looks up from its work
        except BrokenPipeError:
            self._unsent.clear()  # it is gone: its output says so too

    def kill(self) -> None:
        """End it at once: it only reads, there is nothing to finish."""
        self._process.kill()

    def ended(self, wait: float = 0.0) -> bool:
        """Whether it is gone, or goes within `wait` seconds. One that hangs in the kernel may stay."""
        try:
            self._process.wait(wait)
        except subprocess.TimeoutExpired:
            return False
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._begins >= 0:
            os.close(self._begins)
            self._begins = -1
        return True

    def _send(self, message: tuple[Any, ...]) -> None:
        self._unsent += frame(message)
        self.flush()


def _lower_io_priority(process: int) -> None:
    """Put a process into the idle I/O class; where that cannot be done, niceness alone must do."""
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, _WHO_PROCESS, process, _CLASS_IDLE)
