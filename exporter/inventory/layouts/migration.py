"""What Docker 1.10 to 18.09 left behind when it moved a graph to `image/<driver>`.

Facts: Docker 1.10 and 17.05 migrate/v1/migratev1.go; 20.10 has no such step. At each start the engine moves the images
of `graph` that `.migration-v1-images.json` does not name yet, then the containers without `config.v2.json`. It moves
the names of `repositories-<driver>` once, and then makes `.migration-v1-tags`. Before an image it writes
`graph/<id>/.migration-diffid`. It removes nothing: what was moved is never read again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason, Tree
from exporter.inventory.files.reader import Reader, is_id

IMAGES: Tree = (".migration-v1-images.json",)
TAGS: Tree = (".migration-v1-tags",)
DIFF_ID = ".migration-diffid"


@dataclass(frozen=True, slots=True)
class Migration:
    """How far the move has come.

    `images`: by the old id of each image that was moved its new one, as hex digits; None where that list cannot be
    read. `names`: the names were moved. `began`: there is a list, or the names were moved.
    """

    images: Mapping[str, str] | None = field(default_factory=dict)
    names: bool = False
    began: bool = False

    def moved(self, image: str) -> bool:
        """Whether an image of the graph was moved, by the list."""
        return self.images is not None and image in self.images


def read_migration(reader: Reader) -> Migration:
    """Read the files that a move leaves in the root."""
    names, listed = _exists(reader.root, TAGS), _exists(reader.root, IMAGES)
    if not listed:
        return Migration(names=names, began=names)
    return Migration(reader.once("migration", IMAGES, partial(_images, reader)), names, began=True)


def _images(reader: Reader) -> Mapping[str, str] | None:
    content = reader.json(IMAGES)
    if content is None:
        return None
    new = {old: str(one).removeprefix("sha256:") for old, one in content.items()}
    found = {old: one for old, one in new.items() if is_id(old) and is_id(one)}
    if len(found) < len(new):
        reader.problem(Reason.DECODE, IMAGES, "an image id that is none")
    return found


def _exists(root: DataRoot, tree: Tree) -> bool:
    try:
        root.lstat(tree)
    except OSError:
        return False
    return True
