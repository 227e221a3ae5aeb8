"""The lines on standard error that name what was not read, where no problem of a file has named it already."""

import posixpath
from collections.abc import Collection, Iterable

from exporter.core.knowledge import INPUT_LABELS, Input
from exporter.core.log import printable

_MOST = 50
_LABELS = {str(one): label for one, label in INPUT_LABELS.items()}
_MEANING = (
    "Figures that need what is not known are left out or shown as ?. Nothing is called unused or reclaimable because "
    "of it: mend what is named here before you prune."
)


def gap_lines(root: str, gaps: Iterable[tuple[str, str, str]], named: Collection[str]) -> list[str]:
    """Make the lines for gaps, each (input, path, why); `named` are the paths of problems that have lines already."""
    found = list(dict.fromkeys(gaps))
    lines = [
        printable(f"{posixpath.join(root, path)}: not known: {_LABELS.get(source, source)}: {why}")
        for source, path, why in found
        if path not in named and source != Input.IMAGE_STORE  # of that store a line of its own tells
    ]
    rest = len(lines) - _MOST
    more = [f"{root}: {rest} more that are not known"] if rest > 0 else []
    return [*lines[:_MOST], *more, *([_MEANING] if found else [])]
