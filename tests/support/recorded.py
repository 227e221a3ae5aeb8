"""Data roots that real engines wrote, and roots made after public reports; not everybody has them."""

import os
import tarfile
from pathlib import Path

import pytest

from tests.support.paths import SHARED


def unpack(name: str, into: Path) -> Path:
    """Unpack a recorded root; skips where the recordings are not there."""
    _extract(SHARED / "roots" / name, into)
    return into / "docker"


def unpack_case(number: int, into: Path) -> Path:
    """Unpack the root of one case by its number; skips where the cases are not there."""
    archive = next((SHARED / "cases").glob(f"{number:02}-*.tgz"), SHARED / "cases")
    _extract(archive, into)
    return into / "root"


def unpack_containerd(into: Path) -> Path:
    """Unpack the root of an engine with the containerd image store; skips where it is not there."""
    _extract(SHARED / "containerd" / "docker28-own-containerd.tgz", into)
    return into / "docker"


def _extract(archive: Path, into: Path) -> None:
    if not archive.is_file():
        pytest.skip("the recorded data roots are not on this machine")
    with tarfile.open(archive) as members:
        members.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # they hold devices and links
        members.extractall(into, numeric_owner=True)
        for link in (one for one in members if one.issym()):  # tarfile gives links the time of now
            os.utime(into / link.name, (link.mtime, link.mtime), follow_symlinks=False)
