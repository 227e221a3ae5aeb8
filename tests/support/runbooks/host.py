"""A host with an engine on a small disk, on which the commands of a runbook are run."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Literal

from tests.support.btrfs import btrfs
from tests.support.engine import Engine, engine
from tests.support.mounts import mounted
from tests.support.runbooks.pages import fences, inline
from tests.support.runbooks.resident import resident
from tests.support.todays_engine import TodaysEngine, todays_engine
from tests.support.waiting import eventually

MB = 1_000_000
#: Debian's engine with overlay2, today's with containerd's image store, and both on btrfs.
Kind = Literal["debian", "today", "debian btrfs", "today btrfs"]
#: What a command may write: one that never ends must not take the memory of the machine.
_MOST_KILOBYTES, _MOST_SAID = 700_000, 10_000_000
_AS_THEY_ARE: Mapping[str, str] = MappingProxyType({})
_QUIET = ("--network", "none", "--stop-signal", "KILL")


@dataclass(frozen=True)
class Done:
    """What some commands did."""

    said: str
    freed: int
    inodes: int
    status: int


@dataclass
class Host:
    """A small disk with all that an engine writes, and another place for what is saved."""

    disk: Path
    elsewhere: Path
    engine: Engine
    #: The runbooks that are followed, and what of their commands was run.
    pages: tuple[str, ...] = ()
    done: set[str] = field(default_factory=set)

    @property
    def today(self) -> TodaysEngine | None:
        """The engine, if it has containerd's image store."""
        return self.engine if isinstance(self.engine, TodaysEngine) else None

    @property
    def containerd(self) -> str:
        """The root of containerd, which the exporter cannot find by itself: nothing on this machine names it."""
        return self.today.further if self.today else "none"

    @property
    def bin(self) -> Path:
        """Programs that are found before those of this machine."""
        return self.elsewhere / "bin"

    def begin(self, *pages: str) -> None:
        """Take up runbooks that are about one trouble: without containers, and with the base image."""
        self.pages, self.done = pages, set()
        if self.today:
            self.command("docker", *self.today.inside(), "docker")
            self.command("ctr", *self.today.inside(), "ctr", "--address", self.today.socket)  # another after a restart
        self.remove(*self.engine.run("ps", "-aq").split())
        self.engine.base()  # which prunes have removed

    @property
    def inline(self) -> frozenset[str]:
        """The commands that stand in sentences of these runbooks."""
        return frozenset().union(*map(inline, self.pages))

    def follow(self, names: Mapping[str, str] = _AS_THEY_ARE, *, page: str = "", **more: str) -> Iterator[Done]:
        """Run the blocks of a runbook one after the other, as somebody does who types `y` where he is asked."""
        for text in fences(page or self.pages[0]):
            yield self.block(text, names, **more)

    def block(self, text: str, names: Mapping[str, str] = _AS_THEY_ARE, **more: str) -> Done:
        """Run one block of these runbooks."""
        self.done.add(text)
        return self.run(text, names, **more)

    def said(self, command: str, names: Mapping[str, str] = _AS_THEY_ARE, *, within: str = "{}", **more: str) -> Done:
        """Run a command that stands in a sentence of these runbooks; `within` is what is typed before and after it."""
        assert command in self.inline, command
        self.done.add(command)
        return self.run(within.replace("{}", command), names, **more)

    def run(self, text: str, names: Mapping[str, str], **more: str) -> Done:
        """Run commands with the names of this host put in, and with more variables of the environment."""
        names = {"/var/lib/docker": str(self.engine.root), "/elsewhere": str(self.elsewhere), **names}
        store = str(self.today.store) if self.today else "/var/lib/containerd"
        for word, value in {"/var/lib/containerd": store, **names}.items():
            text = re.sub(rf"(?<![A-Za-z_]){re.escape(word)}(?![A-Za-z_0-9])", value.replace("\\", r"\\"), text)
        environment = {**os.environ, "DOCKER_HOST": self.engine.address, "DOCKER_CONFIG": str(self.disk / "config")}
        environment["DOCKER_STORAGE_EXPORTER_ROOT"] = names["/var/lib/docker"]
        environment["DOCKER_STORAGE_EXPORTER_CONTAINERD_ROOT"] = self.containerd
        environment["PATH"] = f"{self.bin}:{Path(sys.executable).parent}:{environment['PATH']}"
        said = self.elsewhere / "said"
        before = os.statvfs(self.disk)
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as agrees, said.open("wb") as output:
            done = subprocess.run(
                ["bash", "-c", f"ulimit -f {_MOST_KILOBYTES}; {text}"],
                stdin=agrees.stdout,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                env=environment | more,
                timeout=120,
            )
            agrees.kill()
        after = os.statvfs(self.disk)
        freed = (after.f_bfree - before.f_bfree) * after.f_frsize
        with said.open("rb") as output:
            text = output.read(_MOST_SAID).decode(errors="replace")
        return Done(text, freed, after.f_ffree - before.f_ffree, done.returncode)

    def image(self, name: str, command: str) -> None:
        """Build an image with BuildKit, which keeps its steps in the build cache."""
        self.engine.build(f"{name}:1", f"FROM base:1\nRUN {command}\n", builder="1")

    def start(self, name: str, *command: str, image: str = "base:1", flags: tuple[str, ...] = ()) -> None:
        """Start a container that stays."""
        self.engine.run("run", "-d", *_QUIET, *flags, "--name", name, image, *command)

    def stopped(self, name: str, kilobytes: int, *, image: str = "base:1") -> None:
        """A container that has written and ended."""
        write = f"dd if=/dev/zero of=/written bs=1k count={kilobytes}"
        self.engine.run("run", *_QUIET, "--name", name, image, "sh", "-c", write)
        # It is written down a moment after the command has returned, before anybody else may inspect it.
        eventually(lambda: self.engine.run("inspect", "-f", "{{.State.Status}}", name) == "exited")

    def remove(self, *containers: str) -> None:
        """Remove containers."""
        if containers:
            self.engine.run("rm", "-f", *containers)

    def loud(self, name: str = "loud") -> Path:
        """A container that has logged eight megabytes and goes on, until it is told to be quiet; return its log."""
        self.start(name, "sh", "-c", "[ -e /quiet ] || { echo it begins; seq -s , 1 1200000; }; sleep 1000")
        log = Path(self.engine.run("inspect", "-f", "{{.LogPath}}", name))
        eventually(lambda: b",1200000" in log.read_bytes()[-300:])
        return log

    def writes(self, name: str = "fat", *flags: str) -> None:
        """A container of an image without `du` that has written nine megabytes into its own layer."""
        write = "mkdir -p /srv/cache; dd if=/dev/zero of=/srv/cache/f bs=1k count=9000; echo done; sleep 1000"
        self.start(name, "sh", "-c", write, flags=flags)
        eventually(lambda: "done" in self.engine.run("logs", name))
        if not self.today:  # whose root is no mount point, so that `docker exec` would be outside of the container
            assert self.engine.run("exec", name, "du", "-xh", "/", check=False).startswith("OCI runtime exec failed")

    def command(self, name: str, *command: str) -> None:
        """Make a command of that name, which runs another one."""
        file = self.bin / name
        file.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        file.chmod(0o755)


#: How runbooks that are about one trouble are followed.
Followed = dict[tuple[str, ...], Callable[[Host], None]]


@contextlib.contextmanager
def host(kind: Kind, scratch: Path) -> Iterator[Host]:
    """Run an engine on a disk of its own for the length of a `with` block; skips where that cannot be done."""
    disk = scratch / "disk"
    with contextlib.ExitStack() as stack:
        short = Path(stack.enter_context(TemporaryDirectory(prefix="e-")))
        if kind.endswith("btrfs"):
            stack.enter_context(btrfs(disk))
        else:
            disk.mkdir()
            stack.enter_context(mounted(disk, "-t", "tmpfs", "-o", "size=400m,nr_inodes=40000", "none"))
        if kind.startswith("debian"):
            driver = "btrfs" if kind.endswith("btrfs") else "overlay2"
            made = _host(disk, short, stack.enter_context(engine(disk, short, driver)))
        else:
            driver = "btrfs" if kind.endswith("btrfs") else "overlayfs"
            one = stack.enter_context(todays_engine(disk, short, driver, own_containerd=True))
            made = _host(disk, short, one)
        stack.enter_context(resident(short, made.bin / "docker-storage-exporter"))
        yield made


def _host(disk: Path, short: Path, one: Engine) -> Host:
    elsewhere = short / "other"  # which today's engine sees as well
    made = Host(disk, elsewhere, one)
    made.bin.mkdir(parents=True)
    return made
