"""The launcher: a small process that may read everything, and starts the scanning processes.

The serving process gives up its capabilities, so what it starts has none. The launcher keeps CAP_DAC_READ_SEARCH, reads
nothing itself, and takes orders from the serving process only, on a socket that is its standard input:

scan                  start a scanning process; its input and output come with the order
twin                  start another launcher; its socket comes with the order
statvfs PATH          call statvfs, in a process of its own: it may hang. The answer goes to the pipe that comes with it

It answers the first two with `pid N`, or `error N`, an errno. What it starts becomes a child of the serving process,
which adopts orphans (`core.privileges.adopt_orphans`): each is started by a process that ends at once.

It is a copy (fork) of the serving process from before that has loaded anything else, even before it knows its flags: so
the memory of an interpreter is there once. Until the order `keep` it does nothing. This module imports little, and not
`typing`: what is loaded before the copy is made stays in it.
"""

import errno
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable

from exporter.core.interrupts import ignore_interrupts, interrupts_held
from exporter.core.privileges import READ_SEARCH, holds, keep_only
from exporter.core.process_name import LAUNCHER, name_process
from exporter.service.systemd import forget_sockets

_TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
#: Modules have hardly any cycles: to look for these while they are loaded takes a twelfth of that time.
_FIND = "import gc, sys; gc.set_threshold(500_000); sys.path.insert(0, sys.argv[1]); "
_PUT_OFF = "from exporter.core.put_off import put_off; put_off(); "
_START = f"{_FIND}{_PUT_OFF}from exporter.service.scan_process import main; main()"
#: Starts a scanning process. `-P`: no module comes from the current directory, which may be one of a container.
PROGRAM = (sys.executable, "-P", "-c", _START, _TOP)
KEEP, SCAN, TWIN, STATVFS = b"keep", b"scan", b"twin", b"statvfs "
READY, STARTED, FAILED = b"ready", b"pid ", b"error "
ORDER_BYTES = 8192
_MOST_DESCRIPTORS = 2
_END_SECONDS = 2.0


class _Orders:
    """Follows orders until the socket is closed."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        #: Of the scanning process that was started last: a process id may have been given away.
        self._last: int | None = None

    def serve(self) -> None:
        """Follow orders."""
        while True:
            order, given, *_ = socket.recv_fds(
                self._channel, ORDER_BYTES, _MOST_DESCRIPTORS, flags=socket.MSG_CMSG_CLOEXEC
            )
            if not order:
                break
            try:
                answer = self._follow(order, given)
            except (OSError, MemoryError) as error:
                number = error.errno if isinstance(error, OSError) else errno.ENOMEM
                answer = FAILED + str(number or errno.EIO).encode()
            finally:
                for descriptor in given:
                    os.close(descriptor)
            if answer:
                self._channel.send(answer)
            _reap()
        self._end_last()

    def _follow(self, order: bytes, given: list[int]) -> bytes:
        if len(given) < (2 if order == SCAN else 1):
            raise OSError(errno.EMFILE, "")  # the kernel leaves out those for which there is no room
        if order.startswith(STATVFS):
            if os.fork() == 0:
                _answer_statvfs(order.removeprefix(STATVFS), given[0])
            return b""
        if order == TWIN:
            return STARTED + str(_start(lambda: _become_twin(self._channel, given[0]))).encode()
        process = _start(lambda: _execute(*given))
        if self._last is not None:
            os.close(self._last)
        try:
            self._last = os.pidfd_open(process)
        except OSError:  # it has ended, or there is no descriptor left
            self._last = None
        return STARTED + str(process).encode()

    def _end_last(self) -> None:
        """The serving process has ended. So does the scanning process, whose input has ended, unless it is stopped."""
        if self._last is None:
            return
        poll = select.poll()
        poll.register(self._last, select.POLLIN)
        if not poll.poll(_END_SECONDS * 1000):
            signal.pidfd_send_signal(self._last, signal.SIGKILL)


def _start(run: Callable[[], object]) -> int:
    """Run something in a process that is no child of this one; return its id. Raises OSError, also if it fails."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        between = os.fork()
        if between == 0:
            _fork_and_end(run, writing)
    finally:
        os.close(writing)
    try:
        os.waitpid(between, 0)
        said = b""
        while piece := os.read(reading, 256):
            said += piece
    finally:
        os.close(reading)
    pid, _, failure = said.partition(b"e")
    if failure or not pid:
        raise OSError(int(failure or errno.EAGAIN), "")
    return int(pid)


def _fork_and_end(run: Callable[[], object], writing: int) -> None:
    try:
        process = os.fork()
        if process:
            os.write(writing, str(process).encode())
            os._exit(0)
        os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the serving process only
        run()
    except OSError as error:
        os.write(writing, b"e%d" % (error.errno or errno.EIO))
    finally:
        os._exit(1)


def _execute(orders: int, output: int) -> None:
    os.dup2(orders, 0)
    os.dup2(output, 1)
    os.execv(sys.executable, PROGRAM)  # noqa: S606 - this interpreter, with this program


def _become_twin(mine: socket.socket, given: int) -> None:
    """Go on as a launcher with another socket, in which nobody waits for this process to be started."""
    os.dup2(given, mine.fileno(), inheritable=False)
    close_others()
    _Orders(mine).serve()
    os._exit(0)


def _answer_statvfs(path: bytes, descriptor: int) -> None:
    try:
        os.write(descriptor, " ".join(map(str, os.statvfs(path))).encode())
    finally:
        os._exit(0)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


class Copied:
    """A launcher that waits for `keep`, and ends when its socket is closed."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel


def start_copy() -> Copied | OSError | None:
    """Start a launcher as a copy of this process; why there is none, or None where it would have no more rights.

    To be called before anything else is loaded.
    """
    if not holds(READ_SEARCH):
        return None
    gc.freeze()  # a look for cycles writes to each object, and a page that is written to is not shared any more
    try:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, interrupts_held():
            try:
                pid = os.fork()
            except OSError:
                ours.close()
                raise
            if pid == 0:
                _become_launcher(theirs)
    except OSError as error:
        return error
    return Copied(pid, ours)


def _become_launcher(theirs: socket.socket) -> None:
    """Go on as a launcher, and end."""
    try:
        name_process(LAUNCHER)
        os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the serving process only
        os.dup2(theirs.fileno(), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        close_others()
        forget_sockets()
        _run()
    finally:
        os._exit(1)


def close_others() -> None:
    """Close all descriptors but the standard ones: they are those of the process that was copied."""
    most = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, most if most > 0 else 1024)


def _run() -> None:
    """Run a launcher on standard input."""
    ignore_interrupts()
    channel = socket.socket(fileno=0)
    if channel.recv(ORDER_BYTES) != KEEP:
        return
    try:
        keep_only(READ_SEARCH)
    except OSError as error:
        channel.send(FAILED + str(error.errno).encode())
        return
    channel.send(READY)
    _Orders(channel).serve()
