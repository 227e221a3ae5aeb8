"""The pool's side of one worker process: its pipes, the work that it has, and its last sign of life."""

import contextlib
import ctypes
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterable

from exporter.core.framing import FrameReader
from exporter.core.interrupts import interrupts_held
from exporter.core.measured import Tree
from exporter.core.oom_score import OOM_SCORE, give
from exporter.core.process_state import state_of
from exporter.measure.pool.protocol import (
    NUMBER_BYTES,
    Answer,
    MeasureTrees,
    Order,
    ShareWork,
    UseRoot,
    Work,
    decode_answers,
    encode_orders,
)

#: The number of the system call ioprio_set(2), which differs by machine.
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "loongarch64": 30, "ppc64le": 273, "s390x": 282}
_WHO_PROCESS = 1
_CLASS_IDLE = 3 << 13
_TOP = os.path.abspath(f"{__file__}/../../../..")
_START = "import sys; sys.path.insert(0, sys.argv[1]); from exporter.measure.pool.worker_main import main; main()"
_NOTHING_TO_SHARE_SECONDS = 0.2
#: A worker has as many urgent items as it does in this time, so that it never waits for the next one ...
_AHEAD_SECONDS = 0.02
#: ... and between so many.
_LEAST_AHEAD, _MOST_AHEAD = 32, 1024
#: Most orders and answers fit into a pipe of this size.
_PIPE_BYTES = 1 << 20


class WorkerHandle:
    """A worker process: the numbers of its work items, in `work`, and when it last gave a sign of life, in `moved`."""

    def __init__(self) -> None:
        self._begins, begins = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._process = _start_worker(begins)
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
            with contextlib.suppress(OSError):  # pipe-user-pages-soft limits them: a smaller one is only slower
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._unsent = bytearray()
        self._frames = FrameReader()
        self._begun = -1
        self._root: UseRoot | None = None
        self.pid = self._process.pid
        #: The numbers of its work items, in the order in which it does them.
        self.work: dict[int, None] = {}
        #: Whether that is work at a pace.
        self.paced = False
        #: The tree in which it hung when it was killed.
        self.stuck_in: Tree | None = None
        #: Whether it was given more time because it got no core.
        self.starved = False
        self.cpu = 0.0
        self.waited = 0.0
        #: How many entries it has looked at for the item that it is working on.
        self.at = 0
        self.asked = False
        self.ask_after = 0.0
        #: How many items it has ahead of it.
        self.ahead = _LEAST_AHEAD
        self._done = 0
        self.began = self._counted = self.moved = time.monotonic()
        _lower_io_priority(self.pid)

    def give(self, root: UseRoot, numbers: Iterable[int], orders: Iterable[Work | MeasureTrees]) -> None:
        """Give it work items of a data root, to do after those that it has."""
        self._look_ahead()
        if not self.work:
            self.began = self.moved = self._counted = time.monotonic()
            self._done = 0
        self.work.update(dict.fromkeys(numbers))
        self._send([*orders] if root == self._root else [root, *orders])
        self._root = root

    def ask_to_share(self) -> None:
        """Ask it to give back half of the work that it has not begun."""
        self.asked = True
        self._send([ShareWork()])

    def note_shared(self, *, anything: bool) -> None:
        """Note its answer. After one without any work, it is not asked again for a while."""
        self.asked = False
        self.ask_after = time.monotonic() + (0 if anything else _NOTHING_TO_SHARE_SECONDS)

    def done(self, *numbers: int) -> None:
        """Note that it does not have these work items any more."""
        work = self.work
        for number in numbers:
            if number in work:
                del work[number]
                self.at = 0
                self._done += 1
        self.began = self.moved
        self.paced = self.paced and bool(self.work)

    @property
    def begun(self) -> int:
        """The item that it is working on: the one that it began last, or the first where it has reported none."""
        self._note_begun()
        return self._begun if self._begun in self.work else next(iter(self.work))

    def _note_begun(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while said := os.read(self._begins, NUMBER_BYTES << 10):
                self._begun = int.from_bytes(said[-NUMBER_BYTES:], "big")

    def receive(self) -> list[Answer] | None:
        """Read what it has written; None when it has ended. Raises ProtocolError."""
        piece = os.read(self.output, 1 << 18)
        if not piece:
            return None
        self._note_begun()  # read often, so that this pipe never fills
        self.moved = time.monotonic()
        return decode_answers(self._frames.feed(piece))

    def is_starved(self, seconds: float) -> bool:
        """Whether it has shown no progress for `seconds` because it got no core: it has the lowest priority.

        One that is stopped alone (SIGSTOP, a debugger) is not: nobody knows whether it ever goes on.
        """
        return state_of(self.pid).is_starved(self.cpu, seconds)

    def _look_ahead(self) -> None:
        """Work out how many items it does in a while."""
        if self._done >= _LEAST_AHEAD:
            ahead = int(self._done * _AHEAD_SECONDS / max(self.moved - self._counted, 1e-6))
            self.ahead = min(max(ahead, _LEAST_AHEAD), _MOST_AHEAD)
            self._counted, self._done = self.moved, 0

    @property
    def unsent(self) -> bool:
        """Whether orders wait for room in the pipe."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send the orders that did not fit into the pipe before."""
        try:
            while self._unsent:
                del self._unsent[: os.write(self.input, self._unsent)]
        except BlockingIOError:
            pass  # it reads between two directories
        except BrokenPipeError:
            self._unsent.clear()  # it has ended, and so does its output

    def kill(self) -> None:
        """Kill it. It only reads the disk, so nothing is left half done."""
        self._process.kill()

    def ended(self, wait: float = 0.0) -> bool:
        """Whether it has ended, or ends within `wait` seconds. One that hangs in the kernel does not."""
        try:
            self._process.wait(wait)
        except subprocess.TimeoutExpired:
            return False
        self.close_pipes()
        return True

    @property
    def hangs(self) -> bool:
        """Whether it still hangs in the tree in which it hung: what can be killed there only needs a core to end."""
        return self.stuck_in is not None and not state_of(self.pid).ready

    def close_pipes(self) -> None:
        """Close this side of its pipes; to be called once it is killed."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._begins >= 0:
            os.close(self._begins)
            self._begins = -1

    def _send(self, orders: list[Order]) -> None:
        self._unsent += encode_orders(orders)
        self.flush()


def _start_worker(begins: int) -> "subprocess.Popen[bytes]":
    """Start the process. `begins` is the pipe for the numbers of the items that it begins; raises OSError."""
    with interrupts_held(), OOM_SCORE.lent():
        process = subprocess.Popen(  # noqa: S603 - this interpreter, with this program
            # Without site: half of a worker's start would be the search for packages that it does not use.
            [sys.executable, "-S", "-E", "-P", "-c", _START, _TOP, str(begins)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # of this session: see service/scan_supervisor.py
            pass_fds=[begins],
        )
        give(process.pid)
        return process


def _lower_io_priority(process: int) -> None:
    """Put a process into the idle I/O class, where the machine's system call is known."""
    number = _IOPRIO_SET.get(os.uname().machine)
    if number is not None:
        ctypes.CDLL(None).syscall(number, _WHO_PROCESS, process, _CLASS_IDLE)
