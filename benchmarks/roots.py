"""Builds the data roots that are measured."""

import hashlib
import json
import os
from pathlib import Path

from exporter.demo.writer import GraphWriter


def name(text: str) -> str:
    """An id made of a name."""
    return hashlib.sha256(text.encode()).hexdigest()


def many_files(root: Path, *, layers: int = 100, directories: int = 500, files: int = 9) -> int:
    """Build a root with many empty files in image layers; return the number of entries."""
    _whole(root)
    for layer in range(layers):
        one = name(f"layer{layer}")
        for store in ("aufs/layers", "aufs/mnt"):
            (root / store).mkdir(parents=True, exist_ok=True)
        (root / "aufs/layers" / one).touch()
        (root / "graph" / one).mkdir(parents=True)
        (root / "graph" / one / "json").write_text(json.dumps({"id": one, "created": "2014-01-01T00:00:00Z"}))
        (root / "graph" / one / "layersize").write_text("1")
        for directory in range(directories):
            at = root / "aufs/diff" / one / f"usr{directory % 7}" / f"share{directory}"
            at.mkdir(parents=True)
            for file in range(files):
                os.close(os.open(at / f"file{file}", os.O_CREAT | os.O_WRONLY))
    return layers * directories * (files + 1)


def volume(root: Path, *, directories: int = 1000, files: int = 499) -> None:
    """Add a volume of many empty files to a root."""
    _whole(root)
    for directory in range(directories):
        at = root / "volumes" / "data" / "_data" / f"d{directory % 20}" / f"s{directory}"
        at.mkdir(parents=True)
        for file in range(files):
            os.close(os.open(at / f"file{file}", os.O_CREAT | os.O_WRONLY))


def _whole(root: Path) -> None:
    """Make what every root has: `once` ends with 1 where something of it is missing."""
    for directory in ("containers", "graph", "volumes"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    (root / "repositories-aufs").write_text('{"Repositories":{}}')


def small_volumes(root: Path, count: int, files: int) -> None:
    """Build a root with many volumes of a few empty files."""
    volumes = GraphWriter(root, "aufs").root / "volumes"
    for number in range(count):
        at = volumes / name(f"v{number}") / "_data"
        at.mkdir(parents=True)
        for file in range(files):
            os.close(os.open(at / f"file{file}", os.O_CREAT | os.O_WRONLY))


def small_layers(root: Path, count: int, files: int) -> None:
    """Build a root with so many images of one small layer each, and as many containers."""
    writer = GraphWriter(root, "aufs")
    writer.image(name("base"), files={"a": b"x" * 5}, layersize=5)
    for number in range(count - 1):
        inside = {f"f{file}": b"" for file in range(files)}
        writer.image(name(f"i{number}"), name("base"), files=inside, layersize=3)
    for number in range(count):
        container(writer, f"c{number}")


def many_objects(root: Path, count: int) -> GraphWriter:
    """Build a root with so many layers, images and containers."""
    writer = GraphWriter(root, "aufs")
    writer.image(name("base"), files={"a": b"x" * 5}, layersize=5)
    for number in range(count - 1):
        one = name(f"i{number}")
        writer.image(one, name("base"), files={"x": b"x" * 3}, layersize=3)
        writer.tag(f"app{number % 50}", str(number), one)
    for number in range(count):
        container(writer, f"c{number}")
    return writer


def container(writer: GraphWriter, which: str) -> None:
    """Add a container."""
    writer.container(name(which), name("base"), name=which, writable={"w": b"x" * 4})
