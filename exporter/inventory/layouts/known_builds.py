"""What is made of BuildKit's databases and of the layers, from one reading to the next."""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from exporter.core.model import BuildCache, LayerId
from exporter.inventory.drivers import INIT
from exporter.inventory.layouts import buildkit
from exporter.inventory.layouts.buildkit import Builds
from exporter.inventory.layouts.layerdb_store import Database


class KnownBuilds(Struct):
    """The build cache, and by driver the layer below each snapshot, see `buildkit.parents`.

    There may be tens of thousands of records, and a change of a container concerns none of them.
    """

    cache: BuildCache = field(default_factory=BuildCache)
    parents: Mapping[str, Mapping[LayerId, tuple[LayerId, ...]]] = field(default_factory=dict)
    #: What these were made of: the databases of BuildKit, the images of each driver, and whether there is a directory.
    _of: tuple[object, ...] = ()
    _turns: Mapping[str, int] = field(default_factory=dict)
    #: The directories of snapshots.
    _names: frozenset[str] = frozenset()

    def come_to(self, builds: Builds, databases: Sequence[Database], *, present: bool) -> None:
        """Come to another reading. `present`: BuildKit has a directory.

        Images are the same list only where they, and the entries of their layers, are as they were.
        """
        of = builds.snapshots, builds.records, *(one.images for one in databases)
        whole = [(one.driver, one.mounts_listed, one.entries_listed, one.store.listed) for one in databases]
        flags = present, builds.history, builds.doubtful, whole
        before, turns = self._of, self._turns
        self._of, self._turns = (), {}  # where this fails, the next reading makes them again
        same = len(before) == len(of) + 1 and all(one is other for one, other in zip(of, before, strict=False))
        if not same or before[-1] != flags or any(self._concerns(one, turns.get(one.driver, -2)) for one in databases):
            self.cache = buildkit.build_cache(builds, databases, present)
            self.parents = {one.driver: buildkit.parents(builds, one) for one in databases}
            self._names = frozenset(name for one in builds.snapshots.values() for name in (one.name, one.committed))
        self._of, self._turns = (*of, flags), {one.driver: one.store.turn for one in databases}

    def _concerns(self, database: Database, turn: int) -> bool:
        """Whether a directory of a snapshot may have come, gone or changed since another reading."""
        renewed = database.store.renewed_since(turn)
        return renewed is None or any(name.removesuffix(INIT) in self._names for name in renewed)
