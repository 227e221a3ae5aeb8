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
from collections.abc import Sequence

from exporter.config.settings import Config, SandboxMode
from exporter.config.state_paths import is_below
from exporter.core import landlock
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.landlock import CHANGE, MAKE_REG, READ, REMOVE_FILE, TRUNCATE, WRITE_FILE, Limits
from exporter.core.log import Logger
from exporter.core.privileges import keep_only, privileges_of
from exporter.core.seccomp import refuse_changes
from exporter.core.shortage import is_shortage

NULL = (os.devnull, READ | WRITE_FILE)
_KEPT = READ | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE

_log = Logger()


class SandboxError(Exception):
    """The sandbox that was asked for cannot be had; the message says why."""


def confine_serving(config: Config) -> int:
    """Give up what serving does not need; return the version of landlock, 0 without it. Raises SandboxError.

    It may write where the scanning process does, which it starts itself where there is no launcher.
    """
    if config.sandbox is SandboxMode.OFF:
        return 0
    keep(config.sandbox)
    state, _ = state_rules(config.scan.cache_file, (config.root,), answers=HANG_PROBE.answers(config.root))
    found = restrict(config.sandbox, Limits((NULL, *state), files=CHANGE))
    refuse(config.sandbox, network=False)
    return found


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


def keep(mode: SandboxMode, *capabilities: int) -> None:
    """Give up all capabilities but these."""
    try:
        keep_only(*capabilities)
    except OSError as error:
        _incomplete(mode, "capabilities", error)


def refuse(mode: SandboxMode, *, network: bool) -> None:
    """Refuse the system calls that change files, and with `network` those that make sockets."""
    try:
        refuse_changes(network=network)
    except OSError as error:
        _incomplete(mode, "seccomp", error)


def restrict(mode: SandboxMode, limits: Limits) -> int:
    """Limit what files can be reached; return the version of landlock, 0 without it."""
    try:
        found = landlock.restrict(limits)
    except OSError as error:
        if is_shortage(error):  # it may be over when this process is started again
            raise SandboxError(f"landlock: {error.strerror}") from None
        _incomplete(mode, "landlock", error)
        return 0
    if not found and mode is SandboxMode.REQUIRED:
        raise SandboxError("--sandbox=required: this kernel has no landlock, or it may not be used here")
    return found


def _incomplete(mode: SandboxMode, what: str, error: OSError) -> None:
    if mode is SandboxMode.REQUIRED:
        raise SandboxError(f"--sandbox=required: {what}: {error.strerror}")
    _log.warning("sandbox.incomplete", what=what, error=error.strerror)


def state_rules(cache_file: str, roots: Sequence[str], *, answers: bool) -> tuple[list[tuple[str, int]], bool]:
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


def _make_file(path: str) -> None:
    """Make a file that does not exist yet; raises OSError where anything is there."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
