"""Filesystems that a test mounts, and takes away again."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(on: Path, *options: str) -> Iterator[None]:
    done = subprocess.run(["mount", *options, str(on)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        if on.is_mount():  # an engine that was on it has unmounted it
            subprocess.run(["umount", "-l", str(on)], check=True)
