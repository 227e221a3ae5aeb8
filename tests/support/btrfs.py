"""A btrfs filesystem in a file, for as long as a test runs. Every subvolume has a device number of its own."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.demo.layerdb import LayerdbWriter, digest
from exporter.demo.writer import Content
from tests.support.mounts import mounted

_BYTES = 128 << 20


@contextlib.contextmanager
def btrfs(at: Path) -> Iterator[Path]:
    """Mount an empty btrfs at a new directory; skips where that cannot be made or mounted."""
    if shutil.which("mkfs.btrfs") is None or shutil.which("btrfs") is None:
        pytest.skip("btrfs-progs is not installed")
    image = at.with_name(f"{at.name}.img")
    with image.open("wb") as file:
        file.truncate(_BYTES)
    subprocess.run(["mkfs.btrfs", "-q", str(image)], capture_output=True, check=True)
    at.mkdir()
    with mounted(at, "-t", "btrfs", "-o", "loop", str(image)):
        yield at


def subvolume(at: Path, of: Path | None = None) -> Path:
    """Make a subvolume: an empty one, or a snapshot of another."""
    if of is None:
        command = ["btrfs", "subvolume", "create", str(at)]
    else:
        command = ["btrfs", "subvolume", "snapshot", str(of), str(at)]
    subprocess.run(command, capture_output=True, check=True)
    return at


class BtrfsRoot(LayerdbWriter):
    """A root whose driver is btrfs: a layer is a snapshot of its parent (daemon/graphdriver/btrfs/btrfs.go)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path / "docker", "btrfs")
        self.layers = self.path / "btrfs/subvolumes"
        self.layers.mkdir()
        self._below: Path | None = None

    def layer(self, name: str, size: int, parent: str = "", cache: str = "") -> "BtrfsRoot":
        self._below = self.layers / self.cache(parent) if parent else None
        super().layer(name, size, parent, cache)
        return self

    def mount(self, name: str, mount: str, top: str, writable: dict[str, Content]) -> None:  # type: ignore[override]
        self._below = self.layers / self.cache(top) if top else None
        super().mount(name, mount, top, writable)

    def directory(self, name: str, files: dict[str, Content]) -> Path:  # type: ignore[override]
        """Make the subvolume of a layer; that of a container stands on its init layer."""
        init = self.layers / f"{name}-init"
        content = subvolume(self.layers / name, init if init.is_dir() else self._below)
        self.put(content, files)
        return content

    def put(self, top: Path, files: dict[str, Content]) -> None:  # type: ignore[override]
        """Write real bytes, which take blocks."""
        for name, content in files.items():
            (top / name).write_bytes(b"x" * content if isinstance(content, int) else content)


__all__ = ["BtrfsRoot", "btrfs", "digest", "subvolume"]
