"""`images`: a list like that of `docker images`, and a tree like that of `docker images -tree` in Docker 1.x."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct, to_builtins

from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList, Value
from exporter.cli.commands.filters import compared, equals, is_true, like, until
from exporter.cli.commands.habits import PLAIN, Habits, choose, one_called
from exporter.cli.commands.image_tree import created_of
from exporter.cli.commands.index import NONE, Index, familiar, namespaces
from exporter.cli.commands.labels import image_key, labelled, of_images
from exporter.cli.commands.missing import missing_data, missing_of_images
from exporter.cli.commands.tables import Answer, Lines, Table, not_known
from exporter.cli.commands.times import moment
from exporter.core.states import ImageState
from exporter.expose.snapshot_api.rows import ImageRow

#: The figures of a list of images, besides what each image says of itself.
_FIGURES = ("image_states", "image_names", "image_shares", "image_users")
#: So many images that are not loaded are named.
_MOST_NAMES = 5


class ImageLine(Struct, frozen=True):
    """A line of the list: an image by one of its names; None is one that is not known. `first`: of this image."""

    image: ImageRow
    repository: str | None
    tag: str | None
    first: bool


def images(index: Index, *, intermediate: bool, habits: Habits = PLAIN) -> Answer:
    """List images, newest first, with a line for each tag, as `docker images` does."""
    rows = sorted(
        (one for one in index.document.images if one.listed or intermediate),
        key=lambda one: (-created_of(one), one.id),
    )
    hidden = [] if namespaces(index.document) else ["namespace"]
    if not any(one.namespace for one in rows):
        hidden += ["content", "platforms"]
    chosen = choose(IMAGES, index, [line for one in rows for line in _image_lines(index, one)], habits, hidden=hidden)
    missing = missing_of_images(index)
    found = list({id(line.image): line.image for line in chosen.rows}.values())
    data = {"images": [to_builtins(one) for one in found], "missing": missing_data(index)}
    parts: list[Table | Lines] = [
        chosen.table(summed="total"),
        *chosen.said(),
        *_not_loaded(index, found),
        *missing,
        *not_known(index.document, *_FIGURES),
    ]
    return Answer(data, parts, failed=bool(missing) or chosen.failed, listings=(chosen,))


def _not_loaded(index: Index, images: Sequence[ImageRow]) -> list[Lines]:
    """Say of which images no command of docker knows."""
    names = [index.image_name(one) for one in images if not one.loaded]
    if not names:
        return []
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    line = (
        f"Not loaded by the engine: {', '.join(names[:_MOST_NAMES])}{more}. It works with another driver, or a "
        "description is damaged. No command of docker lists or removes them."
    )
    return [Lines("", [line])]


def _image_lines(index: Index, image: ImageRow) -> Iterator[ImageLine]:
    for number, (repository, tag) in enumerate(_references(index, image)):
        yield ImageLine(image, repository, tag, number == 0)


def _references(index: Index, image: ImageRow) -> list[tuple[str | None, str | None]]:
    """The repositories and tags of an image; None: not known."""
    found = [(name.rpartition(":")[0], name.rpartition(":")[2]) for name in image.references]
    nameless = NONE if index.is_nameless(image) is True else None
    return [*found] or [(name.partition("@")[0], NONE) for name in image.digests] or [(nameless, nameless)]


def _once(value: Callable[[ImageRow], Value]) -> Callable[[Index, ImageLine], Value]:
    """A cell that only the first line of an image has, so that columns add up."""
    return lambda _, line: value(line.image) if line.first else ""


def _column(  # noqa: PLR0913 - as a column
    name: str,
    heading: str,
    kind: Kind,
    value: Callable[[ImageRow], Value],
    worth: int,
    fields: tuple[str, ...],
    *,
    total: bool = False,
) -> Column[ImageLine]:
    """A column of what an image says once, however many names it has."""
    return Column(name, heading, kind, lambda _, line: value(line.image), worth, fields, _once(value), total=total)


def _of_listed(value: Callable[[ImageRow], Value]) -> Callable[[ImageRow], Value]:
    """A figure that only listed images have."""
    return lambda image: value(image) if image.listed else ""


def _names(line: ImageLine) -> list[str]:
    """The names of a line, whole and without the tag, and as Docker shortens them."""
    if line.repository in (None, NONE):
        return list(line.image.digests)
    whole = [line.repository or ""] if line.tag in (None, NONE) else [f"{line.repository}:{line.tag}"]
    names = [*whole, line.repository or "", *line.image.digests]
    return [way for one in names for way in sorted(familiar(one))]


def _image_created(index: Index, name: str) -> float | None:
    lines = (line for one in index.document.images for line in _image_lines(index, one))
    return one_called(IMAGES, index, lines, name).image.created


def _is_dangling(index: Index, line: ImageLine) -> bool | None:
    return index.is_nameless(line.image) if line.image.listed else False


#: The columns of the list.
IMAGES: ObjectList[ImageLine] = ObjectList(
    "image",
    (
        Column("namespace", "NAMESPACE", Kind.TEXT, lambda _, line: line.image.namespace, 20),
        Column("repository", "REPOSITORY", Kind.TEXT, lambda _, line: line.repository, 70, ("Repository",), keep=True),
        Column("tag", "TAG", Kind.TEXT, lambda _, line: line.tag, 75, ("Tag",)),
        Column("id", "IMAGE ID", Kind.ID, lambda _, line: line.image.id, 10, ("ID",)),
        _column("created", "CREATED", Kind.AGE, lambda one: one.created, 45, ("CreatedSince",)),
        _column("virtual", "VIRTUAL", Kind.SIZE, lambda one: one.virtual, 80, ("Size", "VirtualSize")),
        _column(
            "content",
            "CONTENT",
            Kind.SIZE,
            lambda one: one.content if one.namespace else "",
            30,
            ("ContentSize",),
        ),
        _column("unique", "UNIQUE", Kind.SIZE, _of_listed(lambda one: one.unique), 90, ("UniqueSize",), total=True),
        _column("share", "SHARE", Kind.SIZE, _of_listed(lambda one: one.proportional), 85, ("Share",), total=True),
        Column("state", "STATE", Kind.WORD, lambda _, line: line.image.state, 60, ("State",)),
        Column("containers", "CONTAINERS", Kind.COUNT, lambda _, line: line.image.containers, 25, ("Containers",)),
        Column(
            "platforms",
            "PLATFORMS",
            Kind.NAMES,
            lambda _, line: ", ".join(line.image.platforms),
            5,
            ("Platforms", "Platform"),
        ),
        Column(
            "digest",
            "DIGEST",
            Kind.TEXT,
            lambda _, line: next((one.partition("@")[2] for one in line.image.digests), NONE),
            fields=("Digest",),
            shown=False,
        ),
        Column("created_at", "CREATED AT", Kind.TEXT, lambda _, line: moment(line.image.created), shown=False),
        Column("driver", "DRIVER", Kind.TEXT, lambda _, line: line.image.driver, shown=False),
    ),
    names=lambda _, line: _names(line),
    ids=lambda _, line: (line.image.id,),
    key=lambda index, line: index.short(line.image.id),
    whole=lambda _, line: line.image.id,
    filters={
        "dangling": is_true(_is_dangling),
        "reference": like(lambda _, line: None if line.repository is None else _names(line)),
        "before": compared(lambda _, line: line.image.created, _image_created, before=True),
        "since": compared(lambda _, line: line.image.created, _image_created, before=False),
        "until": until(lambda _, line: line.image.created),
        "status": equals(lambda _, line: None if line.image.state is None else (line.image.state,), ImageState),
        "label": labelled(of_images, lambda line: image_key(line.image), lambda _: {}),
        "namespace": equals(lambda _, line: (line.image.namespace,)),
        "platform": equals(lambda _, line: line.image.platforms),
    },
)
