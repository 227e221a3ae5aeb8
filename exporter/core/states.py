"""The basic types of the model: ids, states, uses, collectors and triggers."""

from enum import StrEnum
from typing import NamedTuple, NewType

LayerId = NewType("LayerId", str)
ImageId = NewType("ImageId", str)
ContainerId = NewType("ContainerId", str)


class LayerKey(NamedTuple):
    """The key of a layer within a root. The id alone is not unique: two drivers may have layers with the same id."""

    driver: str
    id: LayerId


class ImageKey(NamedTuple):
    """The key of an image within a root. Two drivers may have one image, and so may two namespaces of containerd.

    In a namespace an image is there once, in whatever snapshotters it is: there `driver` is "".
    """

    driver: str
    namespace: str
    id: ImageId


class ContainerKey(NamedTuple):
    """The key of a container within a root. Each namespace of containerd gives ids of its own."""

    namespace: str
    id: ContainerId


class Collector(StrEnum):
    """The parts of a scan that succeed or fail, and are timed, on their own."""

    IMAGES = "images"
    CONTAINERS = "containers"
    VOLUMES = "volumes"
    DIRECTORIES = "directories"
    BUILD_CACHE = "build_cache"


class Trigger(StrEnum):
    """The reason why a scan ran."""

    STARTUP = "startup"
    EVENT = "event"
    AUDIT = "audit"
    RECONCILE = "reconcile"
    OVERFLOW = "overflow"
    MANUAL = "manual"


class Use(StrEnum):
    """The use of a layer that is on disk; shared inodes count for the first of these that has them."""

    IMAGE = "image"
    CONTAINER = "container"
    BUILD_CACHE = "build_cache"
    PENDING = "pending"
    ORPHANED = "orphaned"


class ImageState(StrEnum):
    """The state of an image, as `docker images` and a prune see it."""

    USED = "used"
    UNUSED = "unused"
    DANGLING = "dangling"
    INTERMEDIATE = "intermediate"


class ContainerState(StrEnum):
    """The state that the daemon last wrote (Docker 1.9 daemon/state.go, StateString; `removing` since 1.13).

    `stale` is a container that is written down as running and does not run; `unknown` one of which that, or
    anything, cannot be told.
    """

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"
    STALE = "stale"
    UNKNOWN = "unknown"


class ViewKind(StrEnum):
    """What is made of a snapshot only when somebody asks for it.

    What the pages `/` and `/status` show, one page of a list, what has grown, and the document.
    """

    PAGES = "pages"
    LISTING = "listing"
    GROWTH = "growth"
    DOCUMENT = "document"


class RemarkKind(StrEnum):
    """What is there in the place of a part of a root.

    `leftover`: an engine of 1.10 or newer has moved the images of an older one, and reads this no more. `link`: a
    symbolic link, which is not followed. `unwalked`: a mount of a network filesystem, which is not measured.
    `containerd`: a directory that is not read as the root of the containerd that has the images.
    """

    LEFTOVER = "leftover"
    LINK = "link"
    UNWALKED = "unwalked"
    CONTAINERD = "containerd"
