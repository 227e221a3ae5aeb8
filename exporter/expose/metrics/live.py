"""Families that are read at each scrape: filesystems, the web server, and the exporter's own processes."""

import contextlib
import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from exporter.core.model import Filesystem
from exporter.core.mountinfo import only_the_mount_is_readonly
from exporter.core.privileges import privileges_of
from exporter.core.space import space_of
from exporter.expose.metrics import catalogue as c
from exporter.expose.metrics.family import MetricFamily, family, single


class WebStatus(Struct, frozen=True):
    """The state of the web server; `stale`: its configuration file is broken and an older version is in force."""

    reloads_succeeded: int
    reloads_failed: int
    stale: bool
    connections: int
    cut: Mapping[str, int]
    refused: int


_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STARTED = time.time()


def filesystem_families(statuses: Iterable[tuple[Filesystem, os.statvfs_result]]) -> Iterator[MetricFamily]:
    """Make the families of the filesystems that answered."""
    found = [((one.device, one.mountpoint, one.fstype), status) for one, status in statuses]
    rows = [(key, space_of(status)) for key, status in found]
    yield family(c.FILESYSTEM_SIZE, ((key, one.size) for key, one in rows))
    yield family(c.FILESYSTEM_FREE, ((key, one.free) for key, one in rows))
    yield family(c.FILESYSTEM_AVAIL, ((key, one.available) for key, one in rows))
    yield family(c.FILESYSTEM_FILES, ((key, one.files) for key, one in rows))
    yield family(c.FILESYSTEM_FILES_FREE, ((key, one.files_free) for key, one in rows))
    yield family(c.FILESYSTEM_READONLY, ((key, _readonly(key[1], status)) for key, status in found))


def _readonly(mountpoint: str, status: os.statvfs_result) -> bool:
    """Whether nobody can write there. The flag alone is also that of a read-only mount of a filesystem that is not."""
    return bool(status.f_flag & os.ST_RDONLY) and not only_the_mount_is_readonly(mountpoint)


def clock_families() -> Iterator[MetricFamily]:
    """Make the family of the host's clock, which the server that scrapes compares with its own."""
    yield single(c.TIME, time.time())


def web_families(web: WebStatus) -> Iterator[MetricFamily]:
    """Make the families of the web server."""
    results = {"success": web.reloads_succeeded, "failure": web.reloads_failed}
    yield family(c.WEB_RELOADS, (((result,), count) for result, count in results.items()))
    yield single(c.WEB_RELOAD_FAILED, web.stale)
    yield single(c.WEB_CONNECTIONS, web.connections)
    yield family(c.WEB_CUT, (((reason,), count) for reason, count in web.cut.items()))
    yield single(c.WEB_REFUSED, web.refused)


def sandbox_families(landlock: int, scanner: int | None, scanner_landlock: int) -> Iterator[MetricFamily]:
    """Make the family of what is in force: capabilities and no_new_privs as the kernel says, and landlock."""
    rows = []
    for name, process, version in (("serving", os.getpid(), landlock), ("scanning", scanner, scanner_landlock)):
        with contextlib.suppress(OSError):
            if process is not None:
                capabilities, no_new_privileges = privileges_of(process)
                rows.append((name, capabilities, str(int(no_new_privileges)), str(version or "none")))
    yield family(c.SANDBOX_INFO, ((row, 1) for row in rows))


class Processes:
    """CPU time and memory of all processes together: this one, the launchers, the scanning process and its workers.

    The kernel adds the CPU time of an ended process to that of the parent that waits for it. The workers of a killed
    scanning process become children of this one (`core.privileges.adopt_orphans`).
    """

    def __init__(self) -> None:
        self._shown = 0.0

    def families(
        self, scanner: int | None, workers: Iterable[int], launchers: Iterable[int] = ()
    ) -> Iterator[MetricFamily]:
        """Make the families. `workers` may still be those of the former scanning process."""
        parents = {os.getpid(), scanner}
        children = [*launchers, *((scanner, *workers) if scanner else ())]
        children = [one for one in children if _parent(one) in parents]  # an id may have been given away
        times = os.times()
        cpu = times.user + times.system + times.children_user + times.children_system
        cpu += sum(map(_cpu, children))
        self._shown = max(self._shown, cpu)  # a process may end between two readings and be in neither
        yield single(c.SCANNER_UP, scanner is not None)
        yield single(c.PROCESS_CPU, self._shown)
        yield single(c.PROCESS_MEMORY, sum(map(_resident, [os.getpid(), *children])))
        yield single(c.PROCESS_START, _STARTED)
        yield single(c.PROCESS_FDS, _descriptors())
        yield single(c.PROCESS_MAX_FDS, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _descriptors() -> int | None:
    """Count the open descriptors; None if /proc does not show them, as for a process that may not be traced."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return None


def _resident(process: int) -> int:
    try:
        with open(f"/proc/{process}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _parent(process: int) -> int | None:
    fields = _stat(process)
    return fields[1] if fields else None


def _cpu(process: int) -> float:
    return sum(_stat(process)[11:15]) / _TICKS


def _stat(process: int) -> list[int]:
    """The fields of /proc/PID/stat after the name; the first, the state, is 0. Empty for a process that has ended."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return [0, *map(int, file.read().rpartition(")")[2].split()[1:])]
    except (OSError, ValueError):
        return []
