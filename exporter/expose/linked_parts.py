"""How the parts of a root behind symbolic links are shown: with the target, and without what the link itself takes."""

import posixpath
from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from exporter.core.model import RemarkKind
from exporter.expose.snapshot_api.rows import DirectoryRow, RemarkRow


def linked_parts(
    rows: Iterable[DirectoryRow], remarks: Iterable[RemarkRow], unread: Collection[str]
) -> Iterator[DirectoryRow]:
    """The rows for people. `unread` are the paths that are errors: what such a part takes is not known."""
    targets = {one.path: one.target for one in remarks if one.kind == RemarkKind.LINK}
    for row in rows:
        path = path_of(row)
        if path not in targets:
            yield row
            continue
        name = f"{row.name} -> {targets[path]}"
        yield DirectoryRow(name, None, None, None, row.root) if path in unread else replace(row, name=name)


def path_of(row: DirectoryRow) -> str:
    """The path of an entry below the data root; one in a further root has an absolute path."""
    return row.root if row.root and row.name == "." else posixpath.join(row.root, row.name)
