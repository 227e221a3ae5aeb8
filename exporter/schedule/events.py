"""Maps the paths of kernel events to entries of a data root."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree, root_of
from exporter.core.model import Counters
from exporter.inventory.areas import RootAreas, table

#: Within so many seconds an engine fills a directory that it has made. Longer work ends with another event.
FILLED_SECONDS = 2.0


def changed_entries(paths: Mapping[Tree, int], areas: RootAreas, counters: Counters) -> set[Tree]:
    """The entries of stores and of the root that contain these paths. Counts their events by collector."""
    known = table()
    entries: set[Tree] = set()
    for tree, count in paths.items():
        area = known.of(tree)
        if area.deep and len(tree) > len(area.path) + 2:
            continue  # deeper than the files of an entry: no object has changed
        name = area.objects.value if area.objects else "layers" if len(tree) > len(root_of(tree)) + 1 else "root"
        counters.events[name] = counters.events.get(name, 0) + count
        entries.add(areas.entry_of(tree))
    return entries


def just_made(root: DataRoot, areas: RootAreas, now: float) -> Iterator[Tree]:
    """The entries of stores that were made just before `now`, Unix time, when there was no watch to tell of them.

    A scan that begins now may measure one while it is being filled, and nothing would tell that more has come. Only
    the stores with a new time are listed.
    """

    def is_new(tree: Tree) -> bool:
        try:
            return abs(now - root.lstat(tree).st_ctime) < FILLED_SECONDS
        except OSError:
            return False

    for store in filter(is_new, areas.stores):
        with suppress(OSError):
            yield from filter(is_new, [(*store, name) for name in root.names(store)])


def told_names(dirty: Dirty, areas: RootAreas) -> dict[Tree, set[str]]:
    """By directory, the names of which events have told: nothing else has come or gone in those with a watch.

    In a directory without one that changes together with others beside it, these names may have.
    """
    told: dict[Tree, set[str]] = {}
    for entry in dirty.entries:
        if entry and entry[:-1] in areas.watched:
            told.setdefault(entry[:-1], set()).add(entry[-1])
    for store in areas.stores:
        area = table().of(store)
        beside = [names for other, names in told.items() if other[:-1] == store[:-1] and other]
        if beside and area.fixed and not area.watched and store not in told:
            told[store] = set().union(*beside)
    return told
