"""Damages one input of a root, and tells which figures that makes wrong."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from exporter.core.model import Snapshot, Use
from exporter.expose.metrics.families import families
from exporter.expose.metrics.render import render
from exporter.expose.snapshot_api import encode
from exporter.figures.figures import Figures
from tests.support.product import Samples

#: What is not worked out of the metadata: what lies on the disk, and how much of that is of no object.
_OF_THE_DISK = ("directory_", "store_entries", "unattributed_", "series_dropped")
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


DAMAGES: Mapping[str, Callable[[Path], None]] = {
    "removed": _remove,
    "empty": _replace(b""),
    "garbage": _replace(b"\x00\xff{"),
    "other JSON": _replace(b'{"a": [1]}'),
    "a fifo": _fifo,
}


def inputs(root: Path) -> Iterator[Path]:
    """Every file and directory that is an input of figures, relative to the root: all but layers' and volumes' data."""
    for directory, names, files in os.walk(root):
        at = Path(directory).relative_to(root)
        names[:] = sorted(name for name in names if not _is_data(at / name))
        yield from (at / name for name in (*names, *sorted(files)) if not _is_data(at / name))


def _is_data(path: Path) -> bool:
    parts = path.parts
    if parts[0] in _LAYERS:
        return len(parts) > _LAYERS[parts[0]]
    if parts[0] == "volumes":
        return "_data" in parts
    return parts[0] == "tmp" or path.suffix == ".log" or parts[:2] == ("buildkit", "content")


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
        self.called = {
            *((f"image {one.state}", one.id) for one in encode.images(figures) if one.state in ("unused", "dangling")),
            *(("volume unused", one.name) for one in encode.volumes(figures) if one.containers == 0),
            *(("layer orphaned", one.id) for one in encode.layers(figures) if one.use == Use.ORPHANED),
            *(("layer missing", one.layer) for one in encode.missing(figures)),
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
        known = self.samples.get((name, labels))
        if known == value or (name == "containers" and ("state", "unknown") in labels):
            return True
        if name == "reclaimable_bytes" and known is not None:  # what was damaged took blocks, too
            return known - _BLOCKS <= value <= known
        facts = {pair for pair in labels if pair[1]}
        return name.endswith("_info") and any(at == name and facts <= {*having} for at, having in self.samples)
