"""What is in a root and is no part as usual: what an upgrade left behind, links, and mounts that are not measured."""

from collections.abc import Iterable

from exporter.core.data_root import DataRoot
from exporter.core.model import Remark, RemarkKind
from exporter.inventory.files.reader import Reader
from exporter.inventory.links import links


def remarks(root: DataRoot, leftovers: Iterable[str], readers: Iterable[Reader]) -> tuple[Remark, ...]:
    """All remarks. `leftovers` are entries of the root; `readers` have met links in the place of objects."""
    met = {tree: target for reader in readers for tree, target in reader.links.items()}
    return (
        *(Remark(RemarkKind.LEFTOVER, (name,)) for name in leftovers),
        *(Remark(RemarkKind.UNWALKED, tree, fstype) for tree, fstype in sorted(root.unwalked.items())),
        *links(root, met),
        *(
            Remark(RemarkKind.CONTAINERD, (path,) if path else (), why, path if possible else "")
            for path, why, possible in root.untaken
        ),
    )
