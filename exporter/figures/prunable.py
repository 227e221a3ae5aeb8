"""Why a prune must not be advised: containers that the engine does not load, or of which that cannot be told.

An engine removes what no container that it has loaded uses. Of containers that have one name it loads the first that it
comes to (Docker 20.10 daemon/daemon.go, restore; daemon/names.go, registerName).
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from exporter.core.model import Container, Inventory
from exporter.core.text import SHORT, label
from exporter.figures.prunes import PRUNE, Category
from exporter.figures.sweep import is_loaded

#: The engine removes what no container that it knows uses.
_USED_BY_CONTAINERS = (Category.IMAGES_DANGLING, Category.IMAGES_UNUSED, Category.VOLUMES_UNUSED)


def reasons_against(inventory: Inventory) -> Mapping[Category, str]:
    """Why nothing is known of what the prunes of these categories take; a clause for people."""
    if without := _without_docker(inventory):
        return dict.fromkeys((one for one in Category if one is not Category.LAYERS_ORPHANED), without)
    history = _history(inventory)
    if unsure := _same_name(inventory.containers) or _several_drivers(inventory.containers):
        return {**history, **dict.fromkeys((Category.CONTAINERS_STOPPED, *_USED_BY_CONTAINERS), unsure)}
    lost = _not_loaded(inventory.containers)
    return {**history, **dict.fromkeys(_USED_BY_CONTAINERS, lost)} if lost else history


def _history(inventory: Inventory) -> dict[Category, str]:
    if not inventory.build_cache.history or is_loaded(inventory):
        return {}
    why = (
        "with a graph driver, what of buildkit/content is the history of builds is not read. "
        f"`{PRUNE[Category.BUILD_HISTORY]}` frees it"
    )
    return {Category.BUILD_HISTORY: why}


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
    lost = [one for one in containers if one.unloaded and not (one.going or one.foreign)]
    if not lost:
        return ""
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    return (
        f"the engine does not load the container {_name(lost[0])}: {lost[0].unloaded}{more}. It does not know what "
        "this container uses, and a prune would remove that. Restore or remove the container first"
    )


def _same_name(containers: Iterable[Container]) -> str:
    names = [one.name for one in containers if one.name and not (one.unloaded or one.foreign)]
    if len(set(names)) == len(names):
        return ""
    (name, count), *_ = Counter(names).most_common(1)
    return f"{count} containers have the name {label(name)}: an engine loads only one of them"


def _several_drivers(containers: Iterable[Container]) -> str:
    """Where it is not known which driver the engine works with: it loads the containers of one only."""
    found = sorted({one.driver for one in containers if one.driver and not (one.unloaded or one.foreign)})
    return f"an engine loads the containers of one of the drivers {' and '.join(found)} only" if len(found) > 1 else ""


def _name(container: Container) -> str:
    short = container.id[:SHORT]
    return f"{label(container.name)} ({short})" if container.name else short
