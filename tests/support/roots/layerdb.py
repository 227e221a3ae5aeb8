"""Data roots of Docker 1.10 and newer for tests: what they hold is really written, for its blocks to be counted."""

from collections.abc import Mapping
from pathlib import Path

from exporter.demo.layerdb import LayerdbWriter, digest
from exporter.demo.writer import Content
from tests.support.usage import allocated

__all__ = ["DbRoot", "digest"]


class DbRoot(LayerdbWriter):
    """One root, below a test's own directory."""

    def __init__(self, path: Path, driver: str = "overlay2") -> None:
        super().__init__(path / "docker", driver)

    def put(self, top: Path, files: Mapping[str, Content]) -> None:
        for name, content in files.items():
            (top / name).write_bytes(b"x" * content if isinstance(content, int) else content)

    def blocks(self, *names: str) -> int:
        """The disk blocks in bytes of directories of the driver's, with the links to them."""
        done = [allocated(self.layers / name) for name in names]
        links = [link for name in names if (link := self.link(name)).is_symlink()]
        return sum(done) + sum(link.lstat().st_blocks * 512 for link in links)
