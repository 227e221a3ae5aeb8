"""Data roots that real engines wrote; not everybody has them."""

import tarfile
from pathlib import Path

import pytest

from tests.support.paths import SHARED


def unpack(name: str, into: Path) -> Path:
    """Unpack a recorded root; skips where the recordings are not there."""
    _extract(SHARED / "roots" / name, into)
    return into / "docker"


def unpack_case(number: str, into: Path) -> Path:
    """Unpack the root of a reported case, given by its number; skips where the cases are not there."""
    _extract(next((SHARED / "cases").glob(f"{number}-*.tgz"), SHARED / "cases" / number), into)
    return into / "root"


def _extract(archive: Path, into: Path) -> None:
    if not archive.exists():
        pytest.skip("the recorded data roots are not on this machine")
    with tarfile.open(archive) as members:
        members.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # they hold devices and links
        members.extractall(into, numeric_owner=True)
