"""What is compared by `diff`: the sizes of the objects of a root at one time, and which of them are not known."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import click
from msgspec import Struct, field

from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.remote import LARGEST_BYTES
from exporter.cli.commands.source import parse
from exporter.cli.commands.stranger import StrangeError, checked
from exporter.core.knowledge import Input
from exporter.core.log import printable
from exporter.expose.snapshot_api.pieces import ending, unread_document
from exporter.expose.snapshot_api.rows import Document

IMAGE, CONTAINER, LOG, VOLUME, BUILD_CACHE, PART = "image", "container", "log", "volume", "build cache", "part"
#: The kinds of objects, and what has to be read whole for one that is not in the list not to be there.
NEEDS: Mapping[str, tuple[Input, ...]] = {
    PART: (),
    IMAGE: (Input.NAMES, Input.IMAGE_CONFIGS, Input.IMAGE_STORE),
    CONTAINER: (Input.CONTAINERS, Input.CONTAINER_CONFIGS, Input.IMAGE_STORE),
    LOG: (Input.CONTAINERS, Input.CONTAINER_CONFIGS, Input.IMAGE_STORE),
    VOLUME: (Input.VOLUMES,),
    BUILD_CACHE: (Input.BUILD_CACHE,),
}
_GZIP = b"\x1f\x8b"


class Key(NamedTuple):
    """What tells an object from the others of a root."""

    kind: str
    id: str


class DiffEnd(Struct):
    """The objects at one time. `sizes` has None for one whose size is not known.

    `unsure` are the kinds of which there may be more objects, `unsure_ids` the ids of objects that were not read.
    `taken` is in Unix seconds, None if not known.
    """

    taken: float | None
    root: str = ""
    sizes: dict[Key, int | None] = field(default_factory=dict)
    names: dict[Key, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    unsure_ids: set[str] = field(default_factory=set)

    def add(self, kind: str, identity: str, name: str, size: float | None) -> None:
        """Add an object."""
        key = Key(kind, identity)
        self.sizes[key] = None if size is None else round(size)
        self.names[key] = name

    def has(self, key: Key) -> bool | None:
        """Whether the object is there; None where that is not known."""
        if key in self.sizes:
            return True
        return None if key.kind in self.unsure or key.id in self.unsure_ids else False

    def document(self) -> Document:
        """What an answer begins with: whose objects it is about, and when."""
        return parse(unread_document(self.root, "").finish(ending(self.taken, ())))


def of_document(document: Document) -> DiffEnd:
    """The objects of a document."""
    end, index = DiffEnd(document.taken, document.root), Index(document)
    for part in document.directories:
        name = f"{part.root}/{part.name}" if part.root else part.name
        end.add(PART, name, name, part.allocated)
    for image in document.images:
        if image.listed:
            end.add(IMAGE, f"{image.namespace} {image.id}", index.image_name(image), image.proportional)
    for one in document.containers:
        identity = f"{one.namespace} {one.id}"
        end.add(CONTAINER, identity, container_name(one), one.writable_allocated)
        end.add(LOG, identity, container_name(one), one.log)
    for volume in document.volumes:
        end.add(VOLUME, volume.name, volume.name, volume.allocated)
    for record in document.build_records:
        end.add(BUILD_CACHE, f"{record.namespace} {record.id}", f"{record.kind} {record.id}", record.size)
    unread = {gap.input for gap in document.gaps if not gap.object}
    end.unsure = {kind for kind, inputs in NEEDS.items() if not unread.isdisjoint(inputs)}
    objects = {gap.object for gap in document.gaps if gap.object}
    end.unsure_ids = objects | {f" {one}" for one in objects}
    return end


def read_document(path: str) -> Document:
    """Read a saved document, compressed with gzip or not; raises click.ClickException."""
    try:
        with click.open_file(path, "rb") as file:
            document = checked(parse(_plain(file.read(LARGEST_BYTES + 1))))
    except (OSError, ValueError, zlib.error) as error:
        raise click.ClickException(printable(f"{path}: {getattr(error, 'strerror', None) or error}")) from None
    except StrangeError as error:
        raise click.ClickException(printable(f"{path} has what no exporter writes: {error}")) from None
    except click.ClickException as error:
        raise click.ClickException(printable(f"{path}: {error.message}")) from None
    if document.error or document.taken is None:
        raise click.ClickException(printable(f"{path}: {document.error or 'the first scan was not finished'}"))
    return document


def _plain(raw: bytes) -> bytes:
    """Unpack gzip, also of several members, as `cat` joins them. Raises ValueError or zlib.error."""
    found = b"" if raw.startswith(_GZIP) else raw
    while raw.startswith(_GZIP):
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        found += unpacker.decompress(raw, LARGEST_BYTES + 1 - len(found))
        if len(found) <= LARGEST_BYTES and not unpacker.eof:
            raise ValueError("it is cut off")
        raw = unpacker.unused_data
    if len(found) > LARGEST_BYTES:
        raise ValueError("it is too large")
    return found


def keys_of(ends: Iterable[DiffEnd]) -> Iterator[Key]:
    """The objects of several ends, each once."""
    yield from dict.fromkeys(key for end in ends for key in end.sizes)
