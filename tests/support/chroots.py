"""Roots to change at will: an overlay on a Debian root that debootstrap made, thrown away after the test."""

import contextlib
import functools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import TOP

PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def debian_root() -> str:
    """Path of a root of this machine's Debian release, or of DEBIAN_ROOT; skips where debootstrap can make none."""
    if given := os.environ.get("DEBIAN_ROOT"):
        return given
    path, why = _made("debian-root")
    if not path:
        pytest.skip(f"no Debian root can be made here: {why}")
    return path


def engine_root() -> str:
    """Path of a root with the engine of Debian testing; skips where it cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("an engine needs root")
    path, why = _made("engine-root")
    if not path:
        pytest.skip(f"no root with today's engine can be made here: {why}")
    return path


def todays_promtool() -> list[str]:
    """The command of promtool of Debian testing; skips where it cannot be had."""
    return _todays("promtool")


def todays_prometheus() -> list[str]:
    """The same of Prometheus itself."""
    return _todays("prometheus")


def _todays(program: str) -> list[str]:
    """The program runs on this machine's kernel and files with the libraries that belong to it."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a Debian root")
    path, why = _made("prometheus-root")
    if not path:
        pytest.skip(f"no root with today's Prometheus can be made here: {why}")
    (loader,) = Path(path, "usr/lib64").glob("ld-linux*")
    (libraries,) = (one.parent for one in Path(path, "usr/lib").glob("*/libc.so.6"))
    return [str(loader), "--library-path", str(libraries), f"{path}/usr/bin/{program}"]


@functools.cache
def _made(script: str) -> tuple[str, str]:
    """What a script has made, or else why it could not. It is tried once: without a network that takes long."""
    done = subprocess.run([TOP / "scripts" / script], capture_output=True, text=True, check=False)
    return ("", done.stderr.strip()) if done.returncode else (done.stdout.strip(), "")


@contextlib.contextmanager
def fresh_root(scratch: Path) -> Iterator[Path]:
    """A root with /proc and /dev; skips where no overlay can be mounted."""
    with changeable(debian_root(), scratch) as top:
        subprocess.run(["mount", "-t", "proc", "none", top / "proc"], check=True)
        for device in ("null", "urandom"):
            (top / "dev" / device).touch()
            subprocess.run(["mount", "--bind", f"/dev/{device}", top / "dev" / device], check=True)
        yield top


@contextlib.contextmanager
def changeable(lower: str, scratch: Path) -> Iterator[Path]:
    """What is in a directory, to be changed without changing it; skips where no overlay can be mounted."""
    for name in ("store", "root"):
        (scratch / name).mkdir(parents=True)
    # overlays cannot be stacked without end, and the directory of a test may be on one
    subprocess.run(["mount", "-t", "tmpfs", "none", scratch / "store"], check=True)
    for name in ("upper", "work"):
        (scratch / "store" / name).mkdir()
    (scratch / "store" / "upper").chmod(0o755)
    options = f"lowerdir={lower},upperdir={scratch}/store/upper,workdir={scratch}/store/work"
    top = scratch / "root"
    mounted = subprocess.run(["mount", "-t", "overlay", "none", "-o", options, top], capture_output=True, check=False)
    try:
        if mounted.returncode:
            pytest.skip("no overlay can be mounted here")
        yield top
    finally:
        subprocess.run(["umount", "-R", top], check=False)
        subprocess.run(["umount", scratch / "store"], check=False)


def let_it_reach_the_network(root: Path) -> None:
    """Give a root what apt and pip need: names of hosts, and this machine's certificates."""
    for name in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt"):
        if Path("/", name).exists():
            (root / name).unlink(missing_ok=True)
            (root / name).write_bytes(Path("/", name).read_bytes())


def run_in(
    root: Path, *command: str, environment: dict[str, str] | None = None, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run a command in a root with an environment of its own."""
    clean = {"PATH": PATH, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", **(environment or {})}
    return subprocess.run(
        ["chroot", str(root), *command], capture_output=True, text=True, check=False, env=clean, timeout=seconds
    )
