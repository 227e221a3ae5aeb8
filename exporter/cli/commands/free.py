"""`free`: a plan that frees so much space on one filesystem, step by step. Nothing is removed."""

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import click
from msgspec import Struct

from exporter.cli.commands.backup_plan import called, registry_evidence
from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.tables import Answer, AtLeast, Cell, Lines, Table, size, total
from exporter.core.shell import arguments
from exporter.core.units import age, human
from exporter.expose.snapshot_api.rows import ContainerRow, Document, FilesystemRow, ImageRow, PlanRow
from exporter.figures.image_names import names_to_remove
from exporter.figures.prunes import Category

#: The kinds of steps in which all that a prune takes goes, with the prune and what it costs.
_WHOLE = {
    "build_cache": (Category.BUILD_CACHE, "slower builds"),
    "build_history": (Category.BUILD_HISTORY, "logs of builds"),
    "images_dangling": (Category.IMAGES_DANGLING, "without a name"),
    "layers_orphaned": (Category.LAYERS_ORPHANED, "unknown to engines"),
}
#: What the words for a loss mean, where they do not say it by themselves.
_MEANINGS = {
    "slower builds": "until the cache is filled again",
    "can be pulled": "if the registry still has it",
    "maybe only here": "it was in no registry that is known",
    "only here": "nothing names it, so nothing can pull it",
    "its lines": "set max-size, or the log grows again",
}
_REMOVE = {"container": "docker rm", "image": "docker rmi", "log": "truncate -s 0"}
#: Shorter logs than this are not worth a command.
_SMALLEST_LOG = 1_000_000
_CONTAINERS = "containers"
#: The kind of the leftovers that the engine does not know.
_LAST = "layers_orphaned"


class _Step(Struct, frozen=True):
    """One step: the bytes that it frees on the filesystem, and how.

    `words`: the arguments of the command of its kind. `commands`: those of a kind that has its own.
    """

    kind: str
    freed: int | None
    what: str
    when: str = ""
    cost: str = ""
    words: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


def free(document: Document, wanted: int | None, until: float | None, mountpoint: str = "") -> Answer:
    """Plan to free `wanted` bytes, or until only a share of the filesystem is used.

    As long as the first scan goes on there is no plan: what is not measured frees nothing in it, so all would go.
    """
    if document.error or document.taken is None:
        return Answer({}, [], failed=True)
    if document.plan is None:
        raise click.ClickException("this exporter is older than the command, and says nothing of steps")
    place = _filesystem(document, mountpoint)
    target = wanted if wanted is not None else _until(place, until or 0.0)
    steps = [*_steps(Index(document), place)]
    taken, freed = _enough(steps, target)
    data = {
        "filesystem": place.mountpoint,
        "target": target,
        "freed": freed,
        "enough": freed >= target,
        "steps": [
            {"kind": one.kind, "freed": one.freed, "what": one.what, "cost": one.cost, "commands": [*_commands([one])]}
            for one in taken
        ],
    }
    parts: list[Table | Lines] = [_table(taken, place, target)]
    if taken:
        parts.append(Lines("Commands, in this order", [*_commands(taken)], commands=True))
    parts.append(Lines("", [*_conclusion(document, place, target, freed, taken)]))
    return Answer(data, parts, failed=freed < target)


def _filesystem(document: Document, mountpoint: str) -> FilesystemRow:
    """The filesystem with this mount point, or that of the data root."""
    found = [one for one in document.filesystems if (one.mountpoint == mountpoint if mountpoint else not one.directory)]
    if not found and not mountpoint:
        raise click.ClickException(f"the filesystem of {document.root} is not known")
    if not found:
        known = ", ".join(sorted(one.mountpoint for one in document.filesystems)) or "none"
        raise click.ClickException(f"no part of the root is on a filesystem mounted on {mountpoint}, but on: {known}")
    return found[0]


def _until(place: FilesystemRow, share: float) -> int:
    """How many bytes to free until a share of a filesystem is used, as `df` reckons it: what only root has is none."""
    if place.size is None or place.free is None or place.available is None:
        raise click.ClickException(f"how full {place.mountpoint} is is not known")
    used = place.size - place.free
    return max(0, used - int(share * (used + place.available)))


def _enough(steps: Sequence[_Step], target: int) -> tuple[list[_Step], int]:
    """The first steps that free so much together, and how much they free.

    After a step of which that is not known, nobody can say how much is still to be freed: there they end.
    """
    taken: list[_Step] = []
    freed = 0
    for step in steps:
        if freed >= target:
            break
        taken.append(step)
        if step.freed is None:
            break
        freed += step.freed
    while taken and freed < target and taken[-1].freed == 0:  # nothing after it gains from it
        taken.pop()
    return taken, freed


def _steps(index: Index, place: FilesystemRow) -> Iterator[_Step]:
    """All steps in their order: what is easiest to lose is first."""
    document = index.document
    rows = document.plan or ()
    made = _Maker(index, place)
    removed = {row.id for row in rows if row.kind == "container"}
    yield from _useful(step for row in rows if row.kind != _LAST and (step := made.step(row)))
    yield from _logs(document, removed, place)
    for one in document.temporary:
        if one.allocated and _is_on(document, place, one.path.partition("/")[0]):
            written = f"{age(time.time() - one.newest)} ago"
            yield _Step(
                "temporary", one.allocated, f"old files in {one.path}", written, "leftovers", (), (f"# {one.how}",)
            )
    yield from (step for row in rows if row.kind == _LAST and (step := made.step(row)))


def _useful(steps: Iterable[_Step]) -> list[_Step]:
    """The steps without those at the end that free nothing: what comes after these is not shared with them."""
    found = list(steps)
    while found and found[-1].freed == 0:
        found.pop()
    return found


class _Maker:
    """Makes the steps of the objects of one document."""

    def __init__(self, index: Index, place: FilesystemRow) -> None:
        self._index = index
        self._place = place
        document = index.document
        self._prunes = {one.category: one for one in document.reclaimable}
        self._containers = {(one.namespace, one.id): one for one in document.containers}
        self._images = {(one.driver, one.namespace, one.id): one for one in document.images}

    def step(self, row: PlanRow) -> _Step | None:
        """The step of a row; None where nothing goes, or it is of something that is not in the document."""
        freed = _freed(row, self._place)
        if row.kind == "container":
            container = self._containers.get((row.namespace, row.id))
            return None if container is None else _of_container(container, freed)
        if row.kind == "image":
            image = self._images.get((row.driver, row.namespace, row.id))
            return None if image is None else _of_image(self._index, image, freed)
        category, cost = _WHOLE.get(row.kind, ("", ""))
        prune = self._prunes.get(category)
        if prune is None or not prune.objects:
            return None
        return _Step(row.kind, freed, prune.what, "", cost, (), prune.commands[:1] or (f"# {prune.how}",))


def _freed(row: PlanRow, place: FilesystemRow) -> int | None:
    if row.elsewhere is not None:
        return row.elsewhere.get(place.mountpoint, 0)
    return row.allocated if not place.directory else 0


def _of_container(one: ContainerRow, freed: int | None) -> _Step:
    when = f"{age(time.time() - one.finished)} ago" if one.finished else one.state
    cost = f"{size(one.writable)} written"
    return _Step("container", freed, f"container {container_name(one)}", when, cost, (called(one),))


def _of_image(index: Index, one: ImageRow, freed: int | None) -> _Step:
    when = f"{age(time.time() - one.created)} ago" if one.created else ""
    evidence = registry_evidence(index, one)
    cost = {
        "digest": "can be pulled",
        "tag": "maybe only here",
        "none": "only here",
        "unknown": "?",
    }[evidence]
    names = names_to_remove(one.references, one.digests, one.id)
    return _Step("image", freed, f"image {index.image_name(one)}", when, cost, names)


def _logs(document: Document, removed: set[str], place: FilesystemRow) -> Iterator[_Step]:
    """The logs that nothing bounds, the largest first. The engine writes those to one file."""
    if not _is_on(document, place, _CONTAINERS):
        return
    rows = [
        one
        for one in document.containers
        if one.log_driver == "json-file" and one.log_bounded is False and not one.log_deleted and one.id not in removed
    ]
    # Those of which it is not known what is freed come last: a plan ends there.
    for one in sorted(rows, key=lambda one: (one.log_files != 1, -(one.log or 0), one.id)):
        if one.log is not None and one.log >= _SMALLEST_LOG:
            freed = one.log if one.log_files == 1 else None  # those that logrotate has put aside stay
            path = f"{document.root.rstrip('/')}/{_CONTAINERS}/{one.id}/{one.id}-json.log"
            yield _Step("log", freed, f"log of {container_name(one)}", one.state, "its lines", (path,))


def _is_on(document: Document, place: FilesystemRow, directory: str) -> bool:
    """Whether a top-level directory of the data root is on this filesystem."""
    mounted = [one for one in document.filesystems if one.directory == directory]
    return place in mounted if mounted else not place.directory


def _table(steps: Sequence[_Step], place: FilesystemRow, target: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    total, whole = 0, True
    for step in steps:
        total, whole = total + (step.freed or 0), whole and step.freed is not None
        rows.append((step.freed, total if whole else AtLeast(total), step.what, step.when, step.cost))
    title = f"To free {human(target)} on {place.mountpoint}, each step after those above it"
    return Table(title, (">FREES", ">IN ALL", "WHAT", "WHEN", "LOST"), rows)


def _commands(steps: Sequence[_Step]) -> Iterator[str]:
    """The commands of these steps; what follows each other and is of one kind has one."""
    for kind, some in groupby(steps, key=lambda step: step.kind):
        group = list(some)
        if kind in _REMOVE:
            yield f"{_REMOVE[kind]} {arguments(*(word for step in group for word in step.words))}"
        else:
            yield from (command for step in group for command in step.commands)


def _conclusion(
    document: Document, place: FilesystemRow, target: int, freed: int, taken: Sequence[_Step]
) -> Iterator[str]:
    if target == 0:
        yield f"Nothing is to be freed on {place.mountpoint}."
    elif freed >= target:
        yield f"This frees {human(freed)} of the {human(target)} that are wanted. Nothing was removed by this command."
    else:
        yield f"That is not enough: {human(target - freed)} of {human(target)} are missing. Nothing was removed."
    if taken and document.origins and document.root not in document.origins:
        yield (
            f"The engine of this root calls it {' or '.join(document.origins)}. The commands are for that engine: "
            "another one may have something else of the same name."
        )
    for cost in dict.fromkeys(step.cost for step in taken):
        if cost in _MEANINGS:
            yield f"{cost}: {_MEANINGS[cost]}."
    if any(step.freed is None for step in taken):
        yield "What ? frees is not known, so the plan ends there. Do that, and ask again."
    yield from _left_out(document, enough=freed >= target)


def _left_out(document: Document, *, enough: bool) -> Iterator[str]:
    """What takes space and is in no plan."""
    lost = [one for one in document.images if one.listed and not one.loaded]
    if lost and not enough:
        bytes_ = size(total(one.unique for one in lost))
        what = "1 image" if len(lost) == 1 else f"{len(lost)} images"
        yield f"Not in this plan: {what} that the engine does not load, {bytes_}: docker-storage-exporter images."
    for row in document.reclaimable:
        if row.why:
            yield f"Not in this plan: {row.what or row.category}, {row.why}."
        elif row.category == Category.VOLUMES_UNUSED and row.objects and not enough:
            yield (
                f"Not in this plan: {row.objects} {row.what}, {size(row.bytes)}. What is in them may be nowhere else: "
                "docker volume ls --filter dangling=true lists them."
            )
