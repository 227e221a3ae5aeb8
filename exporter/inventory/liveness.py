"""Whether a container that was written down as running still runs, as far as /proc tells.

What the daemon wrote last is stale after it died. Evidence, in this order: a process whose cgroup names the
container (cgroups(7); Docker puts the id into the path with every cgroup driver), or whose parent's command line
does (containerd-shim and docker-containerd-shim are given it). Where there is none, the container does not run if
this process sees all others of the host, or if it was started before the host was. Else that cannot be told: the
process ids in the files are of another pid namespace.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from exporter.core.model import Container, ContainerId, ContainerState

#: The inode of the first pid namespace (Linux include/linux/proc_ns.h, PROC_PID_INIT_INO).
_FIRST_NAMESPACE = "pid:[4026531836]"
_ID = re.compile(rb"[0-9a-f]{64}")
_RUNNING = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)
#: The clock may have been set since the host was started.
_CLOCK_SECONDS = 600.0
_MOST_CMDLINE = 65_536


@dataclass(slots=True)
class Liveness:
    """Judges containers by one /proc. A container that was seen dead stays so until its file is written again."""

    proc: str = "/proc"
    _dead: set[tuple[ContainerId, int, float | None]] = field(default_factory=set)

    def judge(self, containers: Iterable[Container]) -> tuple[Container, ...]:
        """Give each container its actual state. `state` must be the one that the daemon wrote last."""
        listed = tuple(containers)
        doubtful = [one for one in listed if one.state in _RUNNING]
        alive = {one.id for one in doubtful if self._names(one.pid, one.id)}
        silent = [one for one in doubtful if one.id not in alive and self._key(one) not in self._dead]
        if silent:
            alive |= self._anywhere({one.id for one in silent})
        sees_all = self._sees_all() or bool(alive)
        self._dead &= {self._key(one) for one in doubtful}
        verdicts = {one.id: self._verdict(one, alive, sees_all=sees_all) for one in doubtful}
        return tuple(
            replace(one, state=verdict) if (verdict := verdicts.get(one.id, one.state)) is not one.state else one
            for one in listed
        )

    @staticmethod
    def _key(one: Container) -> tuple[ContainerId, int, float | None]:
        return one.id, one.pid, one.started

    def _verdict(self, one: Container, alive: set[ContainerId], *, sees_all: bool) -> ContainerState:
        if one.id in alive:
            return one.state
        if one.state is ContainerState.RESTARTING and not one.pid:
            return one.state  # between two attempts there is no process
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

    def _anywhere(self, wanted: set[ContainerId]) -> set[ContainerId]:
        """Those of the containers that any process belongs to: an engine in a container counts pids of its own."""
        found: set[ContainerId] = set()
        try:
            processes = [name for name in os.listdir(self.proc) if name.isdigit()]
        except OSError:
            return found
        for process in processes:
            named = {ContainerId(name.decode()) for name in _ID.findall(self._read(f"{process}/cgroup"))} & wanted
            if named and self._parent(int(process)) is not None:
                found |= named
        return found

    def _sees_all(self) -> bool:
        """Whether every process of the host is to be seen: the first namespace, and nothing hidden (hidepid)."""
        try:
            return os.readlink(f"{self.proc}/self/ns/pid") == _FIRST_NAMESPACE and bool(self._read("1/cgroup"))
        except OSError:
            return False

    def _before_the_host(self, started: float | None) -> bool:
        match = re.search(rb"^btime (\d+)$", self._read("stat"), re.MULTILINE)
        return started is not None and match is not None and started < int(match[1]) - _CLOCK_SECONDS

    def _read(self, name: str) -> bytes:
        try:
            with open(f"{self.proc}/{name}", "rb") as file:
                return file.read(_MOST_CMDLINE)
        except OSError:
            return b""
