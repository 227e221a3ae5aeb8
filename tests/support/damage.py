"""Damages one input of a root, and tells which figures that makes wrong."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from exporter.core.model import Snapshot, Use
from exporter.expose.metrics.families import families
from exporter.expose.metrics.render import render
from exporter.expose.snapshot_api import objects
from exporter.expose.totals import IMAGES, VOLUMES, WRITABLE, kinds
from exporter.figures.figures import Figures
from tests.support.product import Samples

#: What is not worked out of the metadata: what lies on the disk, and how much of that is of no object.
_OF_THE_DISK = (
    "directory_",
    "filesystem_allocated_",
    "store_entries",
    "unattributed_",
    "series_dropped",
    "build_cache_allocated_",
    "content_allocated_",
)
#: Kinds of which the overview says by how much they grew, without those that have metadata in them. A log goes with the
#: directory of its container.
_GROWING = (IMAGES, WRITABLE, VOLUMES)
#: The blocks of one small file and of a directory that becomes a file.
_BLOCKS = 2 * 4096
_LAYERS = {"overlay2": 1, "overlay": 1, "aufs": 2, "vfs": 2}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _replace(content: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        _remove(path)
        path.write_bytes(content)

    return damage


def _fifo(path: Path) -> None:
    _remove(path)
    os.mkfifo(path)


def _cut(path: Path) -> None:
    """Keep the first half of a file."""
    if path.is_file():
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])


def _zeros(path: Path) -> None:
    if path.is_file():
        path.write_bytes(bytes(path.stat().st_size))


def _move(path: Path) -> None:
    """Leave a symbolic link to where it was moved, beside the root."""
    root = next(above for above in path.parents if (above / "containers").exists() or above.name == "copy")
    to = Path(tempfile.mkdtemp(dir=root.parent)) / path.name
    path.rename(to)
    path.symlink_to(to)


def _swap(path: Path) -> None:
    """A file in the place of a directory, and the reverse."""
    directory = path.is_dir()
    _remove(path)
    if directory:
        path.write_bytes(b"x")
    else:
        path.mkdir()


_OTHER_TYPES: Mapping[type, object] = {str: 5, dict: [], list: {"a": 1}, bool: "x"}


def _retype(first: int) -> Callable[[Path], None]:
    """Give the values of a JSON object another type, from one of them on. Its id stays."""

    def damage(path: Path) -> None:
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(content, dict):
            keys = [key for key in content if key.lower() != "id"][first:]
            path.write_text(json.dumps(content | {key: _OTHER_TYPES.get(type(content[key]), "x") for key in keys}))

    return damage


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    "removed": _remove,
    "empty": _replace(b""),
    "garbage": _replace(b"\x00\xff{"),
    "other JSON": _replace(b'{"a": [1]}'),
    "a fifo": _fifo,
    "cut": _cut,
    "zeros": _zeros,
    "moved": _move,
    "swapped": _swap,
    "other types": _retype(0),
    "some other types": _retype(3),
}


def inputs(root: Path) -> Iterator[Path]:
    """Every file and directory that is an input of figures, relative to the root: all but layers' and volumes' data."""
    for directory, names, files in os.walk(root):
        at = Path(directory).relative_to(root)
        names[:] = sorted(name for name in names if not _is_data(at / name))
        yield from (at / name for name in (*names, *sorted(files)) if not _is_data(at / name))


def _is_data(path: Path) -> bool:
    parts = path.parts
    if parts[:2] == ("containerd", "daemon"):
        return _is_of_containerd_only(parts[2:])
    if parts[0] in _LAYERS:
        return len(parts) > _LAYERS[parts[0]]
    if parts[0] == "volumes":
        return "_data" in parts
    return parts[0] == "tmp" or path.suffix == ".log" or parts[:2] == ("buildkit", "content")


def _is_of_containerd_only(parts: tuple[str, ...]) -> bool:
    """The files of snapshots, blobs of layers, and what is no input of figures."""
    if parts[:1] and parts[0].startswith("io.containerd.snapshotter"):
        return len(parts) > 2
    return bool(parts) and not parts[0].startswith(("io.containerd.content", "io.containerd.metadata"))


_HEX = "[0-9a-f]{64}"
#: Damage that an engine itself cannot tell from what people do, or of which it is known what it makes of it.
_EXCEPTIONS = (
    # A whole object that is gone, as after docker rm, rmi and volume rm.
    ("removed", rf"containers/{_HEX}|graph/{_HEX}|volumes/[^/]+"),
    ("removed", rf"image/[^/]+/imagedb/content/sha256/{_HEX}"),
    # The parents of images are written down there and nowhere else.
    ("removed", rf"image/[^/]+/imagedb/metadata/sha256/{_HEX}(/parent)?"),
    # An entry of a layer that is gone or damaged: its layer is missing, as it is for the engine.
    (".*", rf"image/[^/]+/layerdb/sha256/{_HEX}(/(cache-id|diff|parent|size))?"),
    # A download that is gone is none.
    ("removed", rf"containerd/daemon/io\.containerd\.content\.v1\.content/ingest(/{_HEX})?"),
    # An engine ignores a file beside the volumes.
    (".*", r"volumes/[^/]+"),
    # An engine makes a new database in an empty file, and has lost the labels then.
    ("empty", r"volumes/metadata\.db"),
    # The options of a volume are written down there and nowhere else.
    ("removed", r"volumes/[^/]+/opts\.json"),
    # Up to Docker 1.9, an image without this file is compared with its parent.
    ("removed", rf"graph/{_HEX}/layersize"),
    # The half of a number is a number.
    ("cut", rf"graph/{_HEX}/layersize"),
)


def is_exception(damage: str, path: Path) -> bool:
    """Whether an engine itself cannot tell this damage from what people do, or is known to make something of it."""
    return any(re.fullmatch(kind, damage) and re.fullmatch(place, str(path)) for kind, place in _EXCEPTIONS)


class Said:
    """What is said of a root: samples, and what objects are called that people delete or mend on that word."""

    def __init__(self, snapshot: Snapshot) -> None:
        figures = Figures(snapshot)
        text = render(list(families(figures)), "text").decode()
        self.samples = {
            (name, tuple(sorted(labels.items()))): value
            for name, labels, value in Samples(text).samples
            if not name.startswith(_OF_THE_DISK)
        }
        self.samples |= {
            ("total of what grew", (("kind", name),)): total.size
            for name, total in kinds(figures).items()
            if name in _GROWING and total.size is not None and not total.unknown
        }
        self.called = {
            *((f"image {one.state}", one.id) for one in objects.images(figures) if one.state in ("unused", "dangling")),
            *(("volume unused", one.name) for one in objects.volumes(figures) if one.containers == 0),
            *(("layer orphaned", one.id) for one in objects.layers(figures) if one.use == Use.ORPHANED),
            *(("layer missing", one.layer) for one in objects.missing(figures)),
        }

    def wrong(self, sound: "Said") -> list[str]:
        """What is said here and was not said of the sound root."""
        samples = [
            f"{name} {dict(labels)}: {value}"
            for (name, labels), value in self.samples.items()
            if not sound.says(name, labels, value)
        ]
        return samples + [" ".join(one) for one in sorted(self.called - sound.called)]

    def says(self, name: str, labels: tuple[tuple[str, str], ...], value: float) -> bool:
        """Whether this was said. An empty label of facts stands for one that is not known."""
        known, image = self.samples.get((name, labels)), dict(labels).get("image_id")
        if known is None and value in self._but_for_namespace(name, labels):
            return True
        if known == value or (name == "containers" and ("state", "unknown") in labels):
            return True
        if (
            name in ("reclaimable_bytes", "filesystem_reclaimable_bytes") and known is not None
        ):  # what was damaged took blocks, too
            return known - _BLOCKS <= value <= known
        if name.startswith("image_") and not any(dict(having).get("image_id") == image for _, having in self.samples):
            return True  # an image that is not listed, where it cannot be told that it is not
        facts = {pair for pair in labels if pair[1]}
        return name.endswith("_info") and any(at == name and facts <= {*having} for at, having in self.samples)

    def _but_for_namespace(self, name: str, labels: tuple[tuple[str, str], ...]) -> set[float]:
        """What was said with a namespace, which is not known where the store is not."""
        return {
            value
            for (one, having), value in self.samples.items()
            if one == name and tuple(pair for pair in having if pair[0] != "namespace") == labels
        }
