"""Data roots for tests: `graph_root(tmp_path).image("base", size=10, tag="base:1").container("web", image="base")`."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.demo.writer import Content, GraphWriter


def hex_id(name: str) -> str:
    """A 64-digit id that is always the same for a name."""
    return hashlib.sha256(name.encode()).hexdigest()


class GraphRoot:
    """A data root of Docker 1.0 to 1.9, built by names instead of ids."""

    def __init__(self, path: Path, driver: str) -> None:
        self.path = path
        self.writer = GraphWriter(path, driver)

    def image(
        self,
        name: str,
        *,
        parent: str | None = None,
        size: int | None = 0,
        files: Mapping[str, Content] | None = None,
        tag: str | None = None,
    ) -> "GraphRoot":
        """Add an image; `size` is its recorded layer size, None writes none."""
        self.writer.image(hex_id(name), hex_id(parent) if parent else None, files=files, layersize=size)
        if tag:
            repository, _, label = tag.rpartition(":")
            self.writer.tag(repository, label, hex_id(name))
        return self

    def container(self, name: str, *, image: str, **settings: Any) -> "GraphRoot":
        """Add a container; `settings` are those of `GraphWriter.container`."""
        self.writer.container(hex_id(name), hex_id(image), name=name, **settings)
        return self


def graph_root(path: Path, driver: str = "aufs") -> GraphRoot:
    """Start an empty data root in a new directory."""
    return GraphRoot(path / "docker" if path.exists() else path, driver)


def change(built: GraphRoot, name: str = "more") -> None:
    """Do what a pull and a start do: an image with a layer on `base`, and a container of it."""
    built.image(name, parent="base", size=9, files={"b": 5000}, tag=f"{name}:1")
    built.container(f"{name}-c", image=name, writable={"c": 70_000})
