"""What needs each layer that a driver has on disk.

A layout claims the layers that it knows the need of. What is left is `pending` until it is sure that nothing
refers to it, and has not for the whole grace time: a wrong "orphaned" makes people delete live data.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.core.model import Layer, LayerId, Use
from exporter.inventory.drivers.layer_store import LayerStore


@dataclass(slots=True)
class Grace:
    """Since when each unreferenced layer has been seen to be so, on a clock that cannot be set back."""

    seconds: float
    seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def over(self, layer: tuple[str, str], quiet_since: float) -> bool:
        """Whether nothing has referred to a layer for the whole grace time.

        Either this process has watched it that long, or nothing was made, renamed or removed in the
        directories that could hold a reference since `quiet_since` (Unix seconds).
        """
        now = time.monotonic()
        if layer not in self.seen:
            # By the dates on the disk only when it is first seen: the clock may be set at any time after that.
            quiet = time.time() - quiet_since >= self.seconds
            self.seen[layer] = now - self.seconds if quiet else now
        return now - self.seen[layer] >= self.seconds

    def keep(self, layers: set[tuple[str, str]]) -> None:
        """Forget all but these."""
        for gone in self.seen.keys() - layers:
            del self.seen[gone]


@dataclass(slots=True)
class Claims:
    """What the layouts of one driver say of its layers.

    `pending` are named by something that is on its way or damaged. `references` is where something that refers
    to a layer can come or go. `doubts` say whether any layer may be referred to by something that cannot be read
    or is on its way; they are asked only where it matters.
    """

    layers: dict[LayerId, Layer] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    references: list[Tree] = field(default_factory=list)
    doubts: list[Callable[[], bool]] = field(default_factory=list)

    def add(self, layers: Mapping[LayerId, Layer]) -> None:
        """Take up claims; the first on a layer stands."""
        self.layers = {**layers, **self.layers}


def classify(  # noqa: PLR0913 - what a driver's layers are judged by
    root: DataRoot,
    store: LayerStore,
    claims: Claims,
    grace: Grace,
    describe: Callable[[LayerId, Use], Layer],
    others: Iterable[LayerId],
) -> list[Layer]:
    """Describe every layer that one driver has on disk, the claimed and the rest.

    `others` are entries of the driver's directory that are something else.
    """
    driver = store.driver.name
    rest = store.names - claims.layers.keys() - {*others}
    layers = [layer for name, layer in claims.layers.items() if name in store.names or not store.driver.layers]
    quiet = max((changed(root, tree) for tree in (*claims.references, store.driver.layers)), default=0.0) if rest else 0
    waiting: set[tuple[str, str]] = set()
    doubtful = bool(rest) and any(doubt() for doubt in claims.doubts)
    for name in rest:
        orphaned = False
        if name not in claims.pending and not doubtful:
            key = (driver, name)
            waiting.add(key)
            orphaned = grace.over(key, max(quiet, _used(root, store, name)))
        layers.append(describe(name, Use.ORPHANED if orphaned else Use.PENDING))
    grace.keep({key for key in grace.seen if key[0] != driver} | waiting)
    return sorted(layers, key=lambda layer: layer.id)


def _used(root: DataRoot, store: LayerStore, name: LayerId) -> float:
    """When a layer's directory was last written to, as far as its upper directories tell."""
    home = (*store.driver.layers, name)
    return max(changed(root, home), *(changed(root, (*home, inner)) for inner in (*store.driver.inner, "work")))


def changed(root: DataRoot, tree: Tree) -> float:
    """When an entry was last written to or renamed, Unix seconds; 0 where there is none."""
    try:
        status = root.lstat(tree)
    except OSError:
        return 0.0
    return max(status.st_mtime, status.st_ctime)
