"""Which part of a list of objects a page shows: the list, its order, a choice among its objects, and the page."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class ListName(StrEnum):
    """The lists that have pages of their own, by the last part of their path."""

    IMAGES = "images"
    CONTAINERS = "containers"
    VOLUMES = "volumes"
    LAYERS = "layers"
    BUILD_CACHE = "build-cache"


#: By what each list can be sorted. The first is what it is sorted by unless another one is asked for.
ORDERS: Mapping[ListName, tuple[str, ...]] = {
    ListName.IMAGES: ("virtual", "unique", "share", "name", "created", "state", "containers"),
    ListName.CONTAINERS: ("total", "writable", "log", "name", "image", "state", "created"),
    ListName.VOLUMES: ("size", "on-disk", "name", "containers", "project", "driver", "created"),
    ListName.LAYERS: ("on-disk", "size", "id", "use", "driver"),
    ListName.BUILD_CACHE: ("size", "last-used", "created", "uses", "id", "type"),
}
#: What is sorted from A to Z; all else begins with the largest, or the newest.
TEXTS = frozenset({"name", "state", "image", "project", "driver", "id", "use", "type"})
#: The choice of the objects whose size is not known.
UNKNOWN = "unknown"
#: The choices among the objects of each list.
CHOICES: Mapping[ListName, tuple[str, ...]] = {
    ListName.IMAGES: ("used", "unused", "dangling", "intermediate", UNKNOWN),
    ListName.CONTAINERS: ("running", "stopped", "stale", "unlimited-log", UNKNOWN),
    ListName.VOLUMES: ("used", "unused", "anonymous", UNKNOWN),
    ListName.LAYERS: ("image", "container", "build_cache", "pending", "orphaned", UNKNOWN),
    ListName.BUILD_CACHE: ("private", "shared", UNKNOWN),
}


class Wanted(Struct, frozen=True):
    """One page of a list, the first of which is 1. `only` is one of the choices of the list, or "" for all objects."""

    list: ListName
    sort: str
    descending: bool = True
    only: str = ""
    page: int = 1


def by_default(name: ListName) -> Wanted:
    """The first page of a list in its usual order."""
    return Wanted(name, ORDERS[name][0])
