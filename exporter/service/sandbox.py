"""What the processes of `run` give up after the start, so that the kernel keeps what the code promises.

The serving process: all capabilities; it opens no file for writing, and no TCP connection of its own. The scanning
process and its workers: all capabilities but CAP_DAC_READ_SEARCH; they read below the data root and the root of its
containerd, in /proc, in /sys/fs/cgroup and what Python itself needs, write in the state directory, and use no TCP.
Where that root is still to be found, they read the metadata of the places where it may be, and containerd's
configuration. Unless they are root they may write to what is theirs in /proc: `oom_score_adj` of the workers.
"""

import contextlib
import os
import stat
import sys
from collections.abc import Collection, Sequence
from typing import NamedTuple

from exporter.config.settings import Config, SandboxMode
from exporter.config.state_paths import is_below
from exporter.core import landlock
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.landlock import CHANGE, EXECUTE, MAKE_REG, READ, READ_DIR, REMOVE_FILE, TRUNCATE, WRITE_FILE, Limits
from exporter.core.log import Logger
from exporter.core.privileges import READ_SEARCH, keep_only, privileges_of
from exporter.core.seccomp import refuse_changes
from exporter.core.shortage import is_shortage
from exporter.inventory.containerd_root import ContainerdRoot, Search
from exporter.inventory.opening import identify, open_mounted

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Where libraries are, what finds them, and the time zone of the log.
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/localtime")
_KERNEL = ("/proc", "/sys/fs/cgroup", "/dev/urandom")
_NULL = (os.devnull, READ | WRITE_FILE)
_KEPT = READ | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE

_log = Logger()


class SandboxError(Exception):
    """The sandbox that was asked for cannot be had; the message says why."""


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


def confine_serving(config: Config) -> int:
    """Give up what serving does not need; return the version of landlock, 0 without it. Raises SandboxError.

    It may write where the scanning process does, which it starts itself where there is no launcher.
    """
    if config.sandbox is SandboxMode.OFF:
        return 0
    _keep_only(config.sandbox)
    state, _ = _state(config.scan.cache_file, (config.root,), answers=HANG_PROBE.answers(config.root))
    found = _restrict(config.sandbox, Limits((_NULL, *state), files=CHANGE))
    _refuse_changes(config.sandbox, network=False)
    return found


def confine_scanning(config: Config) -> Confinement:
    """Limit this process and its workers to what scanning needs. Raises SandboxError.

    A data root that comes later, or is replaced, is another directory, which it may not read: it has to be started
    again. What is mounted below the root later may be read.
    """
    if config.sandbox is SandboxMode.OFF:
        return Confinement()
    _keep_only(config.sandbox, READ_SEARCH)
    # The path of a root that hangs must not be looked at.
    answers = HANG_PROBE.answers(config.root)
    root = identify(config.root) if answers else None
    search = Search() if root is None else _find_containerd(config)
    roots = (config.root, *((search.taken,) if search.taken else ()))
    state, in_place = _state(config.scan.cache_file, roots, answers=answers)
    data = () if root is None else (os.path.realpath(config.root),)
    read = [(path, READ) for path in (*data, *roots[1:], *search.read, *_KERNEL, *_SYSTEM, *_python())]
    # The scores of its workers. Whoever is not root may write to nothing else there but files of his own processes.
    scores = [("/proc", WRITE_FILE)] if os.geteuid() else []
    rules = (*read, *scores, (os.path.dirname(_PACKAGE), READ_DIR), *_programs(), _NULL, *state)
    version = _restrict(config.sandbox, Limits(tuple(rules), alone=True))
    _refuse_changes(config.sandbox, network=True)
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


def log_sandbox(process: str, version: int) -> None:
    """Log what is in force in this process: what the kernel says of it, and the version of landlock."""
    capabilities, no_new_privs = privileges_of(os.getpid())
    _log.info(
        "sandbox.applied",
        process=process,
        capabilities=capabilities,
        no_new_privs=no_new_privs,
        landlock=version or "none",
    )


def _keep_only(mode: SandboxMode, *capabilities: int) -> None:
    try:
        keep_only(*capabilities)
    except OSError as error:
        _refuse(mode, "capabilities", error)


def _refuse_changes(mode: SandboxMode, *, network: bool) -> None:
    try:
        refuse_changes(network=network)
    except OSError as error:
        _refuse(mode, "seccomp", error)


def _restrict(mode: SandboxMode, limits: Limits) -> int:
    try:
        found = landlock.restrict(limits)
    except OSError as error:
        if is_shortage(error):  # it may be over when this process is started again
            raise SandboxError(f"landlock: {error.strerror}") from None
        _refuse(mode, "landlock", error)
        return 0
    if not found and mode is SandboxMode.REQUIRED:
        raise SandboxError("--sandbox=required: this kernel has no landlock, or it may not be used here")
    return found


def _refuse(mode: SandboxMode, what: str, error: OSError) -> None:
    if mode is SandboxMode.REQUIRED:
        raise SandboxError(f"--sandbox=required: {what}: {error.strerror}")
    _log.warning("sandbox.incomplete", what=what, error=error.strerror)


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


def _state(cache_file: str, roots: Sequence[str], *, answers: bool) -> tuple[list[tuple[str, int]], bool]:
    """The rule for the cache: its directory; where that holds a root as well, the file alone."""
    if not cache_file:
        return [], False
    directory = os.path.dirname(os.path.abspath(cache_file))
    if any(is_below(directory, root) for root in roots[1:]):
        return [], True  # in a further root nothing is written; of the data root the flag's check says so
    with contextlib.suppress(OSError):
        os.makedirs(directory, mode=0o700, exist_ok=True)
    if answers and not any(is_below(root, directory) for root in roots):
        return [(directory, _KEPT)], False
    with contextlib.suppress(OSError):
        _make_file(cache_file)
    with contextlib.suppress(OSError):
        if stat.S_ISREG(os.lstat(cache_file).st_mode):
            return [(cache_file, _KEPT)], True
    return [], True


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


def _make_file(path: str) -> None:
    """Make a file that does not exist yet; raises OSError where anything is there."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
