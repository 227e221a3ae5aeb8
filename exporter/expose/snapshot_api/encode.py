"""A `Snapshot` as the rows of a `Document`, and those as JSON, piece by piece: no whole of it is held at once."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any

from exporter.core.gzip_body import GzipBody
from exporter.core.model import Collector, Filesystem
from exporter.core.space import space_of
from exporter.core.text import escape
from exporter.core.version import VERSION
from exporter.expose.snapshot_api import objects, store
from exporter.expose.snapshot_api.rows import (
    SCHEMA,
    ContainerRow,
    FilesystemRow,
)
from exporter.figures.figures import Figures

#: One for all rows: `json.dumps` would make one for each.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def describe(figures: Figures) -> GzipBody:
    """Make the document of a snapshot, but for what `ending` makes. It is kept compressed only."""
    return GzipBody.of(map(_encoded, _pieces(figures)))


def ending(taken: float | None, filesystems: Iterable[FilesystemRow]) -> bytes:
    """The end of a document: the filesystems, and when it was taken."""
    return _encoded(f',"filesystems":[{",".join(map(_row, filesystems))}],"taken":{_json(taken)}}}\n')


def space(one: Filesystem, status: os.statvfs_result | None) -> FilesystemRow:
    """A filesystem with the space that it says it has."""
    names = escape(one.path), escape(one.device), escape(one.mountpoint), escape(one.fstype)
    row = FilesystemRow(*names, own=one.own, directory=escape(one.directory))
    if status is None:
        return row
    known = space_of(status)
    return replace(row, size=known.size, free=known.free, available=known.available)


def _pieces(figures: Figures) -> Iterator[str]:
    snapshot = figures.snapshot
    inventory, measured = snapshot.inventory, bool(snapshot.measured)
    head = {
        "schema": SCHEMA,
        "exporter": VERSION,
        "root": escape(snapshot.root),
        "error": escape(snapshot.error),
        "layouts": inventory.layouts,
        "unmeasured": inventory.unmeasured,
        "drivers": [escape(name) for name in inventory.drivers],
        "origins": sorted({escape(one.origin) for one in inventory.containers if one.origin}),
        "nested": [escape(name) for name in inventory.nested],
        "further": [escape(one.path) for one in snapshot.further],
        "unattributed": figures.reclaim.unattributed if measured else None,
        "store": store.home(snapshot),
        "engine": escape(inventory.content.engine) if inventory.content is not None else "",
        "history": figures.history if measured else None,
    }
    yield _json(head)[:-1]
    parts: dict[str, Iterable[Any]] = {
        "directories": objects.directories(figures),
        "reclaimable": objects.reclaimable(figures.reclaim) if measured else (),
        "layers": objects.layers(figures),
        "images": objects.images(figures),
        "containers": objects.containers(figures),
        "volumes": objects.volumes(figures),
        "missing": objects.missing(figures),
        "plugins": objects.plugins(snapshot),
        "remarks": objects.remarks(snapshot),
        "temporary": objects.temporary(snapshot),
        "content": store.content(figures),
        "namespaces": store.namespaces(figures),
        "blobs": store.blobs(figures),
        "ingests": store.ingests(figures),
    }
    for name, rows in parts.items():
        yield from _list(figures, name, rows if measured else ())
    yield from _list(figures, "gaps", objects.gaps(inventory.knowledge))
    yield from _list(figures, "unknown", objects.unknown(figures) if measured else ())
    yield from _list(figures, "problems", objects.problems(figures))  # last: what failed until now is one


def _list(figures: Figures, name: str, rows: Iterable[Any]) -> Iterator[str]:
    yield f',"{name}":['
    made = figures.barrier.until_failure(Collector.DIRECTORIES, f"rows of {name}", map(_row, rows))
    for number, row in enumerate(made):
        yield "," + row if number else row
    yield "]"


def _row(row: Any) -> str:
    return _json(_plain(row))


#: The fields of each kind of rows: `fields` would look for them in each row.
_NAMES: dict[type, tuple[str, ...]] = {}


def _plain(row: Any) -> dict[str, Any]:
    names = _NAMES.get(type(row)) or _NAMES.setdefault(type(row), tuple(field.name for field in fields(row)))
    found = {name: getattr(row, name) for name in names}
    if isinstance(row, ContainerRow):
        found["mounts"] = [_plain(mount) for mount in row.mounts]
    return found


def _json(value: Any) -> str:
    return _ENCODER.encode(value)


def _encoded(text: str) -> bytes:
    """As UTF-8. Names are escaped before; half a character that was not would make the whole document unreadable."""
    return text.encode("utf-8", "replace")
