"""The summary of `df` by type, as `docker system df` prints it.

SIZE and RECLAIMABLE are disk blocks. RECLAIMABLE is what the prunes of a type free, each after those before it: that of
`docker system df` counts layers that images in use need as well (docs/accuracy.md).
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList, Value
from exporter.cli.commands.containers import is_running
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import AtLeast, total
from exporter.core.units import human
from exporter.expose.snapshot_api.rows import Document

#: States of which it is not known whether the container runs.
_UNSURE = ("unknown",)


class TypeRow(Struct, frozen=True):
    """A type of objects: how many there are and are in use, what they take, and what of it can be freed.

    None is not known, `AtLeast` is what is known of it.
    """

    type: str
    total: int | None
    active: int | None
    size: int | None
    reclaimable: int | None

    @property
    def share(self) -> float | None:
        """The reclaimable share of the size; None where one of both is not known whole."""
        whole = not isinstance(self.size, AtLeast) and not isinstance(self.reclaimable, AtLeast)
        if self.size is None or self.reclaimable is None or not whole:
            return None
        return self.reclaimable / self.size if self.size else 0.0


def summary(document: Document) -> list[TypeRow]:
    """A row for each type: of Docker's own objects, where other namespaces have some as well."""
    if document.taken is None:
        return []
    rows = [_images(document), _containers(document), _volumes(document), _build_cache(document)]
    return [_consistent(row) for row in (*rows, *_history(document))]


def _consistent(row: TypeRow) -> TypeRow:
    """A type takes at least what can be freed of it: that has the metadata of its objects as well."""
    if row.size is None or row.reclaimable is None or row.reclaimable <= row.size:
        return row
    return replace(row, size=AtLeast(row.reclaimable) if isinstance(row.size, AtLeast) else row.reclaimable)


def _is_own(document: Document, namespace: str) -> bool:
    return namespace in ("", document.engine) or not document.engine


def _layers(document: Document, *uses: str) -> Iterator[int | None]:
    return (one.allocated for one in document.layers if one.use in uses and _is_own(document, one.namespace))


def _content(document: Document, use: str) -> Iterator[int | None]:
    return (one.allocated for one in document.content if one.use == use)


def _unread(document: Document, *inputs: str) -> bool:
    """Whether some objects may not be in the document."""
    return any(one.input in inputs and not one.object for one in document.gaps)


def _knows_layers(document: Document) -> bool:
    """Whether nothing of the layers was left unread, of all or of one: else their sizes are at least what is known."""
    return not any(one.input == "layer_stores" for one in document.gaps)


def _count(number: int, *, whole: bool) -> int | None:
    """A number of objects: at least so many where some may be missing; None instead of none."""
    if whole:
        return number
    return AtLeast(number) if number else None


def _reclaimable(document: Document, *categories: str) -> int | None:
    return total(row.bytes for row in document.reclaimable if row.category in categories)


def _images(document: Document) -> TypeRow:
    images = [one for one in document.images if one.listed and _is_own(document, one.namespace)]
    whole = not _unread(document, "image_configs", "image_store", "names")
    used = sum(bool(one.containers) for one in images)
    bytes_ = total([*_layers(document, "image"), *_content(document, "image")])
    return TypeRow(
        "Images",
        _count(len(images), whole=whole),
        _count(used, whole=whole and all(one.containers is not None for one in images)),
        _bytes(bytes_, whole=whole and _knows_layers(document)),
        _reclaimable(document, "images_dangling", "images_unused"),
    )


def _containers(document: Document) -> TypeRow:
    containers = [one for one in document.containers if _is_own(document, one.namespace)]
    whole = not _unread(document, "containers", "container_configs")
    running = sum(is_running(one) for one in containers)
    logs = [one.allocated for one in document.directories if not one.root and one.name == "containers"]
    return TypeRow(
        "Containers",
        _count(len(containers), whole=whole),
        _count(running, whole=whole and not any(one.state in _UNSURE for one in containers)),
        _bytes(total([*_layers(document, "container"), *logs]), whole=whole and _knows_layers(document)),
        _reclaimable(document, "containers_stopped"),
    )


def _volumes(document: Document) -> TypeRow:
    volumes, whole = document.volumes, not _unread(document, "volumes")
    used = sum(bool(one.containers) for one in volumes)
    return TypeRow(
        "Local Volumes",
        _count(len(volumes), whole=whole),
        _count(used, whole=whole and all(one.containers is not None for one in volumes)),
        _bytes(total(one.allocated for one in volumes), whole=whole),
        _reclaimable(document, "volumes_unused"),
    )


def _build_cache(document: Document) -> TypeRow:
    records = [one for one in document.build_records if _is_own(document, one.namespace)]
    whole = not document.why_not("build_cache_records")
    own = [one.allocated for one in document.directories if not one.root and one.name == "buildkit"]
    bytes_ = total([*_layers(document, "build_cache"), *_content(document, "build_cache"), *own])
    # Which records a build uses just now is in the memory of the engine only.
    active = 0 if whole and not records else None
    return TypeRow(
        "Build Cache",
        _count(len(records), whole=whole),
        active,
        _bytes(bytes_, whole=whole and _knows_layers(document)),
        _reclaimable(document, "build_cache"),
    )


def _history(document: Document) -> Iterator[TypeRow]:
    """The build history, which `docker system df` does not show."""
    if document.history is not None:
        bytes_ = total(_content(document, "build_history"))
        yield TypeRow("Build History", document.history, 0, bytes_, _reclaimable(document, "build_history"))


def _bytes(found: int | None, *, whole: bool) -> int | None:
    """A size: at least that where something may be missing; None instead of nothing."""
    return found if whole or found is None else _count(found, whole=False)


def _with_share(_: Index, row: TypeRow) -> Value:
    """What can be freed, with its share of the size."""
    if row.reclaimable is None or row.share is None:
        return row.reclaimable
    return f"{human(row.reclaimable)} ({row.share:.0%})"


def as_data(rows: Sequence[TypeRow]) -> list[dict[str, object]]:
    """The rows for --json: null is what is not known whole."""
    return [
        {
            "type": row.type,
            **{
                name: None if isinstance(value := getattr(row, name), AtLeast) else value
                for name in ("total", "active", "size", "reclaimable")
            },
        }
        for row in rows
    ]


#: The columns of the summary, with the fields of `docker system df --format`.
SUMMARY: ObjectList[TypeRow] = ObjectList(
    "type",
    (
        Column("type", "TYPE", Kind.TEXT, lambda _, row: row.type, 100, ("Type",), keep=True),
        Column("total", "TOTAL", Kind.COUNT, lambda _, row: row.total, 70, ("TotalCount",)),
        Column("active", "ACTIVE", Kind.COUNT, lambda _, row: row.active, 60, ("Active",)),
        Column("size", "SIZE", Kind.SIZE, lambda _, row: row.size, 90, ("Size",)),
        Column(
            "reclaimable",
            "RECLAIMABLE",
            Kind.SIZE,
            lambda _, row: row.reclaimable,
            95,
            ("Reclaimable",),
            cell=_with_share,
        ),
    ),
    names=lambda _, row: (row.type,),
    ids=lambda _, __: (),
    key=lambda _, row: row.type,
    whole=lambda _, row: row.type,
)
