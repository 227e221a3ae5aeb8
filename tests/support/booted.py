"""A machine in a namespace: systemd as process 1 of a root, with cgroups, a network and a journal of its own."""

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.chroots import PATH, fresh_root
from tests.support.waiting import DEADLINE, eventually

_SYSTEMD = "usr/lib/systemd/systemd"
_CGROUPS = Path("/sys/fs/cgroup")
#: What is kept of all that a machine starts: nothing may be set on the kernel, which is that of others too.
_KEPT = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_BOOT = f"""
set -e
cd "$1"
shift
mount --make-rprivate /
mount --bind . .
cd "$PWD"
mount --make-rshared .
mount -t tmpfs -o mode=755 none run
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=755 none dev
for device in {" ".join(_DEVICES)}; do touch dev/$device; mount --bind /dev/$device dev/$device; done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t proc none proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro none sys
for each; do
    IFS=: read -r type options name <<end
$each
end
    test "$name" = . || mountpoint -q sys/fs/cgroup || mount -t tmpfs -o mode=755 none sys/fs/cgroup
    mkdir -p "sys/fs/cgroup/$name"
    mount -t $type ${{options:+-o $options}} none "sys/fs/cgroup/$name"
done
exec chroot . /usr/bin/env -i PATH={PATH} container=test /{_SYSTEMD} --unit=basic.target --log-target=journal
"""


class Machine:
    """A root with systemd running in it."""

    def __init__(self, root: Path, process: int) -> None:
        self.root = root
        self._process = process

    def run(self, *command: str, seconds: float = DEADLINE) -> subprocess.CompletedProcess[str]:
        """Run a command as its root would in a shell."""
        within = ["nsenter", "-t", str(self._process), "-a", "-r", "-w"]
        clean = ["env", "-i", f"PATH={PATH}", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]
        return subprocess.run([*within, *clean, *command], capture_output=True, text=True, check=False, timeout=seconds)

    def get(self, path: str, port: int = 9588) -> str:
        """Fetch a page over its own loopback, whoever listens there; "" when nobody does."""
        return self.run("curl", "-sS", "--max-time", "20", f"http://127.0.0.1:{port}{path}").stdout

    def show(self, unit: str, what: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--property", what, "--value", unit).stdout.strip()


@dataclass(frozen=True)
class Hierarchy:
    """A hierarchy of cgroups: its type, its options, where it is mounted, and the group a machine gets of it."""

    kind: str
    options: str
    path: Path
    group: Path

    @property
    def word(self) -> str:
        """How the script that boots is told of it."""
        return f"{self.kind}:{self.options}:{self.path.relative_to(_CGROUPS)}"

    def join(self) -> str:
        """The command that puts a shell into the group."""
        return f"echo $$ > {self.group}/cgroup.procs;"


def _hierarchies(name: str) -> list[Hierarchy]:
    """Every hierarchy that this machine has mounted, with a new group in it."""
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options = line.split()[:4]
        path = Path(where)
        if kind in ("cgroup", "cgroup2") and path.is_relative_to(_CGROUPS):
            own = [one for one in options.split(",") if one not in ("rw", "relatime", "nosuid", "nodev", "noexec")]
            own = ["none", *own] if kind == "cgroup" and own[:1] and own[0].startswith("name=") else own
            found.append(Hierarchy(kind, ",".join(own) if kind == "cgroup" else "", path, path / name))
    for one in found:
        one.group.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # which are empty in a new group of the first version
            if one.kind == "cgroup" and (one.path / file).exists():
                (one.group / file).write_text((one.path / file).read_text())
    return found


def _bare(root: Path) -> None:
    """Leave of what a start of this root would do only what is needed."""
    for units in ("usr/lib/systemd/system", "etc/systemd/system"):
        for wants in (root / units).glob("*.wants"):
            for unit in wants.iterdir():
                if unit.name not in _KEPT:
                    unit.unlink()
    shutil.rmtree(root / "usr/lib/systemd/system-generators", ignore_errors=True)
    (root / "usr/sbin/policy-rc.d").unlink(missing_ok=True)  # a container's wish that packages start nothing
    (root / "etc/fstab").write_text("")
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")  # without one everything would be enabled again
    shutil.rmtree(root / "var/log/journal", ignore_errors=True)


@contextlib.contextmanager
def machine(scratch: Path) -> Iterator[Machine]:
    """Boot a fresh root; skips where that cannot be done."""
    with fresh_root(scratch) as root, contextlib.ExitStack() as after:
        if not (root / _SYSTEMD).exists():
            pytest.skip("systemd is not installed")
        _bare(root)
        try:
            hierarchies = _hierarchies(f"booted-{os.getpid()}")
        except OSError as error:
            pytest.skip(f"no cgroup can be made here: {error}")
        after.callback(_remove, [one.group for one in hierarchies])
        join = " ".join(one.join() for one in hierarchies)
        spaces = ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--net", "--kill-child"]
        command = ["sh", "-c", f'{join} exec "$@"', "sh", *spaces, "sh", "-c", _BOOT, "sh", str(root)]
        command += [one.word for one in hierarchies]
        with (scratch / "console").open("wb") as console:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
        after.callback(process.wait, DEADLINE)
        after.callback(process.kill)
        yield _started(root, process, scratch / "console")


def _started(root: Path, process: "subprocess.Popen[bytes]", console: Path) -> Machine:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")

    def active() -> Machine | None:
        child = children.read_text().split()
        if child and "systemd" in Path(f"/proc/{child[0]}/comm").read_text():
            one = Machine(root, int(child[0]))
            return one if one.run("systemctl", "is-active", "basic.target").stdout.strip() == "active" else None
        return None

    found = eventually(lambda: process.poll() is not None or active(), otherwise=console.read_text)
    if isinstance(found, Machine):
        return found
    pytest.skip(f"systemd does not start here: {console.read_text()[-500:]}")


def _remove(groups: list[Path]) -> None:
    for group in groups:
        for directory, _, _ in os.walk(group, topdown=False):
            eventually(lambda: _removed(directory))  # noqa: B023 - called at once


def _removed(directory: str) -> bool:
    with contextlib.suppress(OSError):
        os.rmdir(directory)
    return not os.path.exists(directory)
