"""Data roots that real engines wrote; not everybody has them."""

import tarfile
from pathlib import Path

import pytest

from tests.support.paths import SHARED


def unpack(name: str, into: Path) -> Path:
    """Unpack a recorded root; skips where the recordings are not there."""
    archive = SHARED / "roots" / name
    if not archive.exists():
        pytest.skip("the recorded data roots are not on this machine")
    with tarfile.open(archive) as members:
        members.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # they hold devices and links
        members.extractall(into, numeric_owner=True)
    return into / "docker"
