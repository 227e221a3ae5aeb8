"""The engine of Debian testing with containerd, in a root of its own (scripts/engine-root), for tests.

Its data root, and the root of a containerd of its own, are on a real filesystem outside of that root, and have the same
path inside. Mounts that the engine makes in them are seen outside, as on a host.
"""

import contextlib
import functools
import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.chroots import PATH, changeable, engine_root
from tests.support.engine import Engine
from tests.support.waiting import DEADLINE, eventually

#: Drivers that are snapshotters of containerd. The other ones are the engine's own graph drivers.
SNAPSHOTTERS = ("overlayfs", "native", "btrfs")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
#: What containerd has, and an engine does not need.
_CONTAINERD = """
version = 3
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]
"""


@functools.cache
def versions() -> str:
    """The versions of the engine and of what belongs to it, for the reader of a failure."""
    top = engine_root()
    told = [_said(top, program, "--version") for program in ("dockerd", "containerd", "runc")]
    return ", ".join([*told, _said(top, "docker", "buildx", "version")])


def _said(top: str, *command: str) -> str:
    environment = {"PATH": PATH}
    done = subprocess.run(["chroot", top, *command], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.splitlines()[0]


class TodaysEngine(Engine):
    """An engine with containerd's image store, or with a graph driver."""

    def __init__(self, scratch: Path, short: Path, driver: str, top: Path, *, own_containerd: bool) -> None:
        super().__init__(scratch, short, driver)
        self.top = top
        #: Root of a containerd that is not started by the engine; None where the engine starts one.
        self.containerd_root = scratch / "containerd" if own_containerd else None
        #: How many builds there were with BuildKit.
        self.builds = 0
        self._containerd: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> tuple[int, ...]:
        """Its version, major and minor."""
        found = re.search(r"(\d+)\.(\d+)", versions())
        assert found is not None, versions()
        return (int(found[1]), int(found[2]))

    @property
    def store(self) -> Path:
        """Root of the containerd that is in use."""
        return self.containerd_root or self.root / "containerd/daemon"

    @property
    def further(self) -> str:
        """The root of containerd as a setting of the exporter."""
        return str(self.containerd_root or "none")

    @property
    def socket(self) -> str:
        """Where containerd answers."""
        own = f"{self._short}/x{self._starts}/containerd/containerd.sock"
        return f"{self._short}/c{self._starts}.sock" if self.containerd_root else own

    def ctr(self, namespace: str, *arguments: str, check: bool = True) -> str:
        """Run a command of containerd's own client; return what it printed."""
        command = [*self.inside(), "ctr", "--address", self.socket, "--namespace", namespace, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def collect(self) -> None:
        """Have containerd remove now what nothing keeps: the end of a lease of its own makes it do so."""
        self.ctr("moby", "leases", "create", "--id", "collect")
        self.ctr("moby", "leases", "delete", "--sync", "collect")

    def build(self, name: str, dockerfile: str, *, builder: str = "0", check: bool = True) -> None:
        """Build an image with the classic builder, or with BuildKit (`1`)."""
        super().build(name, dockerfile, builder=builder, check=check)
        self.builds += int(builder)

    def start(self) -> None:
        """Start containerd, where it is not started by the engine, and the engine; wait until both answer."""
        if self.containerd_root:
            self._start_containerd()
        super().start()

    def _start_containerd(self) -> None:
        self._starts += 1
        (self._short / "containerd.toml").write_text(_CONTAINERD)
        state = f"{self._short}/c{self._starts}"
        command = [*self.inside(), "containerd", "--config", f"{self._short}/containerd.toml"]
        command += ["--root", str(self.containerd_root), "--state", state, "--address", f"{state}.sock"]
        process = self._containerd = self._spawn("containerd.log", *command)
        self._starts -= 1
        eventually(lambda: Path(f"{state}.sock").exists() or process.poll() is not None)
        assert process.poll() is None, f"{versions()}: {(self._short / 'containerd.log').read_text()[-300:]}"

    def _daemon(self) -> list[str]:
        store = str(self.driver in SNAPSHOTTERS).lower()
        command = [*self.inside(), *super()._daemon(), "--feature", f"containerd-snapshotter={store}"]
        command += ["--cgroup-parent", f"/{self._short.name}"]
        return [*command, "--containerd", self.socket] if self.containerd_root else command

    def _does_not_start(self) -> None:
        raise AssertionError(f"{versions()}: {self.said()}")

    def _client(self) -> list[str]:
        return [*self.inside(), "docker"]

    def inside(self) -> list[str]:
        """The beginning of a command that is run in the engine's root."""
        return ["chroot", str(self.top), "env", f"PATH={PATH}"]

    def stop(self) -> None:
        """End the engine, and then containerd, in an orderly way."""
        super().stop()
        self._end_containerd(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the engine and containerd at once, and wait until they are gone. Containers stay."""
        self._end_containerd(signal.SIGKILL)
        super().kill()

    def _end_containerd(self, how: signal.Signals) -> None:
        if self._containerd is not None:
            self._containerd.send_signal(how)
            self._containerd.wait(DEADLINE)
            self._containerd = None

    def _end_group(self) -> None:
        """What it started is known by its root: the daemons, shims and clients."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.readlink(process / "root") == str(self.top):
                    os.kill(int(process.name), signal.SIGKILL)

    def clean(self) -> None:
        """End everything, and unmount what it left."""
        if self._process is not None and self._process.poll() is None:
            for container in self.run("ps", "-q", check=False).split():
                self.run("rm", "-f", container, check=False)
            self.stop()
        self._end_containerd(signal.SIGKILL)
        self._end_group()
        self._end_containers()
        ends = (str(self.scratch), str(self._short))
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            path = line.split()[4]
            if f"{path}/".startswith((f"{self.scratch}/", f"{self._short}/")) and path not in ends:
                subprocess.run(["umount", "-l", path], check=False, capture_output=True)

    def _end_containers(self) -> None:
        """What is still in the engine's control groups, and the groups."""
        name = f"/{self._short.name}/"
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if name in (process / "cgroup").read_text():
                    os.kill(int(process.name), signal.SIGKILL)
        groups = [group for kind in ("", "*/") for group in Path("/sys/fs/cgroup").glob(f"{kind}{self._short.name}")]
        for group in groups:
            for directory in sorted((group, *group.rglob("*/")), reverse=True):
                _remove(directory)

    def held(self) -> int:
        """The disk blocks of blobs, snapshots, containers and volumes in bytes: all but databases and directories."""
        subprocess.run(["sync", "--file-system", str(self.root)], check=True)  # only then a file has its blocks
        return int(eventually(self._counted).splitlines()[-1].split()[0])

    def _counted(self) -> str:
        """What `du` says; "" where something has gone meanwhile."""
        stores = [self.store.glob(pattern) for pattern in ("*.content.*/blobs/sha256/*", "*.snapshotter.*/snapshots/*")]
        stores += [self.root.glob("containers/*"), self.root.glob("volumes/*/")]
        paths = "\0".join(str(path) for store in stores for path in store)
        command = ["du", "-scx", "--block-size=1", "--files0-from=-"]
        done = subprocess.run(command, input=paths, capture_output=True, text=True, check=False)
        return "" if done.returncode else done.stdout

    def du_of_store(self) -> int:
        """The disk blocks of containerd's root in bytes."""
        done = subprocess.run(["du", "-sx", "--block-size=1", str(self.store)], capture_output=True, check=False)
        return int(done.stdout.split()[0])


def _remove(group: Path) -> None:
    def gone() -> bool:
        with contextlib.suppress(OSError):
            group.rmdir()
        return not group.exists()

    eventually(gone)


@contextlib.contextmanager
def todays_engine(
    scratch: Path, short: Path, driver: str = "overlayfs", *, own_containerd: bool = False
) -> Iterator[TodaysEngine]:
    """Run an engine for the length of a `with` block; `scratch` gets its roots, `short` its sockets."""
    with changeable(engine_root(), scratch.parent / f"{scratch.name}-inside") as top:
        for source in ("/proc", "/sys"):
            _mount("--rbind", source, f"{top}{source}")
        _mount("--make-rslave", str(top))
        _make_devices(top / "dev")
        for directory in (scratch, short):
            _mount("--bind", str(directory), str(directory))
            _mount("--make-shared", str(directory))
            Path(f"{top}{directory}").mkdir(parents=True, exist_ok=True)
            _mount("--bind", str(directory), f"{top}{directory}")
        one = TodaysEngine(scratch, short, driver, top, own_containerd=own_containerd)
        try:
            one.start()
            yield one
        finally:
            one.clean()
            for directory in (scratch, short):
                subprocess.run(["umount", "-l", f"{top}{directory}"], check=False)
                subprocess.run(["umount", "-l", str(directory)], check=False)


def _make_devices(directory: Path) -> None:
    """What an engine needs of /dev, as nodes of its own.

    What a killed test run leaves mounted is removed with its directory some runs later: no device of this machine is to
    be in there. A snapshotter of btrfs mounts the loop device that its files are on.
    """
    _mount("-t", "tmpfs", "none", str(directory))
    for name in (*_DEVICES, *(path.name for path in Path("/dev").glob("loop[0-9]*"))):
        device = os.stat(f"/dev/{name}")
        os.mknod(directory / name, device.st_mode, device.st_rdev)
        (directory / name).chmod(stat.S_IMODE(device.st_mode))  # whatever the umask
    for name in ("pts", "shm"):
        (directory / name).mkdir()
    (directory / "fd").symlink_to("/proc/self/fd")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
