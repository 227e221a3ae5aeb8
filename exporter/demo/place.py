"""Checks where an example data root may be built."""

from pathlib import Path


def require_empty(directory: Path) -> None:
    """Raise FileExistsError unless a directory is new or empty."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(f"{directory} is not an empty directory")
