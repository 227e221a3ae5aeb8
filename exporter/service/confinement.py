"""What the scanning process gives up after the start, and its workers with it: see `service.sandbox`."""

import contextlib
import os
import sys
from collections.abc import Collection
from typing import NamedTuple

from exporter.config.settings import Config, SandboxMode
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.landlock import EXECUTE, READ, READ_DIR, WRITE_FILE, Limits
from exporter.core.privileges import READ_SEARCH
from exporter.inventory.containerd_root import ContainerdRoot, Search
from exporter.inventory.opening import identify, open_mounted
from exporter.service.sandbox import NULL, keep, log_sandbox, refuse, restrict, state_rules

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Where libraries are, what finds them, and the time zone of the log.
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime")
_KERNEL = ("/proc", "/sys/fs/cgroup", "/dev/urandom")


class Confinement(NamedTuple):
    """What is in force in a scanning process: the version of landlock, 0 without it, and the data root it may read.

    `root` is the directory by device and inode, `readable` whether it could be opened. `in_place`: the file of the
    cache may be written, and no file beside it. `kept_in`: the directory or the file that it may write to. `hopeless`:
    what could not be read of a containerd before anything was limited, by device and inode.
    """

    landlock: int = 0
    path: str = ""
    root: tuple[int, int] | None = None
    readable: bool = False
    in_place: bool = False
    state: str = ""
    kept_in: tuple[int, int] | None = None
    hopeless: frozenset[tuple[int, int]] = frozenset()

    def is_outdated(self, denied: Collection[tuple[int, int]]) -> bool:
        """Whether another process may read what this one may not, by device and inode, since that came later."""
        return bool(self.landlock) and not self.hopeless.issuperset(denied)

    def allows(self, root: tuple[int, int]) -> bool:
        """Whether the directory that now is the data root may be read, as far as landlock is concerned.

        A disk that was mounted again has the same device and inodes, and is another one for landlock.
        """
        if not self.landlock:
            return True
        if root != self.root:
            return False
        return not self.readable or not HANG_PROBE.answers(self.path) or _opens(self.path)

    def has_another_state(self) -> bool:
        """Whether the place of the cache was replaced, removed or made since: landlock refuses to write there."""
        return bool(self.landlock and self.state) and identify(self.state) != self.kept_in


def confine_scanning(config: Config) -> Confinement:
    """Limit this process and its workers to what scanning needs. Raises SandboxError.

    A data root that comes later, or is replaced, is another directory, which it may not read: it has to be started
    again. What is mounted below the root later may be read.
    """
    if config.sandbox is SandboxMode.OFF:
        return Confinement()
    keep(config.sandbox, READ_SEARCH)
    # The path of a root that hangs must not be looked at.
    answers = HANG_PROBE.answers(config.root)
    root = identify(config.root) if answers else None
    search = Search() if root is None else _find_containerd(config)
    roots = (config.root, *((search.taken,) if search.taken else ()))
    state, in_place = state_rules(config.scan.cache_file, roots, answers=answers)
    data = () if root is None else (os.path.realpath(config.root),)
    read = [(path, READ) for path in (*data, *roots[1:], *search.read, *_KERNEL, *_SYSTEM, *_python())]
    # The scores of its workers. Whoever is not root may write to nothing else there but files of his own processes.
    scores = [("/proc", WRITE_FILE)] if os.geteuid() else []
    # Sources of bind mounts may be anywhere: their directories are listed, and no file there is opened.
    listed = [(config.binds.rootfs or "/", READ_DIR)] if config.binds.include else []
    rules = (*read, *scores, *listed, (os.path.dirname(_PACKAGE), READ_DIR), *_programs(), NULL, *state)
    version = restrict(config.sandbox, Limits(tuple(rules), alone=True))
    refuse(config.sandbox, network=True)
    readable = root is not None and _opens(config.root)
    kept = _place(config.scan.cache_file, alone=in_place)
    found = Confinement(version, config.root, root, readable, in_place, *kept, frozenset(search.denied))
    log_sandbox("scanning", found.landlock)
    return found


def _find_containerd(config: Config) -> Search:
    """Find the root of the containerd of the data root before anything is limited."""
    containerd = ContainerdRoot(config.containerd_root)
    with contextlib.suppress(OSError), open_mounted(config.root) as root:
        containerd.attach(root)
    return containerd.search


def _python() -> list[str]:
    """The directories that modules are loaded from.

    A current directory in the module path counts only if the exporter is there: it may be `/`.
    """
    here = os.getcwd()
    found = [path for path in sys.path if os.path.isdir(path) and not (os.path.samefile(path, here) or path == "/")]
    return [_PACKAGE, sys.prefix, *found] if sys.prefix != "/" else [_PACKAGE, *found]


def _programs() -> list[tuple[str, int]]:
    """What is mapped into this process: the interpreter, the loader and libraries, wherever they are."""
    found: set[str] = set()
    with contextlib.suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        found = {fields[5].rstrip("\n") for line in maps if len(fields := line.split(None, 5)) > 5}
    return [(path, READ | EXECUTE) for path in sorted(found) if path.startswith("/")]


def _place(cache_file: str, *, alone: bool) -> tuple[str, tuple[int, int] | None]:
    """Where the cache is kept, as path and by device and inode: its directory, or the file `alone`."""
    path = cache_file if alone or not cache_file else os.path.dirname(os.path.abspath(cache_file))
    return path, identify(path) if path else None


def _opens(directory: str) -> bool:
    """Whether a directory can be opened, or that fails for another reason than permission."""
    try:
        os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except PermissionError:
        return False
    except OSError:
        return True
    return True
