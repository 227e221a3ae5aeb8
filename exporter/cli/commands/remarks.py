"""What is said of entries of a root that are not what usually is in their place, and what can be done."""

import posixpath
from collections.abc import Iterator

from exporter.cli.commands.tables import Lines
from exporter.core.shell import arguments
from exporter.expose.containerd_advice import containerd_advice
from exporter.expose.snapshot_api.rows import Document, RemarkRow

_MOST_LINKS = 10


def remarks(document: Document) -> list[Lines]:
    """All that is to be said of a root, a part for each kind."""
    parts = (
        _leftovers(document),
        list(_links(document)),
        list(_unwalked(document)),
        containerd_advice(document.remarks),
    )
    return [Lines("", lines) for lines in parts if lines]


def said_of(document: Document, path: str) -> str:
    """What is said of the nearest of these entries that a path below the root lies in; "" for none."""
    of_paths = (one for one in document.remarks if one.kind != "containerd")
    found = [one for one in of_paths if path == one.path or path.startswith(one.path + "/")]
    nearest = max(found, key=lambda one: len(one.path), default=None)
    return "" if nearest is None else f"{nearest.path}: {_said(nearest)}"


def _said(remark: RemarkRow) -> str:
    if remark.kind == "link":
        leads = f"{remark.where}" if remark.where else "what cannot be seen from here"
        return f"a link to {remark.target}, which is not followed; it leads to {leads}"
    if remark.kind == "leftover":
        return "left behind by the upgrade from Docker 1.9 or older: no engine reads it, and it can be removed"
    return f"on a filesystem of type {remark.target}, which is measured with --collector.volumes.network only"


def leftovers(document: Document) -> list[str]:
    """The top-level entries that an upgrade left behind, the graph first."""
    names = [one.path for one in document.remarks if one.kind == "leftover"]
    return sorted(names, key=lambda name: (name != "graph", name))


def links(document: Document) -> dict[str, RemarkRow]:
    """The symbolic links by their path below the root."""
    return {one.path: one for one in document.remarks if one.kind == "link"}


def behind_link(document: Document, path: str) -> str:
    """The path below the root that leads through a link to a path of the host; "" for none."""
    for one in links(document).values():
        if one.where and (path == one.where or path.startswith(one.where.rstrip("/") + "/")):
            return one.path + path[len(one.where.rstrip("/")) :]
    return ""


def _leftovers(document: Document) -> list[str]:
    names = leftovers(document)
    if not names:
        return []
    paths = arguments(*(posixpath.join(document.root, name) for name in names))
    return [
        f"Left behind by the upgrade from Docker 1.9 or older: {', '.join(names)}. No engine reads them any more.",
        f"Unless Docker 1.9 or older is to run here again, they can be removed: rm -r {paths}",
    ]


def _links(document: Document) -> Iterator[str]:
    found = list(links(document).values())
    for one in found[:_MOST_LINKS]:
        yield f"{one.path} is {_said(one)}. What is behind it is not known."
        path = posixpath.join(document.root, one.path)
        target = one.where or posixpath.normpath(posixpath.join(posixpath.dirname(path), one.target))
        yield (
            "  To have it read, stop the engine, put a directory there and mount what the link leads to: "
            f"rm {arguments(path)} && mkdir {arguments(path)} && mount --bind {arguments(target, path)}"
            "  (or let data-root in daemon.json be the real place of all)"
        )
    if len(found) > _MOST_LINKS:
        yield f"{len(found) - _MOST_LINKS} more links are among the errors."


def _unwalked(document: Document) -> Iterator[str]:
    return (f"Not measured: {said_of(document, one.path)}." for one in document.remarks if one.kind == "unwalked")
