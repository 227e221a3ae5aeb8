"""What a look at a data root has found, and which of that no event told."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.inventory.areas import RootAreas, table


@dataclass(slots=True)
class Findings:
    """What has changed since the last look.

    `stores`: stores whose listing has. `entries`: entries that have themselves. `new`: those of the stores that were
    not there. `again`: what had changed so shortly before the last look that it may have changed again unseen.
    """

    stores: set[Tree] = field(default_factory=set)
    entries: set[Tree] = field(default_factory=set)
    new: set[Tree] = field(default_factory=set)
    again: set[Tree] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.stores or self.entries or self.again)


def untold(findings: Findings, scans: Iterable[Dirty]) -> set[Tree]:
    """The stores and entries of `findings` that none of these scans has read again."""
    return (findings.stores | findings.entries).difference(*(scan.read_again() for scan in scans))


def missed_events(
    untold: Collection[Tree], findings: Findings, areas: RootAreas, immutable: Collection[Tree]
) -> set[Tree]:
    """Those of the `untold` findings of which a working kernel watch would have told."""
    watched = {(), *areas.watched}
    unwatched = {*areas.stores} - watched
    return {
        key
        for key in untold
        if not (
            key in unwatched
            or key[:-1] in unwatched
            or filled_later(key[:-1])
            # Databases are written in place by a process that keeps them open: no event could have told.
            or (key[-1:] and key[-1].endswith(".db"))
            or key in immutable
            or (key in findings.new and key[:-1] not in watched)
        )
    }


def filled_later(store: Tree) -> bool:
    """Whether the entries of a store get more files after they were made, of which no event of the store tells."""
    signature = table().of(store).signature
    return signature is not None and signature.changes and not signature.files
