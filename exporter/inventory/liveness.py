"""Whether a container that was written down as running still runs, as far as /proc tells.

What the daemon wrote last is stale after it died. Evidence, in this order: a process whose cgroup names the
container (cgroups(7); Docker puts the id into the path with every cgroup driver), or whose parent's command line
does (containerd-shim and docker-containerd-shim are given it). Where there is none, the container does not run if
this process sees all others of the host, or if it was started before the host was. Else that cannot be told: the
process ids in the files are of another pid namespace.

Engines before 1.11 do not write down that they wait to restart a container: it has no process then, and may get one at
any time. Engines before 1.10 do not write down that a container is paused: its cgroup tells.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.model import Container, ContainerId, ContainerState
from exporter.inventory.freezer import is_frozen

#: The inode of the first pid namespace (Linux include/linux/proc_ns.h, PROC_PID_INIT_INO).
_FIRST_NAMESPACE = "pid:[4026531836]"
_ID = re.compile(rb"[0-9a-f]{64}")
_RUNNING = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)
#: The clock may have been set since the host was started.
_CLOCK_SECONDS = 600.0
#: The date of Docker 1.0. What was started before that was started before the clock of the host was set: a board
#: without a battery begins in 1970, for example.
_FIRST_DATE = 1_402_272_000.0
#: The engine's program. Up to 1.11 it is that of the client, with one of these arguments, and without these commands.
_ENGINE, _OLD_ENGINE = "dockerd", "docker"
_OLD_ARGUMENTS = {"-d", "--daemon", "-d=true", "--daemon=true", "daemon"}
_CLIENT_COMMANDS = {
    "attach",
    "build",
    "create",
    "exec",
    "inspect",
    "kill",
    "logs",
    "restart",
    "rm",
    "run",
    "start",
    "stop",
}
_MOST_CMDLINE = 65_536


class Liveness(Struct):
    """Judges containers by one /proc. A container that was seen dead stays so until its file is written again."""

    proc: str = "/proc"
    cgroups: str = "/sys/fs/cgroup"
    _dead: set[tuple[ContainerId, int, float | None]] = field(default_factory=set)
    #: What was judged last, those of them that are written down as running, and what came of it.
    _listed: tuple[Container, ...] = ()
    _doubtful: list[Container] = field(default_factory=list)
    _verdicts: dict[ContainerId, ContainerState] = field(default_factory=dict)
    _judged: tuple[Container, ...] = ()

    def judge(self, containers: Iterable[Container]) -> tuple[Container, ...]:
        """Give each container its actual state. `state` must be the one that the daemon wrote last.

        For the same tuple as the last time, the result is the same tuple as well, unless one has another state now.
        """
        listed = tuple(containers)
        if listed is not self._listed:
            self._listed, self._judged, self._verdicts = listed, listed, {}
            self._doubtful = [one for one in listed if one.state in _RUNNING]
        doubtful = self._doubtful
        if not doubtful:
            self._dead.clear()
            return listed
        alive = {one.id: one.pid for one in doubtful if self._names(one.pid, one.id)}
        silent = [one for one in doubtful if one.id not in alive and self._key(one) not in self._dead]
        if silent:
            alive |= self._anywhere({one.id for one in silent})
        sees_all = self._sees_all() or bool(alive)
        engine = any(one.waits_unwritten for one in silent) and self._sees_engine()
        self._dead &= {self._key(one) for one in doubtful}
        verdicts = {
            one.id: self._seen(one, alive[one.id]) if one.id in alive else self._unseen(one, engine, sees_all=sees_all)
            for one in doubtful
        }
        if verdicts != self._verdicts:
            self._verdicts = verdicts
            self._judged = tuple(
                replace(one, state=verdict) if (verdict := verdicts.get(one.id, one.state)) is not one.state else one
                for one in listed
            )
        return self._judged

    @staticmethod
    def _key(one: Container) -> tuple[ContainerId, int, float | None]:
        return one.id, one.pid, one.started

    def _seen(self, one: Container, process: int) -> ContainerState:
        """The state of a container that this process is of."""
        if one.state is ContainerState.RESTARTING:
            return one.state
        frozen = is_frozen(self._read(f"{process}/cgroup"), one.id, self.cgroups)
        if frozen is None:
            return one.state
        return ContainerState.PAUSED if frozen else ContainerState.RUNNING

    def _unseen(self, one: Container, engine: bool, *, sees_all: bool) -> ContainerState:
        """The state of a container without a process. `engine`: an engine runs."""
        if one.state is ContainerState.RESTARTING and not one.pid:
            return one.state  # between two attempts there is no process
        if one.waits_unwritten and not self._before_the_host(one.started):
            return ContainerState.RESTARTING if engine and sees_all else ContainerState.UNKNOWN
        if self._key(one) in self._dead or sees_all or self._before_the_host(one.started):
            self._dead.add(self._key(one))
            return ContainerState.STALE
        return ContainerState.UNKNOWN

    def _names(self, pid: int, container: ContainerId) -> bool:
        """Whether a process is one of the container's."""
        name = container.encode()
        parent = self._parent(pid) if pid else None
        if parent is None:
            return False
        return name in self._read(f"{pid}/cgroup") or name in self._read(f"{parent}/cmdline")

    def _parent(self, pid: int) -> int | None:
        """The parent of a process; None for one that is not there, or has ended and is not waited for (proc(5))."""
        with suppress(ValueError, IndexError):
            state, parent = self._read(f"{pid}/stat").rpartition(b")")[2].split()[:2]
            return None if state in (b"Z", b"X") else int(parent)
        return None

    def _processes(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self.proc) if name.isdecimal()]
        except OSError:
            return []

    def _anywhere(self, wanted: set[ContainerId]) -> dict[ContainerId, int]:
        """A process of each of the containers that have any: an engine in a container counts pids of its own."""
        found: dict[ContainerId, int] = {}
        for process in self._processes():
            named = {ContainerId(name.decode()) for name in _ID.findall(self._read(f"{process}/cgroup"))} & wanted
            if named and self._parent(process) is not None:
                found |= dict.fromkeys(named, process)
        return found

    def _sees_engine(self) -> bool:
        """Whether any process is an engine."""
        return any(_is_engine(self._read(f"{process}/cmdline")) for process in self._processes())

    def _sees_all(self) -> bool:
        """Whether every process of the host is to be seen: the first namespace, and nothing hidden (hidepid)."""
        try:
            return os.readlink(f"{self.proc}/self/ns/pid") == _FIRST_NAMESPACE and bool(self._read("1/cgroup"))
        except OSError:
            return False

    def _before_the_host(self, started: float | None) -> bool:
        match = re.search(rb"^btime (\d+)$", self._read("stat"), re.MULTILINE)
        if started is None or match is None or started < _FIRST_DATE:
            return False
        return started < int(match[1]) - _CLOCK_SECONDS

    def _read(self, name: str) -> bytes:
        try:
            with open(f"{self.proc}/{name}", "rb") as file:
                return file.read(_MOST_CMDLINE)
        except OSError:
            return b""


def _is_engine(command: bytes) -> bool:
    """Whether a command line (proc(5)) is that of an engine."""
    program, *arguments = command.decode("utf-8", "replace").split("\0")
    name = os.path.basename(program)
    old = not _OLD_ARGUMENTS.isdisjoint(arguments) and _CLIENT_COMMANDS.isdisjoint(arguments)
    return name == _ENGINE or (name == _OLD_ENGINE and old)
