"""Rows as JSON, and what the serving process makes itself: the end of a document, and that of a root not read."""

import json
import os
from collections.abc import Iterable
from typing import Any

from msgspec.structs import asdict, replace

from exporter.core.gzip_body import GzipBody
from exporter.core.model import Filesystem
from exporter.core.space import space_of
from exporter.core.text import escape
from exporter.core.version import VERSION
from exporter.expose.snapshot_api.rows import SCHEMA, ContainerRow, FilesystemRow

#: The head and the lists of a document, as `encode` makes them, of a root that is not read yet.
_HEAD = {
    "schema": SCHEMA,
    "exporter": VERSION,
    "root": "",
    "error": "",
    "layouts": (),
    "unmeasured": (),
    "drivers": (),
    "origins": (),
    "nested": (),
    "further": (),
    "unattributed": None,
    "store": None,
    "engine": "",
    "history": None,
    "progress": None,
}
_LISTS = (
    *("directories", "reclaimable", "plan", "layers", "images", "containers", "volumes", "missing", "plugins"),
    *("remarks", "temporary", "content", "namespaces", "blobs", "ingests", "build_records", "builds"),
    *("gaps", "unknown", "problems"),
)
#: One for all rows: `json.dumps` would make one for each.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def unread_document(root: str, error: str) -> GzipBody:
    """The document of a root that is not read yet, but for what `ending` makes."""
    head = {**_HEAD, "root": escape(root), "error": escape(error), **dict.fromkeys(_LISTS, ())}
    return GzipBody.of([encoded(as_json(head)[:-1])])


def ending(taken: float | None, filesystems: Iterable[FilesystemRow]) -> bytes:
    """The end of a document: the filesystems, and when it was taken."""
    return encoded(f',"filesystems":[{",".join(map(row_as_json, filesystems))}],"taken":{as_json(taken)}}}\n')


def space(one: Filesystem, status: os.statvfs_result | None) -> FilesystemRow:
    """A filesystem with the space that it says it has."""
    names = escape(one.path), escape(one.device), escape(one.mountpoint), escape(one.fstype)
    row = FilesystemRow(*names, own=one.own, directory=escape(one.directory))
    if status is None:
        return row
    known = space_of(status)
    return replace(row, size=known.size, free=known.free, available=known.available)


def row_as_json(row: Any) -> str:
    """A row, with the rows in it."""
    return as_json(_plain(row))


def _plain(row: Any) -> dict[str, Any]:
    found = asdict(row)
    if isinstance(row, ContainerRow):
        found["mounts"] = [_plain(mount) for mount in row.mounts]
    return found


def as_json(value: Any) -> str:
    """A value without rows."""
    return _ENCODER.encode(value)


def encoded(text: str) -> bytes:
    """As UTF-8. Names are escaped before; half a character that was not would make the whole document unreadable."""
    return text.encode("utf-8", "replace")
