"""Makes one page of a list. Only the objects of that page become rows: a root may have tens of thousands."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from exporter.core.knowledge import Input
from exporter.core.model import (
    BuildRecord,
    Container,
    ContainerState,
    Image,
    ImageState,
    Layer,
    Use,
    Volume,
)
from exporter.core.text import label, shorten
from exporter.core.wanted import UNKNOWN, ListName, Wanted, by_default
from exporter.expose.layer_users import users_of_layers, users_of_volumes
from exporter.expose.listing import ROWS, ListPage, pages
from exporter.expose.snapshot_api import objects
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, keeps_log_here
from exporter.figures.figures import Figures
from exporter.figures.needs import Figure

T = TypeVar("T")
#: What objects are sorted by. None is what is not known, and comes last.
Value = float | str | None
#: Whether an object has a property; None where that is not known.
Choice = Callable[[Figures, T], bool | None]
_REFERENCES = 20


class PagedList(Struct, Generic[T], frozen=True):
    """A list: its objects, by what they are sorted, and the choices among them, as `core.wanted` names them.

    `usual`: which of the objects are listed without a choice. `sized`: of which the size is known. `why` says why there
    may be more; "" where not.
    """

    objects: Callable[[Figures], Sequence[T]]
    orders: Mapping[str, Callable[[Figures, T], Value]]
    choices: Mapping[str, Choice[T]]
    name: Callable[[T], str]
    why: Callable[[Figures], str]
    sized: Callable[[Figures, T], bool]
    usual: Choice[T] = lambda _, __: True


def listing(figures: Figures, wanted: Wanted) -> ListPage:
    """The page that is wanted, or the last one where there are fewer."""
    if not figures.snapshot.measured:
        return ListPage(wanted, read=False)
    found, unsure = chosen(figures, wanted)
    wanted = replace(wanted, page=min(wanted.page, pages(len(found))))
    first = (wanted.page - 1) * ROWS
    shown = in_order(figures, wanted, found)[first : first + ROWS]
    why = LISTS[wanted.list].why(figures)
    page = ListPage(wanted, len(found), unsure, label(why) if why else "", namespaces=_are_several(figures))
    return _with_rows(figures, page, shown)


def largest(figures: Figures, name: ListName, count: int) -> list[Any]:
    """The first objects of a list in its usual order."""
    wanted = by_default(name)
    return in_order(figures, wanted, chosen(figures, wanted)[0])[:count]


def chosen(figures: Figures, wanted: Wanted) -> tuple[list[Any], int]:
    """The objects of the choice, and of how many others it is not known whether they belong to it."""
    one_list = LISTS[wanted.list]
    test: Choice[Any] = one_list.choices.get(wanted.only, one_list.usual)
    if wanted.only == UNKNOWN:
        test = lambda figures, one: one_list.usual(figures, one) and not one_list.sized(figures, one)  # noqa: E731
    found, unsure = [], 0
    for one in one_list.objects(figures):
        fits = test(figures, one)
        unsure += fits is None
        if fits:
            found.append(one)
    return found, unsure


def without_size(figures: Figures) -> Iterator[tuple[ListName, int]]:
    """Of how many objects of each list the size is not known; without lists of which all are."""
    for name in ListName:
        if count := len(chosen(figures, replace(by_default(name), only=UNKNOWN))[0]):
            yield name, count


def in_order(figures: Figures, wanted: Wanted, found: Iterable[Any]) -> list[Any]:
    """Objects in order: those of one value by name, and last those of which the value is not known."""
    one_list = LISTS[wanted.list]
    value = one_list.orders[wanted.sort]
    named = sorted(found, key=one_list.name)
    valued = [(value(figures, one), one) for one in named]
    known = [pair for pair in valued if pair[0] is not None]
    known.sort(key=_value, reverse=wanted.descending)
    return [one for _, one in known] + [one for known_as, one in valued if known_as is None]


def _value(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _with_rows(figures: Figures, page: ListPage, shown: list[Any]) -> ListPage:
    name = page.wanted.list
    if name is ListName.IMAGES:
        return replace(page, images=tuple(map(short_image, objects.images(figures, shown))))
    if name is ListName.CONTAINERS:
        return replace(page, containers=tuple(map(short_container, objects.containers(figures, shown))))
    if name is ListName.VOLUMES:
        users = users_of_volumes(figures, shown)
        return replace(page, volumes=tuple(objects.volumes(figures, shown)), users=users)
    if name is ListName.LAYERS:
        users = users_of_layers(figures, shown)
        return replace(page, layers=tuple(objects.layers(figures, chosen=shown)), users=users)
    return replace(page, records=tuple(objects.build_records(figures, shown)))


def short_image(row: ImageRow) -> ImageRow:
    """An image's row with names that can be shown, and not too many of them."""
    return replace(row, references=tuple(map(shorten, row.references[:_REFERENCES])), digests=row.digests[:1])


def short_container(row: ContainerRow) -> ContainerRow:
    """A container's row without its mounts, with names that can be shown."""
    return replace(row, name=shorten(row.name), image=shorten(row.image), mounts=())


def _are_several(figures: Figures) -> bool:
    return len({namespace for _, namespace in figures.spaces}) > 1


def _image_name(image: Image) -> str:
    if image.references:
        return ":".join(image.references[0]).casefold()
    return (image.digests[0] if image.digests else image.id).casefold()


def _image_size(what: str) -> Callable[[Figures, Image], Value]:
    def value(figures: Figures, image: Image) -> Value:
        found: Value = getattr(figures.images[image.key], what)
        return found

    return value


def _has_state(state: ImageState) -> Choice[Image]:
    def test(figures: Figures, image: Image) -> bool | None:
        found = figures.images[image.key].state
        return None if found is None else found is state

    return test


def written(figures: Figures, container: Container) -> int | None:
    """The bytes of a container's writable layer and log together, as far as they are known; None for neither."""
    size, log = figures.containers[container.key].writable_size, figures.snapshot.logs.get(container.id)
    return None if size is None and log is None else (size or 0) + (log or 0)


def _container_is_sized(figures: Figures, container: Container) -> bool:
    """Whether all is known of what it has written."""
    log_known = container.id in figures.snapshot.logs or not keeps_log_here(container.log.driver)
    return log_known and figures.containers[container.key].writable_size is not None


def _runs(wanted: bool) -> Choice[Container]:
    return lambda _, one: None if one.runs is None else one.runs is wanted


def _log_is_unlimited(_: Figures, container: Container) -> bool | None:
    """Whether its log is kept here and nothing limits it."""
    if not keeps_log_here(container.log.driver):
        return False
    return None if container.log.bounded is None else not container.log.bounded


def _is_used(wanted: bool) -> Choice[Volume]:
    def test(figures: Figures, volume: Volume) -> bool | None:
        found = figures.volume_containers(volume.name)
        return None if found is None else (found > 0) is wanted

    return test


def _volume_size(what: str) -> Callable[[Figures, Volume], Value]:
    def value(figures: Figures, volume: Volume) -> Value:
        usage = figures.volumes[volume.name]
        return None if usage is None else float(getattr(usage, what))

    return value


def _layer_on_disk(figures: Figures, layer: Layer) -> Value:
    found = [figures.snapshot.whole(tree) for tree in layer.trees]
    if not found or None in found:
        return None
    return sum(one.usage.allocated for one in found if one is not None)


def _is_layer_of(use: Use) -> Choice[Layer]:
    return lambda _, layer: layer.use is use


def _is_shared(wanted: bool) -> Choice[BuildRecord]:
    def test(figures: Figures, record: BuildRecord) -> bool | None:
        return record.shared is wanted if figures.is_known(Figure.BUILD_SHARES) else None

    return test


def _not_whole(source: Input) -> Callable[[Figures], str]:
    return lambda figures: figures.snapshot.inventory.knowledge.why((source,))


_IMAGES: PagedList[Image] = PagedList(
    lambda figures: figures.snapshot.inventory.images,
    {
        "virtual": _image_size("virtual"),
        "unique": _image_size("unique"),
        "share": _image_size("proportional"),
        "name": lambda _, one: _image_name(one),
        "created": lambda _, one: one.created,
        "state": _image_size("state"),
        "containers": _image_size("containers"),
    },
    {str(state): _has_state(state) for state in ImageState},
    lambda one: one.id,
    lambda figures: figures.why_not(Figure.IMAGE_LISTED),
    lambda figures, one: figures.images[one.key].virtual is not None,
    usual=lambda _, one: one.listed,
)
_CONTAINERS: PagedList[Container] = PagedList(
    lambda figures: figures.snapshot.inventory.containers,
    {
        "total": written,
        "writable": lambda figures, one: figures.containers[one.key].writable_size,
        "log": lambda figures, one: figures.snapshot.logs.get(one.id),
        "name": lambda _, one: (one.name or one.id).casefold(),
        "image": lambda _, one: (one.image or one.image_id or "").casefold(),
        "state": lambda _, one: one.state,
        "created": lambda _, one: one.created,
    },
    {
        "running": _runs(True),
        "stopped": _runs(False),
        "stale": lambda _, one: None if one.runs is None else one.state is ContainerState.STALE,
        "unlimited-log": _log_is_unlimited,
    },
    lambda one: one.id,
    _not_whole(Input.CONTAINERS),
    _container_is_sized,
)
_VOLUMES: PagedList[Volume] = PagedList(
    lambda figures: figures.snapshot.inventory.volumes,
    {
        "size": _volume_size("size"),
        "on-disk": _volume_size("allocated"),
        "name": lambda _, one: one.name.casefold(),
        "containers": lambda figures, one: figures.volume_containers(one.name),
        "project": lambda _, one: one.compose_project.casefold() or None,
        "driver": lambda _, one: one.driver,
        "created": lambda _, one: one.created,
    },
    {
        "used": _is_used(True),
        "unused": _is_used(False),
        "anonymous": lambda _, one: one.anonymous,
    },
    lambda one: one.name,
    _not_whole(Input.VOLUMES),
    lambda figures, one: figures.volumes[one.name] is not None,
)
_LAYERS: PagedList[Layer] = PagedList(
    lambda figures: figures.snapshot.inventory.layers,
    {
        "on-disk": _layer_on_disk,
        "size": lambda figures, one: figures.layer_sizes.get(one.key),
        "id": lambda _, one: one.name or one.id,
        "use": lambda _, one: one.use,
        "driver": lambda _, one: one.driver,
    },
    {str(use): _is_layer_of(use) for use in Use},
    lambda one: one.id,
    _not_whole(Input.LAYER_STORES),
    lambda figures, one: _layer_on_disk(figures, one) is not None,
)
_RECORDS: PagedList[BuildRecord] = PagedList(
    lambda figures: figures.snapshot.inventory.build_cache.records,
    {
        "size": lambda figures, one: figures.build_cache.records.get(one.id),
        "last-used": lambda _, one: one.last_used,
        "created": lambda _, one: one.created,
        "uses": lambda _, one: one.usage_count,
        "id": lambda _, one: one.id,
        "type": lambda _, one: one.kind,
    },
    {"private": _is_shared(False), "shared": _is_shared(True)},
    lambda one: one.id,
    lambda figures: figures.why_not(Figure.BUILD_CACHE),
    lambda figures, one: one.id in figures.build_cache.records,
)
#: The lists by their names. Each has the orders and the choices that `core.wanted` names.
LISTS: Mapping[ListName, PagedList[Any]] = {
    ListName.IMAGES: _IMAGES,
    ListName.CONTAINERS: _CONTAINERS,
    ListName.VOLUMES: _VOLUMES,
    ListName.LAYERS: _LAYERS,
    ListName.BUILD_CACHE: _RECORDS,
}
