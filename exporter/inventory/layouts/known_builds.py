"""What is made of BuildKit's databases and of the layers, from one reading to the next."""

from collections.abc import Mapping, Sequence
from operator import is_

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.model import BuildCache, BuildRecord, LayerId
from exporter.inventory.drivers import INIT
from exporter.inventory.layouts import buildkit
from exporter.inventory.layouts.buildkit import Known, snapshot_of
from exporter.inventory.layouts.buildkit_databases import COMMITTED, PARENT, Builds, BuildSnapshot
from exporter.inventory.layouts.layerdb_store import Database


class KnownBuilds(Struct):
    """The build cache, and by driver the layer below each snapshot, see `buildkit.parents`.

    `own`: the directories that BuildKit takes for its own alone, see `buildkit.own_directories`.
    There may be tens of thousands of records, and a change of a container concerns none of them.
    """

    cache: BuildCache = field(default_factory=BuildCache)
    parents: Mapping[str, Mapping[LayerId, tuple[LayerId, ...]]] = field(default_factory=dict)
    own: frozenset[LayerId] = frozenset()
    #: What these were made of: the databases of BuildKit, the images of each driver, and whether there is a directory.
    _of: tuple[object, ...] = ()
    _turns: Mapping[str, int] = field(default_factory=dict)
    #: The databases of BuildKit that these were made of: what has not changed is the same object in the next ones.
    _builds: Builds = Builds({}, ())
    #: The directories of snapshots, those without an entry among them: records name these, or other snapshots.
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
        renewed = _renewed(databases, turns)
        if not same or before[-1] != flags or renewed is None or self._concern(renewed):
            alike = len(before) == len(of) + 1 and before[-1] == flags and all(map(is_, of[2:], before[2:-1]))
            self._make(builds, databases, renewed if alike else None, present=present)
        self._of, self._turns = (*of, flags), {one.driver: one.store.turn for one in databases}

    def _make(self, builds: Builds, databases: Sequence[Database], renewed: set[str] | None, *, present: bool) -> None:
        """Make all of it. `renewed`: the directories of which something else may be known; None: all else may be."""
        before, snapshots = self._builds.snapshots, builds.snapshots
        if before:
            same = {name: old for name, new in snapshots.items() if (old := before.get(name)) == new}
            builds = replace(builds, snapshots={**snapshots, **same})
        known = self._known(databases, renewed) if renewed is not None else lambda *_: None
        self.cache = buildkit.build_cache(builds, databases, present, known)
        self.parents = {one.driver: buildkit.parents(builds, one) for one in databases}
        self.own = buildkit.own_directories(builds)
        keys, others = (snapshot_of(*one) for one in builds.records), snapshots.values()
        self._names = frozenset(snapshots).union(keys, map(COMMITTED, others), map(PARENT, others))
        self._builds = builds

    def _known(self, databases: Sequence[Database], renewed: set[str]) -> Known:
        """What returns the records of the last reading, where all that they were made of is as it was."""
        values_before, snapshots = dict(self._builds.records), self._builds.snapshots
        records = {one.id: one for one in self.cache.records}
        measured = any(one.store.driver.sums_files for one in databases)

        def known(name: str, values: Mapping[str, object], snapshot: BuildSnapshot | None) -> BuildRecord | None:
            record = records.get(name) if values_before.get(name) is values else None
            if record is None or snapshot is None:
                return record if snapshot is None and snapshot_of(name, values) not in snapshots else None
            if snapshots.get(snapshot.name) is not snapshot or snapshot.directory in renewed:
                return None
            # The directory with its files may have come, which no event of the store tells.
            return None if record.content is None and measured else record

        return known

    def _concern(self, renewed: set[str]) -> bool:
        """Whether one of these may be a directory of a snapshot."""
        return not self._names.isdisjoint(renewed)


def _renewed(databases: Sequence[Database], turns: Mapping[str, int]) -> set[str] | None:
    """The directories that may have come, gone or changed since another reading; None: any may have."""
    renewed = set[str]()
    for one in databases:
        some = one.store.renewed_since(turns.get(one.driver, -2))
        if some is None:
            return None
        renewed.update(name.removesuffix(INIT) for name in some)
    return renewed
