"""Checks the document of another exporter before anything is made of it: its names become arguments of commands.

The commands quote every name. But an id is put where no name is expected, a path is joined to the root, and what frees
space is a command already. So ids have to be ids, paths have to stay below the root, and commands have to be those that
this program would have made.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from exporter.core.text import unescape
from exporter.expose.snapshot_api.rows import Document, ProblemRow, ReclaimableRow, TemporaryRow
from exporter.figures.prunes import Command, is_command
from exporter.figures.temporary import ways_to_free

#: Containers, images and plugins have 64 hex digits; layers of BuildKit 25 other characters, those of an init `-init`.
_OBJECT = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LAYER = re.compile(r"([0-9a-f]{64}|[0-9a-z]{25})(-init)?", re.ASCII)
_NESTED = re.compile(r"[0-9]+\.[0-9]+", re.ASCII)
#: What the move of images by Docker 1.10 to 18.09 leaves behind.
_LEFTOVER = re.compile(r"graph|repositories-[a-z0-9]+|\.migration-v1-(images\.json|tags)", re.ASCII)
_TEMPORARY = ("tmp", "tmp-old")
_MOST_PROBLEMS = 20
_NO_COMMAND = "not shown: this program does not know the command"


class StrangeError(Exception):
    """A document has something that no exporter sends; the message says what."""


def checked(document: Document) -> Document:
    """Return the document with what can be used of it. Raises StrangeError for ids and paths that no exporter sends.

    A disk may give layers any names, and an exporter sends these. Here they are left out, and each is a problem.
    """
    for what, value in _not_ids(document):
        raise StrangeError(f"the id of {what} is none: {_shown(value)}")
    for what, value in _not_below(document):
        raise StrangeError(f"{what} is no path below the data root: {_shown(value)}")
    return replace(
        _with_layers(document),
        reclaimable=tuple(map(_reclaimable, document.reclaimable)),
        temporary=tuple(_temporary(document.root, one) for one in document.temporary),
    )


def _shown(value: str) -> str:
    return repr(value[:80])


def _not_ids(document: Document) -> Iterator[tuple[str, str]]:
    """The ids of a document that are none, each with what it is said to be the id of."""
    objects: list[tuple[str, str]] = [("a plugin", one.id) for one in document.plugins]
    others: list[tuple[str, str]] = []
    for container in document.containers:
        objects.append(("a container", container.id))
        others.append(("a container's image", container.image_id))
    for image in document.images:
        objects.append(("an image", image.id))
        others.append(("an image's parent", image.parent))
    for layer in document.layers:
        others += [("a chain of layers", layer.chain), ("a container that holds a layer", layer.held)]
    yield from ((what, one) for what, one in objects if not _OBJECT.fullmatch(one))
    yield from ((what, one) for what, one in others if one and not _OBJECT.fullmatch(one))


def _with_layers(document: Document) -> Document:
    """Leave out the layers with ids that are none, also where they are referred to."""
    bad: dict[str, None] = {}

    def good(layer: str) -> bool:
        known = not layer or _LAYER.fullmatch(layer) is not None
        if not known:
            bad[layer] = None
        return known

    def one(layer: str) -> str:
        return layer if good(layer) else ""

    layers = tuple(replace(row, parent=one(row.parent)) for row in document.layers if good(row.id))
    images = tuple(
        replace(row, layer=one(row.layer), missing=tuple(filter(good, row.missing))) for row in document.images
    )
    containers = tuple(
        replace(
            row,
            layer=one(row.layer),
            init=one(row.init),
            base=one(row.base),
            missing=tuple(filter(good, row.missing)),
        )
        for row in document.containers
    )
    missing = tuple(row for row in document.missing if good(row.layer))
    problems = tuple(
        ProblemRow("images", "decode", "layers", f"the id of a layer is none, it is left out: {_shown(layer)}")
        for layer in [*bad][:_MOST_PROBLEMS]
    )
    return replace(
        document,
        layers=layers,
        images=images,
        containers=containers,
        missing=missing,
        problems=(*document.problems, *problems),
    )


def _not_below(document: Document) -> Iterator[tuple[str, str]]:
    """The paths of a document that lead out of the root, or are of a kind that is nowhere else."""
    paths: list[tuple[str, str]] = []
    for layer in document.layers:
        paths += [("the directory of a layer", layer.directory), ("the directory of a layer", layer.home)]
    paths += [("the directory of a volume", one.directory) for one in document.volumes]
    paths += [("a remark", one.path) for one in document.remarks]
    paths += [("the place of a filesystem", one.directory) for one in document.filesystems]
    yield from ((what, one) for what, one in paths if one and not _is_below(one))
    names: Iterable[str] = (one.name for one in document.directories if one.name != ".")
    yield from (("a top-level entry", one) for one in names if "/" in unescape(one) or not _is_below(one))
    yield from (("a nested root", one) for one in document.nested if not _NESTED.fullmatch(one))
    leftovers = (one.path for one in document.remarks if one.kind == "leftover")
    yield from (("what an upgrade left behind", one) for one in leftovers if not _LEFTOVER.fullmatch(one))
    yield from (("temporary files", one.path) for one in document.temporary if one.path not in _TEMPORARY)


def _is_below(path: str) -> bool:
    original = unescape(path)
    return "\0" not in original and not {"", ".", ".."} & {*original.split("/")}


def _reclaimable(row: ReclaimableRow) -> ReclaimableRow:
    if is_command(row.category, Command(row.how, row.commands)) or not (row.how or row.commands):
        return row
    return replace(row, how=_NO_COMMAND, commands=())


def _temporary(root: str, row: TemporaryRow) -> TemporaryRow:
    return row if row.how in ways_to_free(root, row.path) else replace(row, how=_NO_COMMAND)
