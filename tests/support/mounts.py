"""Filesystems that a test mounts, and takes away again."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.core.mountinfo import read_mounts
from tests.support.waiting import eventually


@contextlib.contextmanager
def mounted(on: Path, *options: str) -> Iterator[None]:
    done = subprocess.run(["mount", *options, str(on)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        if _is_mounted(on):  # an engine that was on it has unmounted it
            subprocess.run(["umount", "-l", str(on)], check=True)


def unmount(on: Path) -> None:
    """Unmount it, as soon as nobody has it open: a look of an exporter lasts for a moment."""

    def unmounted() -> bool:
        done = subprocess.run(["umount", str(on)], capture_output=True, check=False, text=True)
        assert done.returncode == 0 or "busy" in done.stderr, done.stderr
        return done.returncode == 0

    eventually(unmounted)


def _is_mounted(on: Path) -> bool:
    """Whether anything is mounted there. `Path.is_mount` knows no bind mount of the same filesystem."""
    return any(mount.path == str(on.resolve()) for mount in read_mounts())
