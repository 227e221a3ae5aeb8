"""One page of a list of objects, as the scanning process sends it: `lists` makes it."""

from msgspec import Struct

from exporter.core.wanted import Wanted
from exporter.expose.snapshot_api.rows import BuildRecordRow, ContainerRow, ImageRow, LayerRow, VolumeRow

#: How many objects a page has at most.
ROWS = 50

#: What a layer is said to be of where no object is known to have it, by its use.
NOBODY = {
    "container": "a container that is not known",
    "image": "an image without a name",
    "build_cache": "the build cache",
    "pending": "not known: it may be coming or going",
    "orphaned": "nothing",
}


class Users(Struct, frozen=True):
    """Who uses an object: the first few names, and how many there are; None where that is not known."""

    names: tuple[str, ...] = ()
    count: int | None = None


class ListPage(Struct, frozen=True):
    """One page of a list. The rows are those of one kind; `users` has one for each row of volumes and layers.

    `wanted` is the page that this is: the last one, where one behind that was asked for. `count` is how many objects
    the choice has, `unsure` of how many others it is not known whether it has them. `why`: there may be objects that
    are not in the list, and why; "" where it has all. `namespaces`: the objects are in several of containerd. Not
    `read`: nothing of the root is known yet, or it cannot be read.
    """

    wanted: Wanted
    count: int = 0
    unsure: int = 0
    why: str = ""
    read: bool = True
    namespaces: bool = False
    images: tuple[ImageRow, ...] = ()
    containers: tuple[ContainerRow, ...] = ()
    volumes: tuple[VolumeRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    records: tuple[BuildRecordRow, ...] = ()
    users: tuple[Users, ...] = ()

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return pages(self.count)


def pages(count: int) -> int:
    """How many pages so many objects have: at least one."""
    return max(1, -(-count // ROWS))
