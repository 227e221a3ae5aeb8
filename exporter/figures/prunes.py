"""The categories of reclaimable space: their order, their names, and the commands that free them.

Everything that names a prune takes it from here: metrics, the terminal, pages, documents, dashboards.
The commands are those of the engine that wrote the root: Docker before 1.13 has no prunes, and from 23.0 on
`docker volume prune` takes anonymous volumes only (volume/service/service.go, withPrune). With all versions
`docker builder prune` without `--all` keeps what is not dangling.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from exporter.core.engine_version import ANONYMOUS_ONLY, BUILDER, HISTORY, PRUNES, VOLUMES, EngineVersion
from exporter.core.shell import arguments, split_arguments


class Category(StrEnum):
    """What can be freed, in the order in which it is counted: that of `docker system prune`, then what that leaves."""

    CONTAINERS_STOPPED = "containers_stopped"
    IMAGES_DANGLING = "images_dangling"
    IMAGES_UNUSED = "images_unused"
    VOLUMES_UNUSED = "volumes_unused"
    BUILD_CACHE = "build_cache"
    BUILD_HISTORY = "build_history"
    LAYERS_ORPHANED = "layers_orphaned"


class Command(Struct, frozen=True):
    """How a category is freed: `text` says it in a few words, `commands` are what to run, one form for each engine."""

    text: str
    commands: tuple[str, ...] = ()


#: What each category is called.
NAMES: Mapping[Category, str] = {
    Category.CONTAINERS_STOPPED: "stopped containers",
    Category.IMAGES_DANGLING: "dangling images",
    Category.IMAGES_UNUSED: "images without a container",
    Category.VOLUMES_UNUSED: "volumes without a container",
    Category.BUILD_CACHE: "build cache",
    Category.BUILD_HISTORY: "build history",
    Category.LAYERS_ORPHANED: "layers that nothing refers to",
}
#: The prune of each category, in the form that takes all of it.
PRUNE: Mapping[Category, str] = {
    Category.CONTAINERS_STOPPED: "docker container prune",
    Category.IMAGES_DANGLING: "docker image prune",
    Category.IMAGES_UNUSED: "docker image prune --all",
    Category.VOLUMES_UNUSED: "docker volume prune --all",
    Category.BUILD_CACHE: "docker builder prune --all",
    Category.BUILD_HISTORY: "docker buildx history rm --all",
}
#: The same for volumes with Docker before 23.0, which takes all without `--all` and does not know that flag.
OLD_VOLUME_PRUNE = "docker volume prune"
_BY_NAME: Mapping[Category, str] = {
    Category.CONTAINERS_STOPPED: "docker rm",
    Category.IMAGES_DANGLING: "docker rmi",
    Category.IMAGES_UNUSED: "docker rmi",
    Category.VOLUMES_UNUSED: "docker volume rm",
}
_SINCE = {Category.BUILD_CACHE: BUILDER, Category.BUILD_HISTORY: HISTORY}
#: No command of Docker's: the engine does not know these layers.
_ORPHANED = "docker-storage-exporter layers --orphaned"
_LONGEST_TEXT = 80
_NEWER_VOLUMES = " (Docker 1.9 and newer)"
#: One for each form of the commands.
_ENGINES = (
    EngineVersion(),
    EngineVersion(before=VOLUMES),
    EngineVersion(VOLUMES, PRUNES),
    EngineVersion(PRUNES, BUILDER),
    EngineVersion(BUILDER, ANONYMOUS_ONLY),
    EngineVersion(ANONYMOUS_ONLY),
    EngineVersion(before=PRUNES),
)


def command(category: Category, engine: EngineVersion, names: Sequence[str]) -> Command:
    """How this engine frees a category. `names` are the objects of it, for an engine that removes them by name."""
    if category is Category.LAYERS_ORPHANED:
        return Command(_ORPHANED)
    if category in _SINCE and engine.has(_SINCE[category]) is False:
        return Command("")
    if category in _BY_NAME and engine.has(PRUNES) is False:
        return _by_name(category, engine, names)
    prune = PRUNE[category]
    if category is not Category.VOLUMES_UNUSED:
        return Command(prune, (prune,))
    known = engine.has(ANONYMOUS_ONLY)
    if known is None:
        text = f"{prune} (Docker 23 and newer), {OLD_VOLUME_PRUNE} (older)"
        return Command(text, (prune, OLD_VOLUME_PRUNE))
    prune = prune if known else OLD_VOLUME_PRUNE
    return Command(prune, (prune,))


def _by_name(category: Category, engine: EngineVersion, names: Sequence[str]) -> Command:
    if not names:
        return Command("")
    remove, note = _BY_NAME[category], ""
    if category is Category.VOLUMES_UNUSED:
        known = engine.has(VOLUMES)
        if known is False:
            return Command("Docker before 1.9 has no command for volumes")
        note = "" if known else _NEWER_VOLUMES
    return _removal(f"{remove} {arguments(*names)}", remove, len(names), note)


def _removal(whole: str, remove: str, count: int, note: str) -> Command:
    text = whole if len(whole) <= _LONGEST_TEXT else f"{remove} with {count} names: see df"
    return Command(text + note, (whole,))


def is_command(category: str, given: Command) -> bool:
    """Whether `command` may have returned this for a category, for any engine and any names.

    A document of another exporter says what frees a category. Nothing else of it is shown as a command.
    """
    if category not in list(Category):
        return False
    known = Category(category)
    without_names = [command(known, engine, ()) for engine in _ENGINES]
    without_names += [one for engine in _ENGINES if not (one := command(known, engine, ("x",))).commands]
    if given in without_names:
        return True
    remove = _BY_NAME.get(known, "")
    if not remove or len(given.commands) != 1 or not given.commands[0].startswith(f"{remove} "):
        return False
    (whole,) = given.commands
    words = split_arguments(whole.removeprefix(f"{remove} "))
    notes = ("", _NEWER_VOLUMES) if known is Category.VOLUMES_UNUSED else ("",)
    return words is not None and any(given == _removal(whole, remove, len(words), note) for note in notes)
