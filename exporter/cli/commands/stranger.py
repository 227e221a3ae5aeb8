"""Checks the document of another exporter before anything is made of it: its names become arguments of commands.

The commands quote every name. But an id is put where no name is expected, a path is joined to the root, and what frees
space is a command already. So ids have to be ids, paths have to stay below the root, and commands have to be those that
this program would have made.
"""

import re
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from exporter.core.text import unescape
from exporter.expose.snapshot_api.rows import Document, ProblemRow, ReclaimableRow, TemporaryRow
from exporter.figures.prunes import Command, is_command
from exporter.figures.temporary import ways_to_free

#: Containers, images and plugins have 64 hex digits; layers of BuildKit 25 other characters, those of an init `-init`.
#: Snapshots of containerd have numbers, and its containers any name (containerd 2.1 pkg/identifiers/validate.go).
_OBJECT = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LAYER = re.compile(r"([0-9a-f]{64}|[0-9a-z]{25})(-init)?|[0-9]{1,20}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*", re.ASCII)
_DIGEST = re.compile(r"[^@]+@[a-z0-9]+([+._-][a-z0-9]+)*:[0-9a-f]{32,128}", re.ASCII)
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

    A damaged disk may name layers and digests as it likes, and an exporter sends these. Here they are left out.
    """
    for what, value in _not_ids(document):
        raise StrangeError(f"the id of {what} is none: {_shown(value)}")
    for what, value in _not_below(document):
        raise StrangeError(f"{what} is no path below the data root: {_shown(value)}")
    return replace(
        _sifted(document),
        reclaimable=tuple(map(_reclaimable, document.reclaimable)),
        temporary=tuple(_temporary(document.root, one) for one in document.temporary),
    )


def _shown(value: str) -> str:
    return repr(value[:80])


def _not_ids(document: Document) -> Iterator[tuple[str, str]]:
    """The ids of objects that are none, each with what it is said to be the id of."""
    ids = [("a plugin", one.id) for one in document.plugins]
    ids += [("a container", one.id) for one in document.containers if not one.namespace]
    ids += [("an image", one.id) for one in document.images]
    yield from ((what, one) for what, one in ids if not _OBJECT.fullmatch(one))
    names = [("a container", one.id) for one in document.containers if one.namespace]
    for rows in (document.containers, document.images, document.layers):
        names += [("a namespace", one.namespace) for one in rows]
    yield from ((what, one) for what, one in names if one and not _IDENTIFIER.fullmatch(one))


class _Sieve:
    """Tells ids of layers and digests from other texts. `others`: those that were none, with what they stood for."""

    def __init__(self) -> None:
        self.others: dict[tuple[str, str], None] = {}

    def is_layer(self, text: str) -> bool:
        """Whether a text is the id of a layer; "" stands for no layer."""
        return not text or self._matches(_LAYER, text, "the id of a layer")

    def is_digest(self, text: str) -> bool:
        """Whether a text is a repository with a digest."""
        return self._matches(_DIGEST, text, "the digest of an image")

    def layer(self, text: str) -> str:
        """The text if it is the id of a layer, else ""."""
        return text if self.is_layer(text) else ""

    def object(self, text: str, what: str) -> str:
        """The text if it is the id of an object or a chain of layers, else ""."""
        return text if not text or self._matches(_OBJECT, text, f"the id of {what}") else ""

    def _matches(self, form: re.Pattern[str], text: str, what: str) -> bool:
        matches = form.fullmatch(text) is not None
        if not matches:
            self.others[what, text] = None
        return matches


def _sifted(document: Document) -> Document:
    """Leave out layers whose ids are none, and references and digests that are none. Each is a problem."""
    sieve = _Sieve()
    layers = tuple(
        replace(
            row,
            chain=sieve.object(row.chain, "a chain of layers"),
            parent=sieve.layer(row.parent),
            held=sieve.object(row.held, "a container that is gone"),
        )
        for row in document.layers
        if sieve.is_layer(row.id) and row.id
    )
    images = tuple(
        replace(
            row,
            layer=sieve.layer(row.layer),
            parent=sieve.object(row.parent, "an image's parent"),
            digests=tuple(one for one in row.digests if row.namespace or sieve.is_digest(one)),
            further=tuple(filter(sieve.is_layer, row.further)),
            missing=tuple(one for one in row.missing if row.namespace or sieve.is_layer(one)),
        )
        for row in document.images
    )
    containers = tuple(
        replace(
            row,
            image_id=sieve.object(row.image_id, "a container's image"),
            layer=sieve.layer(row.layer),
            init=sieve.layer(row.init),
            base=sieve.layer(row.base),
            missing=tuple(filter(sieve.is_layer, row.missing)),
        )
        for row in document.containers
    )
    missing = tuple(row for row in document.missing if sieve.is_layer(row.layer))
    problems = tuple(
        ProblemRow("images", "decode", "image", f"{what} is none, it is left out: {_shown(text)}")
        for what, text in [*sieve.others][:_MOST_PROBLEMS]
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
    paths += [("a remark", one.path) for one in document.remarks if one.kind != "containerd"]
    paths += [("the place of a filesystem", one.directory) for one in document.filesystems]
    further = tuple(f"{one.rstrip('/')}/" for one in document.further)
    yield from (("a further root", one) for one in document.further if not _is_below(one.removeprefix("/") or ".."))
    below = ((what, one, f"{one}/".startswith(further)) for what, one in paths if one)
    yield from ((what, one) for what, one, beside in below if not _is_below(one.removeprefix("/") if beside else one))
    yield from (
        ("a top-level entry", one.root) for one in document.directories if one.root not in {"", *document.further}
    )
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
