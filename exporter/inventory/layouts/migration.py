"""What Docker 1.10 to 18.09 left behind when it moved a graph to `image/<driver>`.

Facts: Docker 1.10 and 17.05 migrate/v1/migratev1.go; 20.10 has no such step. At each start the engine moves the images
of `graph` that `.migration-v1-images.json` does not name yet, then the containers without `config.v2.json`. It moves
the names of `repositories-<driver>` once, and then makes `.migration-v1-tags`. Before an image it writes
`graph/<id>/.migration-diffid`. It removes nothing: what was moved is never read again.
"""

from collections.abc import Collection, Mapping
from functools import partial

from msgspec import Struct, field

from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason, Tree
from exporter.core.model import ImageId, LayerId
from exporter.inventory.files.reader import Reader, is_id

GRAPH: Tree = ("graph",)
IMAGES: Tree = (".migration-v1-images.json",)
TAGS: Tree = (".migration-v1-tags",)
DIFF_ID = ".migration-diffid"


class Migration(Struct, frozen=True):
    """How far the move has come.

    `images`: by the old id of each image that was moved its new one, as hex digits; None where that list cannot be
    read. `names`: the names were moved. `began`: there is a list, or the names were moved.
    """

    images: Mapping[ImageId, ImageId] | None = field(default_factory=dict)
    names: bool = False
    began: bool = False


class Moved:
    """Tells which entries of a graph an engine has moved.

    `taken` are the layers that the newer layout has.
    """

    def __init__(self, reader: Reader, migration: Migration, taken: Collection[LayerId], *, newer: bool) -> None:
        """`newer`: the root has the newer layout, for any driver."""
        self.migration = migration
        self._reader = reader
        self._taken = taken
        self._newer = newer

    def has(self, image: str, *, homeless: bool) -> bool:
        """Whether an image of the graph was moved. An engine of 1.10 or newer does not look at it again.

        `homeless`: no driver has its layer. Such an image could not be moved, and no engine lists it.
        """
        images = self.migration.images
        if image in (images or ()) or LayerId(image) in self._taken:
            return True
        if homeless and self.migration.began:
            return True
        return (images is None or (homeless and self._newer)) and self._marked(image)

    @property
    def began(self) -> bool:
        """Whether an engine has moved anything."""
        return self.migration.began or bool(self._taken)

    def _marked(self, image: str) -> bool:
        entry = (*GRAPH, image)
        return self._reader.once("moved", entry, lambda: _exists(self._reader.root, (*entry, DIFF_ID)), instead=False)


def read_migration(reader: Reader) -> Migration:
    """Read the files that a move leaves in the root."""
    names, listed = _exists(reader.root, TAGS), _exists(reader.root, IMAGES)
    if not listed:
        return Migration(names=names, began=names)
    return Migration(reader.once("migration", IMAGES, partial(_images, reader), instead=None), names, began=True)


def _images(reader: Reader) -> Mapping[ImageId, ImageId] | None:
    content = reader.json(IMAGES)
    if content is None:
        return None
    new = {old: str(one).removeprefix("sha256:") for old, one in content.items()}
    found = {ImageId(old): ImageId(one) for old, one in new.items() if is_id(old) and is_id(one)}
    if len(found) < len(new):
        reader.problem(Reason.DECODE, IMAGES, "an image id that is none")
    return found


def modified(root: DataRoot, tree: Tree) -> float | None:
    """When a file was written to, Unix seconds; None if it is not there. A copy of a root may keep no other time."""
    try:
        return root.lstat(tree).st_mtime
    except OSError:
        return None


def _exists(root: DataRoot, tree: Tree) -> bool:
    return modified(root, tree) is not None
