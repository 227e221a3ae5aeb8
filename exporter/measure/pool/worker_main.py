"""A worker process: it reads orders from its standard input and writes answers to its standard output.

It imports few modules of the standard library and no other package: several may run at once.
"""

import contextlib
import os
import select
import struct
import sys
import time
from collections import deque
from functools import lru_cache

from exporter.core.data_root import DataRoot, reason_of
from exporter.core.fault import fault_of
from exporter.core.framing import FrameReader
from exporter.core.interrupts import ignore_interrupts
from exporter.core.measured import Changes, Identity, Reason, Tree, root_of
from exporter.measure.difference import difference
from exporter.measure.exclusions import NOTHING, Excluded, Exclusions
from exporter.measure.pool.protocol import (
    NUMBER_BYTES,
    ROW_BYTES,
    SHARE_AFTER_SECONDS,
    Answer,
    ComparedTrees,
    CompareTrees,
    Errors,
    FailedWork,
    FoundLinks,
    MeasuredLot,
    MeasuredTree,
    MeasuredTrees,
    MeasureLot,
    MeasureTree,
    MeasureTrees,
    SharedWork,
    ShareWork,
    UseRoot,
    Work,
    Working,
    decode_orders,
    encode_answers,
    pack_row,
)
from exporter.measure.pool.waits import Waiting
from exporter.measure.small import measure_small
from exporter.measure.start import WHOLE, Start
from exporter.measure.total import Sums, TooManyLinksError, Total
from exporter.measure.walk import Walk

_SLICE_SECONDS = 0.01
_PROGRESS_SECONDS = 0.2
#: By so much the next report comes sooner where work is to be shared.
_SOONER_SECONDS = _PROGRESS_SECONDS - SHARE_AFTER_SECONDS
_REST_SECONDS = 0.5
_PROBLEMS_KEPT = 100
#: So many small trees are reported at once.
_ROWS_SENT = 256
_WHOLE = (WHOLE,)
#: So many exclusions are kept, once they were made.
_FEW = 4
#: For so long the root is taken to be the same: it is opened for many small trees together.
_ROOT_SECONDS = 0.1


@lru_cache(64)
def _few(listed: tuple[Excluded, ...]) -> Exclusions:
    """The exclusions that many trees have, such as all volumes."""
    return Exclusions.of(listed)


class _ErrorLog:
    """What could not be read of one work item: all counted, some kept with path and message."""

    def __init__(self) -> None:
        self._errors: Errors | None = None

    def __call__(self, error: OSError, path: Tree) -> None:
        reason = reason_of(error)
        if self._errors is None:
            self._errors = Errors({}, [])
        counts, kept = self._errors
        counts[reason] = counts.get(reason, 0) + 1
        if len(kept) < _PROBLEMS_KEPT:
            kept.append((reason, path, error.strerror or ""))

    @property
    def found(self) -> Errors | None:
        """The errors; None without any."""
        return self._errors


class Worker:
    """Does its work items one after the other; between two directories it checks for new orders."""

    def __init__(self, source: int, sink: int, begins: int) -> None:
        """`begins` is a pipe for the number of each item that is begun: it tells where the worker hangs, or died.

        Writing there never blocks. Answers come later and several together, which costs the other end less.
        """
        self._source = source
        self._sink = sink
        self._begins = begins
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._frames = FrameReader()
        self._root = UseRoot("", 0, 0, [])
        self._opened: DataRoot | None = None
        self._opened_at = 0.0
        self._queue: deque[Work] = deque()
        self._unsent: list[Answer] = []
        self._rows = bytearray()
        self._waiting = Waiting()
        #: The exclusions of the order before: many have the same.
        self._listed: tuple[Excluded, ...] = ()
        self._exclusions = Exclusions()
        self._walk: Walk | None = None
        self._item = -1
        self._entries = 0
        self._total: Total | None = None
        self._shared = False
        self._most = 0
        self._pace = 1.0
        self._slice_began = self._slice_ends = self._told = self._flushed = 0.0

    def run(self) -> None:
        """Work until the other end closes."""
        while True:
            if not self._queue:
                self._flush()
                self._close_root()
                self._read_orders(None)
                self._waiting.begin()
                continue
            self._work(self._queue.popleft())

    def _read_orders(self, timeout: float | None) -> None:
        """Read the orders that have come, waiting for them up to `timeout` seconds; for ever if None."""
        if not self._poll.poll(None if timeout is None else timeout * 1000):
            return
        piece = os.read(self._source, 1 << 20)
        if not piece:
            os._exit(0)
        for order in decode_orders(self._frames.feed(piece)):
            if isinstance(order, ShareWork):
                self._share()
            elif isinstance(order, UseRoot):
                self._root = order  # a worker that has work of another root is ended, not given this one
            elif isinstance(order, MeasureTrees):
                self._queue.extend(order.each())
            else:
                self._queue.append(order)

    def _share(self) -> None:
        """Give back half of the work that is not begun, for another worker."""
        whole = [self._queue.pop().number for _ in range((len(self._queue) + 1) // 2)]
        starts: list[Start] = []
        if self._walk is not None and not whole:
            starts = self._walk.give()
        self._give_back(whole, starts, paced=False)

    def _give_back(self, whole: list[int], starts: list[Start], *, paced: bool) -> None:
        self._shared = self._shared or bool(starts)
        self._unsent.append(SharedWork(whole, self._item, starts, paced))
        self._flush()
        self._told -= _SOONER_SECONDS  # who got little may ask for more, and does so at a report

    def _flush(self) -> None:
        self._told = self._flushed = time.monotonic()
        self._waiting.add()
        if self._rows:
            self._unsent.insert(0, MeasuredTrees(bytes(self._rows), time.process_time(), self._waiting.seconds))
            self._rows.clear()
        if not self._unsent:
            return
        raw = memoryview(encode_answers(self._unsent))
        self._unsent.clear()
        while raw:
            raw = raw[os.write(self._sink, raw) :]
        self._waiting.begin()  # that was for a reader who is late, not for the disk

    def _check_orders(self) -> None:
        """Called between directories: every so often, report progress, read orders, and rest to keep the pace."""
        now = time.monotonic()
        if now < self._slice_ends:
            return
        done = self._total.entries if self._total else 0
        if self._walk is not None and 0 < self._most < done and (rest := self._walk.give_all()):
            self._give_back([], rest, paced=True)
            self._most = 2 * done  # not for each part of a huge directory: that would be all its names in the end
        self._report_progress(now, done)
        until = now + (now - self._slice_began) * (1 / self._pace - 1)
        self._read_orders(0)
        if self._pace < 1:
            self._rest(until, done)
        self._slice_began = time.monotonic()
        self._slice_ends = self._slice_began + _SLICE_SECONDS

    def _rest(self, until: float, done: int) -> None:
        self._waiting.add()
        while (left := until - time.monotonic()) > 0:
            self._read_orders(min(left, _REST_SECONDS))
            self._waiting.begin()
            self._report_progress(time.monotonic(), done)

    def _report_progress(self, now: float, done: int) -> None:
        if now - self._told > _PROGRESS_SECONDS:
            self._waiting.add()
            self._unsent.append(Working(self._item, done, time.process_time(), self._waiting.seconds))
            self._flush()

    def _work(self, order: Work) -> None:
        self._item = order.number
        try:  # noqa: SIM105 - for each of many small trees: the context manager would take longer than the call
            os.write(self._begins, self._item.to_bytes(NUMBER_BYTES, "big"))
        except BlockingIOError:
            pass  # it is full: the other end is late, and knows this worker by what it began before
        now = time.monotonic()
        if now >= self._slice_ends:
            self._check_orders()
        self._pace = order.pace
        if len(self._rows) >= _ROWS_SENT * ROW_BYTES or now - self._flushed > _PROGRESS_SECONDS:
            self._flush()
        # The first report on this item comes as soon as it is worth sharing: until then nobody asks for a share.
        self._told = now - _SOONER_SECONDS
        tree = order.new if isinstance(order, CompareTrees) else order.tree
        try:
            root = self._root_at(root_of(tree), now)
            if root is None:
                self._fail(Reason.VANISHED, (), "another root")
            elif isinstance(order, MeasureTree):
                self._measure(root, order)
            elif isinstance(order, CompareTrees):
                self._compare(root, order)
            else:
                self._measure_lot(order)
        except TooManyLinksError:
            self._fail(Reason.TOO_LARGE, tree, "more hard-linked files than are remembered")
        except OSError as error:
            self._fail(reason_of(error), tree, error.strerror or "")
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen: the other trees are measured all the same
            fault = fault_of(error)
            self._fail(Reason.INTERNAL, tree, fault.kind, fault.traceback)
        finally:
            self._walk = self._total = None
            self._most, self._pace = 0, 1.0

    def _root_at(self, top: Tree, now: float) -> DataRoot | None:
        """The open root; None where another one is there than the orders were planned for. Raises OSError."""
        root = self._opened
        if root is None or now - self._opened_at > _ROOT_SECONDS or (top and top not in root.tops):
            self._close_root()
            root = DataRoot(self._root.path, top)
            if not root.identities.items() <= self._planned():
                root.close()
                return None
            self._opened, self._opened_at = root, now
        return root

    def _close_root(self) -> None:
        """Hold nothing open while there is nothing to do: a filesystem could not be unmounted."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _planned(self) -> set[tuple[Tree, tuple[int, int]]]:
        """The directories of the roots, each with its device and inode, that the orders were planned for."""
        data, further = (self._root.device, self._root.inode), self._root.further
        return {((), data), *(((path,), (device, inode)) for path, device, inode in further)}

    def _fail(self, reason: Reason, tree: Tree, detail: str, traceback: str = "") -> None:
        self._unsent.append(FailedWork(self._item, reason, tree, detail, time.process_time(), traceback))

    def _measure(self, root: DataRoot, order: MeasureTree) -> None:
        if order.exclusions is not self._listed:
            few = len(order.exclusions) <= _FEW
            self._listed, self._exclusions = order.exclusions, (_few if few else Exclusions.of)(order.exclusions)
        small = None if order.starts else measure_small(root, order.tree, self._exclusions)
        if small is not None and self._add_row(*small):
            return
        errors = _ErrorLog()
        self._most = order.most
        self._shared = order.starts is not None
        total = self._total = Total()
        self._walk = Walk(root, order.tree, self._exclusions, errors, total, self._check_orders)
        identity = self._walk.run(order.starts or _WHOLE)
        if errors.found is None and not total.has_links and self._add_row(identity, total.sums()):
            return
        for blocks in total.take_links(alone=not self._shared):
            self._unsent.append(FoundLinks(self._item, blocks))
            self._flush()
        sums = total.sums()
        self._unsent.append(MeasuredTree(self._item, identity, sums, errors.found, time.process_time()))

    def _measure_lot(self, lot: MeasureLot) -> None:
        """Measure what is small in a lot."""
        exclusions, rows, top = Exclusions.of(lot.exclusions), bytearray(), root_of(lot.tree)
        for number, tree in enumerate(lot.trees()):
            now = time.monotonic()
            if now >= self._slice_ends:
                self._check_orders()
            if (root := self._root_at(top, now)) is None:
                break
            found = measure_small(root, tree, exclusions if len(tree) == len(lot.tree) + 1 else NOTHING)
            if found is not None:
                with contextlib.suppress(struct.error):
                    rows += pack_row(number, *found)
        self._waiting.add()
        self._unsent.append(MeasuredLot(self._item, bytes(rows), time.process_time(), self._waiting.seconds))

    def _add_row(self, identity: Identity, sums: Sums) -> bool:
        """Note the sums of the item, to be sent with those of others; False where a number is too large for that."""
        try:
            self._rows += pack_row(self._item, identity, sums)
        except struct.error:
            return False
        return True

    def _compare(self, root: DataRoot, order: CompareTrees) -> None:
        errors = _ErrorLog()
        size, entries = difference(root, Changes(order.new, order.old), errors, self._check_orders)
        self._unsent.append(ComparedTrees(self._item, size, entries, errors.found, time.process_time()))


def main() -> None:
    """Run a worker on standard input and output."""
    ignore_interrupts()
    os.nice(19)
    with contextlib.suppress(OSError):  # a sandbox may refuse it; the niceness stays
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        Worker(sys.stdin.fileno(), sys.stdout.fileno(), int(sys.argv[2])).run()
    except BrokenPipeError:
        os._exit(0)  # the scanning process has ended
    except MemoryError:
        os.write(2, b"docker-storage-exporter: a worker has not enough memory\n")
        os._exit(1)


if __name__ == "__main__":
    main()
