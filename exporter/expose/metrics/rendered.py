"""The families of one snapshot as bytes, for a process that makes no others after it.

Of a large root, a copy of the process adds up trees while this one goes through objects.
"""

from collections.abc import Collection

import msgspec

from exporter.config.limits import Limited, Shown
from exporter.core.copy_of_process import CopyFailedError, in_copy, pays
from exporter.expose.metrics.families import dropped, groups, parts_of
from exporter.expose.metrics.render import Format, render_part
from exporter.expose.metrics.table import ObjectTable
from exporter.figures.figures import Figures

#: Of so many trees, half of the work takes longer than to make a copy.
_MANY_TREES = 4_000


class _MadeGroups(msgspec.Struct):
    """Some groups of families by their places, and how many objects the limits leave out in these."""

    groups: dict[int, bytes]
    dropped: dict[str, int]


def rendered(figures: Figures, shown: Shown, style: Format) -> bytes:
    """Render all families of a snapshot's objects, those of a table without a series object for each line."""
    if not figures.snapshot.measured:
        return b""
    made = (_in_two if len(figures.snapshot.measured) >= _MANY_TREES and pays() else _some)(figures, shown, style)
    end = render_part((dropped(Limited(shown, made.dropped)),), style)
    return b"".join((*(made.groups[at] for at in sorted(made.groups)), end))


def _some(figures: Figures, shown: Shown, style: Format, *, of_trees: Collection[bool] = (True, False)) -> _MadeGroups:
    """Render the groups that add up trees, or those that do not, or all."""
    limited = Limited(shown)
    made: dict[int, bytes] = {}
    for at, group in enumerate(groups(figures, shown)):
        if group.of_trees not in of_trees:
            continue
        pieces: list[bytes] = []
        for part in parts_of(group, figures):
            if isinstance(part, ObjectTable):
                lines = part.rendered(limited, style)
                pieces += figures.barrier.until_failure(part.collector, f"metrics of {part.collector}", lines)
            else:
                pieces.append(render_part((part,), style))
        made[at] = b"".join(pieces)
    return _MadeGroups(made, limited.dropped)


def _in_two(figures: Figures, shown: Shown, style: Format) -> _MadeGroups:
    """Render all groups, those that add up trees in a copy of this process."""
    with in_copy(lambda: _encoded(figures, shown, style)) as result:
        mine = _some(figures, shown, style, of_trees=(False,))
        try:
            other = msgspec.msgpack.decode(result(), type=_MadeGroups)
        except CopyFailedError:
            other = _some(figures, shown, style, of_trees=(True,))
    left_out = {name: count + other.dropped[name] for name, count in mine.dropped.items()}
    return _MadeGroups(mine.groups | other.groups, left_out)


def _encoded(figures: Figures, shown: Shown, style: Format) -> bytes:
    """In the copy. Errors are met again, and counted, in this process."""
    made = _some(figures, shown, style, of_trees=(True,))
    if figures.barrier.failed:
        raise CopyFailedError
    return msgspec.msgpack.encode(made)
