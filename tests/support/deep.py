"""Directories that are nested deeper than any path may be long, and how often directories are opened."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from exporter.core import descent
from exporter.measure import cursor


def nest(top: Path, depth: int, beside: Iterable[str] = (), name: str = "d") -> int:
    """Make `depth` directories, each in the one before, and directories `beside` each; return the lowest, open."""
    at = os.open(top, os.O_RDONLY)
    names = [*beside]
    for _ in range(depth):
        for one in (name, *names):
            os.mkdir(one, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    return at


def count_opens(patch: pytest.MonkeyPatch) -> list[str]:
    """Note the name of each directory that is opened from now on."""
    opened: list[str] = []
    real = descent.open_directory

    def open_directory(name: str, parent: int) -> int:
        opened.append(name)
        return real(name, parent)

    for module in (descent, cursor):
        patch.setattr(module, "open_directory", open_directory)
    return opened
