"""A worker process: measures what it is told on its standard input, answers on its standard output.

It imports little, for several may run at once. Messages are a length and a marshalled tuple: both ends are
this program under the same interpreter, and what comes from the disk is inside as plain values.
"""

import contextlib
import marshal
import os
import select
import sys
import time
from collections import deque
from typing import Any

from exporter.core.data_root import DataRoot, reason_of
from exporter.core.measured import Changes, Reason, Tree
from exporter.measure.difference import difference
from exporter.measure.exclusions import Exclusions
from exporter.measure.total import TooManyLinksError, Total
from exporter.measure.walk import WHOLE, Start, Walk

LENGTH_BYTES = 4
#: Of the number of a piece, as it is told when that is begun.
NUMBER_BYTES = 8
_SLICE_SECONDS = 0.01
_PROGRESS_SECONDS = 0.2
_REST_SECONDS = 0.5
#: A piece that takes longer than this is worth sharing with a worker that idles.
SHARE_AFTER_SECONDS = 0.02
_PROBLEMS_KEPT = 100


def frame(message: tuple[Any, ...]) -> bytes:
    """Encode a message with its length in front."""
    raw = marshal.dumps(message)
    return len(raw).to_bytes(LENGTH_BYTES, "big") + raw


class Frames:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> list[tuple[Any, ...]]:
        """Add what was read; return the messages that are complete now."""
        self._buffer += piece
        messages = []
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
            if len(self._buffer) < end:
                break
            messages.append(marshal.loads(bytes(self._buffer[LENGTH_BYTES:end])))  # noqa: S302 - from our own other end
            del self._buffer[:end]
        return messages


class _Errors:
    """What one piece of work could not read: all counted, some kept."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.kept: list[tuple[str, Tree, str]] = []

    def __call__(self, error: OSError, path: Tree) -> None:
        self.add(reason_of(error), path, error.strerror or "")

    def add(self, reason: Reason, path: Tree, detail: str) -> None:
        self.counts[reason.value] = self.counts.get(reason.value, 0) + 1
        if len(self.kept) < _PROBLEMS_KEPT:
            self.kept.append((reason.value, path, detail))

    def pack(self) -> tuple[Any, ...]:
        return (self.counts, self.kept)


class Worker:
    """Works off its queue; between two directories it looks up whether it is told anything."""

    def __init__(self, source: int, sink: int, begins: int) -> None:
        """`begins` takes the number of each piece that is begun, without waiting: it tells where it hangs, or died.

        What it has done comes later, and together, for that costs the other end more.
        """
        self._source = source
        self._sink = sink
        self._begins = begins
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._frames = Frames()
        self._queue: deque[tuple[Any, ...]] = deque()
        self._out = bytearray()
        self._walk: Walk | None = None
        self._item = -1
        self._entries = 0
        self._total: Total | None = None
        self._shared = False
        self._most = 0
        self._pace = 1.0
        self._slice_began = self._slice_ends = self._spoke = 0.0

    def run(self) -> None:
        """Work until the other end closes."""
        while True:
            if not self._queue:
                self._flush()
                self._listen(None)
                continue
            self._work(self._queue.popleft())

    def _listen(self, timeout: float | None) -> None:
        """Take what has come, waiting for it up to `timeout` seconds, for ever if None."""
        if not self._poll.poll(None if timeout is None else timeout * 1000):
            return
        piece = os.read(self._source, 1 << 20)
        if not piece:
            os._exit(0)
        for message in self._frames.feed(piece):
            if message[0] == "give":
                self._give()
            else:
                self._queue.append(message)

    def _give(self) -> None:
        """Hand back half of what is not begun, for another worker."""
        whole = [self._queue.pop()[1] for _ in range((len(self._queue) + 1) // 2)]
        starts: list[Start] = []
        if self._walk is not None and not whole:
            starts = self._walk.give()
        self._part_with(whole, starts, paced=False)

    def _part_with(self, whole: list[int], starts: list[Start], *, paced: bool) -> None:
        self._shared = self._shared or bool(starts)
        self._say(("given", whole, self._item, starts, paced))
        self._flush()

    def _say(self, message: tuple[Any, ...]) -> None:
        self._out += frame(message)

    def _flush(self) -> None:
        self._spoke = time.monotonic()
        while self._out:
            del self._out[: os.write(self._sink, self._out)]

    def _look_up(self) -> None:
        """Called between directories: every so often, say how far it is, listen, and rest if told to."""
        now = time.monotonic()
        if now < self._slice_ends:
            return
        done = self._total.entries if self._total else 0
        if self._walk is not None and 0 < self._most < done and (rest := self._walk.give_all()):
            self._part_with([], rest, paced=True)
        self._tell(now, done)
        until = now + (now - self._slice_began) * (1 / self._pace - 1)
        self._listen(0)
        while (left := until - time.monotonic()) > 0:
            self._listen(min(left, _REST_SECONDS))
            self._tell(time.monotonic(), done)
        self._slice_began = time.monotonic()
        self._slice_ends = self._slice_began + _SLICE_SECONDS

    def _tell(self, now: float, done: int) -> None:
        """Give a sign of life."""
        if now - self._spoke > _PROGRESS_SECONDS:
            self._say(("at", self._item, done, time.process_time()))
            self._flush()

    def _work(self, message: tuple[Any, ...]) -> None:
        kind, self._item, where, pace = message[:4]
        with contextlib.suppress(BlockingIOError):
            os.write(self._begins, self._item.to_bytes(NUMBER_BYTES, "big"))
        self._look_up()
        self._pace = pace
        # The first word of this piece comes as soon as it is worth sharing: until then nobody asks for a share.
        self._spoke = time.monotonic() + SHARE_AFTER_SECONDS - _PROGRESS_SECONDS
        errors = _Errors()
        try:
            with DataRoot(where[0]) as root:
                if (root.device, root.inode) != where[1:]:
                    self._say(("failed", self._item, Reason.VANISHED.value, (), "another root", time.process_time()))
                elif kind == "measure":
                    self._measure(root, message, errors)
                else:
                    self._compare(root, message, errors)
        except TooManyLinksError:
            self._fail(Reason.TOO_LARGE, message[4], "more hard-linked files than are remembered")
        except OSError as error:
            self._fail(reason_of(error), message[4], error.strerror or "")
        finally:
            self._walk = self._total = None
            self._most, self._pace = 0, 1.0

    def _fail(self, reason: Reason, tree: Tree, detail: str) -> None:
        self._say(("failed", self._item, reason.value, tree, detail, time.process_time()))

    def _measure(self, root: DataRoot, message: tuple[Any, ...], errors: _Errors) -> None:
        tree, starts, prune, self._most = message[4:]
        self._total = Total()
        self._shared = starts != [WHOLE]
        self._walk = Walk(root, tree, Exclusions.unpack(prune), errors, self._total, self._look_up)
        identity = self._walk.run(starts)
        packed = self._total.pack(alone=not self._shared)
        self._say(("measured", self._item, identity, packed, errors.pack(), time.process_time()))

    def _compare(self, root: DataRoot, message: tuple[Any, ...], errors: _Errors) -> None:
        new, old = message[4:]
        size, entries = difference(root, Changes(new, old), errors, self._look_up)
        self._say(("compared", self._item, size, entries, errors.pack(), time.process_time()))


def main() -> None:
    """Run a worker on standard input and output."""
    os.nice(19)
    with contextlib.suppress(OSError):  # a sandbox may refuse it: then niceness must do
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    Worker(sys.stdin.fileno(), sys.stdout.fileno(), int(sys.argv[2])).run()


if __name__ == "__main__":
    main()
