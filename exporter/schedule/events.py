"""Maps the paths of kernel events to entries of a data root."""

from collections import Counter
from collections.abc import Iterable

from exporter.core.measured import Tree, root_of
from exporter.core.model import Counters
from exporter.inventory.areas import RootAreas, table


def changed_entries(paths: Iterable[Tree], areas: RootAreas, counters: Counters) -> set[Tree]:
    """The entries of stores and of the root that contain these paths. Counts the events by collector."""
    known = table()
    entries: set[Tree] = set()
    for tree, count in Counter(paths).items():
        area = known.of(tree)
        if area.deep and len(tree) > len(area.path) + 2:
            continue  # deeper than the files of an entry: no object has changed
        name = area.objects.value if area.objects else "layers" if len(tree) > len(root_of(tree)) + 1 else "root"
        counters.events[name] = counters.events.get(name, 0) + count
        entries.add(areas.entry_of(tree))
    return entries
