"""What is said of entries of a root that are not what usually is in their place, and what can be done."""

import posixpath

from exporter.cli.commands.tables import Lines, quote
from exporter.expose.snapshot_api.rows import Document

_SAID = {
    "leftover": "left behind by the upgrade from Docker 1.9 or older: no engine reads it, and it can be removed",
    "unwalked": "on a filesystem of type {}, which is measured with --collector.volumes.network only",
}


def remarks(document: Document) -> list[Lines]:
    """All that is to be said of a root, a part for each kind."""
    return [Lines("", lines) for lines in (_leftovers(document), _unwalked(document)) if lines]


def said_of(document: Document, path: str) -> str:
    """What is said of the nearest of these entries that a path below the root lies in; "" for none."""
    found = [one for one in document.remarks if path == one.path or path.startswith(one.path + "/")]
    nearest = max(found, key=lambda one: len(one.path), default=None)
    return "" if nearest is None else f"{nearest.path}: {_SAID[nearest.kind].format(nearest.target)}"


def leftovers(document: Document) -> list[str]:
    """The top-level entries that an upgrade left behind, the graph first."""
    return sorted(
        (one.path for one in document.remarks if one.kind == "leftover"), key=lambda one: (one != "graph", one)
    )


def _graph_first(name: str) -> tuple[bool, str]:
    return name != "graph", name


def _leftovers(document: Document) -> list[str]:
    names = leftovers(document)
    if not names:
        return []
    paths = " ".join(quote(posixpath.join(document.root, name)) for name in names)
    return [
        f"Left behind by the upgrade from Docker 1.9 or older: {', '.join(names)}. No engine reads them any more.",
        f"Unless Docker 1.9 or older is to run here again, they can be removed: rm -r {paths}",
    ]


def _unwalked(document: Document) -> list[str]:
    return [f"Not measured: {said_of(document, one.path)}." for one in document.remarks if one.kind == "unwalked"]
