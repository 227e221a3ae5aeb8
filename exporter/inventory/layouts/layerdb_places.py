"""What the layerdb layout says of containers and their layers, compared with an earlier reading."""

from collections.abc import Mapping
from operator import is_

from msgspec import Struct

from exporter.core.kept import changed_keys
from exporter.inventory.drivers import INIT
from exporter.inventory.layouts.layerdb_store import Database, LayerEntry, MountEntry
from exporter.inventory.layouts.part import Renewed


class LayerdbPlaces(Struct, frozen=True):
    """The entries of one driver, and which of their layers are there.

    `listed`: what of them is known whole. `turn` and `renewed` are those of the layers, see `LayerStore`.
    """

    entries: Mapping[str, LayerEntry]
    mounts: Mapping[str, MountEntry]
    listed: tuple[bool, ...]
    turn: int
    renewed: set[str] | None

    @classmethod
    def of(cls, database: Database) -> "LayerdbPlaces | None":
        """What a database says; None where an entry is not what its name says: then each container is looked at."""
        store = database.store
        listed = database.mounts_listed, database.entries_listed, store.listed
        return None if database.misnamed else cls(database.entries, database.mounts, listed, store.turn, store.renewed)

    def changed(self, before: object) -> Renewed | None:
        """The containers of which something else may be said than before, and maybe other ids; None: it may be any.

        It is so of any where the layer of an image has come or gone: containers stand on these.
        """
        if not isinstance(before, LayerdbPlaces) or before.listed != self.listed:
            return None
        renewed = self.renewed if self.turn == before.turn + 1 else None
        if renewed is None or len(self.entries) != len(before.entries):
            return None
        if not all(map(is_, self.entries.values(), before.entries.values())):
            return None
        if any(entry.cache in renewed for entry in self.entries.values()):
            return None
        changed = {*renewed, *changed_keys(self.mounts, before.mounts)}
        bare = {name.removesuffix(INIT) for name in renewed}
        mounts = self.mounts.items() if bare else ()
        changed.update(name for name, one in mounts if one.layer in bare or one.init in renewed)
        return Renewed(changed)
