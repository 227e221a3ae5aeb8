"""Why a prune must not be advised: containers that the engine does not load, or of which that cannot be told.

An engine removes what no container that it has loaded uses. Of containers that have one name it loads the first that it
comes to (Docker 20.10 daemon/daemon.go, restore; daemon/names.go, registerName).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from operator import attrgetter

from exporter.core.counting import count
from exporter.core.engine_version import ANONYMOUS_ONLY
from exporter.core.model import Container, Inventory
from exporter.core.splices import Change
from exporter.core.text import SHORT, label
from exporter.figures.prunes import PRUNE, Category
from exporter.figures.sweep import is_loaded

_NAME, _DRIVER = attrgetter("name"), attrgetter("driver")
#: The engine removes what no container that it knows uses.
_USED_BY_CONTAINERS = (Category.IMAGES_DANGLING, Category.IMAGES_UNUSED, Category.VOLUMES_UNUSED)


class Loading:
    """How many containers have each name and each driver, and how many the engine does not load, while they change.

    The names and drivers are those of containers that it loads.
    """

    def __init__(self) -> None:
        self.names = Counter[str]()
        self.drivers = Counter[str]()
        self.lost = 0

    def advance(self, changed: Change[Container]) -> None:
        """Go on to other containers."""
        for some, sign in ((changed.removed, -1), (changed.added, 1)):
            loaded = [one for one in some if not (one.unloaded or one.foreign)]
            count(self.names, filter(None, map(_NAME, loaded)), sign)
            count(self.drivers, filter(None, map(_DRIVER, loaded)), sign)
            self.lost += sign * sum(map(_is_lost, some))


def reasons_against(inventory: Inventory, loading: Loading) -> Mapping[Category, str]:
    """Why nothing is known of what the prunes of these categories take; a clause for people."""
    if without := _without_docker(inventory):
        return dict.fromkeys((one for one in Category if one is not Category.LAYERS_ORPHANED), without)
    of_builds = {**_history(inventory), **_builds(inventory)}
    if unsure := _same_name(inventory.containers, loading) or _several_drivers(loading):
        return {**of_builds, **dict.fromkeys((Category.CONTAINERS_STOPPED, *_USED_BY_CONTAINERS), unsure)}
    lost = _not_loaded(inventory.containers) if loading.lost else ""
    return {**of_builds, **dict.fromkeys(_USED_BY_CONTAINERS, lost)} if lost else of_builds


def _history(inventory: Inventory) -> dict[Category, str]:
    if is_loaded(inventory):
        listed = inventory.content is None or inventory.content.entries is not None
        return {} if listed else {Category.BUILD_HISTORY: "the database of its builds is missing or cannot be read"}
    if not inventory.build_cache.history:
        return {}
    why = (
        "with a graph driver, what of buildkit/content is the history of builds is not read. "
        f"`{PRUNE[Category.BUILD_HISTORY]}` frees it"
    )
    return {Category.BUILD_HISTORY: why}


def _builds(inventory: Inventory) -> dict[Category, str]:
    """Engines from 23.0 on drop such a record when they start (buildkit v0.10 cache/manager.go, getRecord)."""
    stuck = inventory.build_cache.stuck
    if not stuck or inventory.engine.has(ANONYMOUS_ONLY):
        return {}
    why = (
        f"the snapshot of the build record {label(stuck)} is gone. Engines before 23.0 prune nothing more when they "
        "come to it, and `docker system df` fails"
    )
    return {Category.BUILD_CACHE: why}


def _without_docker(inventory: Inventory) -> str:
    content = inventory.content
    if content is None or content.engine or inventory.layouts != ("containerd",):
        return ""
    return (
        "no data root of Docker belongs to this containerd. The kubelet and `crictl rmi --prune` remove images of "
        "k8s.io, nerdctl removes those of its namespaces"
    )


def _not_loaded(containers: Iterable[Container]) -> str:
    """What a container used that is being removed is free to be removed, too."""
    lost = [one for one in containers if _is_lost(one)]
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return (
        f"the engine does not load the container {_name(lost[0])}: {lost[0].unloaded}{more}. It does not know what "
        "this container uses, and a prune would remove that. Restore or remove the container first"
    )


def _is_lost(container: Container) -> bool:
    return bool(container.unloaded) and not (container.going or container.foreign)


def _same_name(containers: Iterable[Container], loading: Loading) -> str:
    if len(loading.names) == loading.names.total():
        return ""
    name = max(filter(None, (one.name for one in containers)), key=lambda name: loading.names[name])
    return f"{loading.names[name]} containers have the name {label(name)}: an engine loads only one of them"


def _several_drivers(loading: Loading) -> str:
    """Where it is not known which driver the engine works with: it loads the containers of one only."""
    found = sorted(loading.drivers)
    return f"an engine loads the containers of one of the drivers {' and '.join(found)} only" if len(found) > 1 else ""


def _name(container: Container) -> str:
    short = container.id[:SHORT]
    return f"{label(container.name)} ({short})" if container.name else short
