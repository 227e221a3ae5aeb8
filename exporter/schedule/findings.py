"""The changes that a look at a data root has found, and those of them without an event."""

from collections.abc import Collection, Iterable

from msgspec import Struct, field

from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.inventory.areas import RootAreas, table


class Findings(Struct):
    """The changes since the last look.

    `stores`: stores with another listing. `entries`: entries with another signature. `new`: those of `stores` that did
    not exist. `again`: keys that changed just before the last look: they may have changed once more within the same
    timestamp, so they are read again. `unread`: those of `stores` whose entries were not compared with what was
    measured: events tell of these.
    """

    stores: set[Tree] = field(default_factory=set)
    entries: set[Tree] = field(default_factory=set)
    new: set[Tree] = field(default_factory=set)
    again: set[Tree] = field(default_factory=set)
    unread: set[Tree] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.stores or self.entries or self.again)


def not_scanned(findings: Findings, scans: Iterable[Dirty]) -> set[Tree]:
    """The changed stores and entries that none of these scans has read."""
    return (findings.stores | findings.entries).difference(*(scan.read_again() for scan in scans))


def without_events(not_scanned: Collection[Tree]) -> set[Tree]:
    """The findings, of those `not_scanned`, but for listings without a watch that change together with others.

    Where a scan is to come after events, it reads these as well.
    """
    return {
        key for key in not_scanned if not ((area := table().of(key)).path == key and area.fixed and not area.watched)
    }


def missed_events(
    not_scanned: Collection[Tree], findings: Findings, areas: RootAreas, immutable: Collection[Tree]
) -> set[Tree]:
    """The findings, of those `not_scanned`, for which a working kernel watch would have raised an event."""
    watched = {(), *areas.watched}
    unwatched = {*areas.stores} - watched
    return {
        key
        for key in not_scanned
        if not (
            key in unwatched
            or key[:-1] in unwatched
            or filled_later(key[:-1])
            # A process writes databases in place and keeps them open, which raises no event of these watches.
            or (key[-1:] and key[-1].endswith(".db"))
            or key in immutable
            or (key in findings.new and key[:-1] not in watched)
        )
    }


def filled_later(store: Tree) -> bool:
    """Whether entries of a store get files after they were made. The watch of the store has no event for these."""
    signature = table().of(store).signature
    return signature is not None and signature.changes and not signature.files
