"""What needs each layer that a driver has on disk.

A layout claims the layers that images, containers or the build cache need. Every other layer is `pending`. It is
`orphaned` once nothing has referred to it for the whole grace time: people delete what is called so.
"""

import math
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import filterfalse
from operator import attrgetter

from msgspec import Struct, field

from exporter.core.clock import SYSTEM_CLOCK, Clock
from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.core.model import Layer, LayerId, LayerKey, Use
from exporter.inventory.drivers.layer_store import LayerStore

_ID: Callable[[Layer], LayerId] = attrgetter("id")


class Grace(Struct):
    """Since when each unreferenced layer has been seen to be so, on a clock that cannot be set back."""

    seconds: float
    clock: Clock = SYSTEM_CLOCK
    seen: dict[LayerKey, float] = field(default_factory=dict)

    def over(self, layer: LayerKey, quiet_since: float) -> bool:
        """Whether nothing has referred to a layer for the whole grace time.

        Either this process has watched it that long, or nothing was made, renamed or removed in the
        directories that could hold a reference since `quiet_since` (Unix seconds).
        """
        now = self.clock.monotonic()
        if layer not in self.seen:
            # By the dates on the disk only when it is first seen: the clock may be set at any time after that.
            quiet = self.clock.now() - quiet_since >= self.seconds
            self.seen[layer] = now - self.seconds if quiet else now
        return now - self.seen[layer] >= self.seconds

    def next_end(self) -> float:
        """When the first of those grace times ends that are not over, on that clock; infinity if there is none."""
        now = self.clock.monotonic()
        return min(
            (since + self.seconds for since in self.seen.values() if now - since < self.seconds), default=math.inf
        )

    def keep(self, layers: set[LayerKey]) -> None:
        """Forget all but these."""
        for gone in self.seen.keys() - layers:
            del self.seen[gone]


class Claims(Struct):
    """What the layouts of one driver say of its layers.

    `layers`: the claimed ones. `pending`: each gives names of layers that something on its way, or damaged, refers to.
    `references`: the directories and files in which a reference to a layer can come or go. `doubts`: each says
    whether something that cannot be read, or is on its way, may refer to any layer. Both are called only where a layer
    is not claimed. `describe`: describes such a layer.
    """

    layers: dict[LayerId, Layer] = field(default_factory=dict)
    pending: list[Callable[[], Iterable[str]]] = field(default_factory=list)
    references: list[Tree] = field(default_factory=list)
    doubts: list[Callable[[], bool]] = field(default_factory=list)
    describe: Callable[[LayerId, Use], Layer] | None = None

    def join(self, older: "Claims") -> None:
        """Add the claims of an older layout. An existing claim is not replaced."""
        self.layers = {**older.layers, **self.layers}
        self.pending += older.pending
        self.references += older.references
        self.doubts += older.doubts
        self.describe = self.describe or older.describe


def describe_layer(
    store: LayerStore, name: LayerId, use: Use, parents: tuple[LayerId, ...], recorded: int | None = None
) -> Layer:
    """Describe one layer.

    `recorded` is the size in bytes that Docker wrote down; without it, Docker may compare the layer with `parents`,
    nearest first.
    """
    of = _same(use, parents, recorded)
    known = store.described(name, of)
    if known is not None:
        return known
    layer = store.describe(name, of, partial(_describe, store, name, use, parents, recorded))
    return Layer(store.driver.name, name, use, size_known=False) if layer is None else layer


@lru_cache(64)
def _same(use: Use, parents: tuple[LayerId, ...], recorded: int | None) -> tuple[object, ...]:
    """The same object for layers of which the same is said: those of containers of one image."""
    return use, parents, recorded


def _describe(store: LayerStore, name: LayerId, use: Use, parents: tuple[LayerId, ...], recorded: int | None) -> Layer:
    place = store.place(name)
    changes = store.changes(name, parents) if recorded is None else None
    # A full copy whose parent is gone has no difference that could be taken.
    lost = bool(parents) and changes is None and not store.driver.sums_files
    link = store.link(name)
    return Layer(
        driver=store.driver.name,
        id=name,
        use=use,
        content=place.content if place else None,
        home=place.home if place else None,
        recorded_size=recorded,
        changes=changes,
        size_known=recorded is not None or (place is not None and not lost),
        parent=parents[-1] if parents else None,
        metadata=(link,) if link else (),
        shares=store.driver.subvolumes,
    )


def classify(
    root: DataRoot, store: LayerStore, claims: Claims, grace: Grace, others: Iterable[LayerId] = ()
) -> list[Layer]:
    """Describe every layer that one driver has on disk, the claimed ones and the others.

    `others` are entries of the driver's directory that are no layers.
    """
    driver = store.driver.name
    describe = claims.describe or partial(describe_layer, store, parents=())
    names = store.in_order if store.listed else sorted(claims.layers)
    layers = [*filter(None, map(claims.layers.get, names))]
    rest = {*filterfalse(claims.layers.__contains__, names)}.difference(others) if len(layers) < len(names) else ()
    quiet = max((changed(root, tree) for tree in (*claims.references, store.driver.layers)), default=0.0) if rest else 0
    waiting: set[LayerKey] = set()
    doubtful = bool(rest) and any(doubt() for doubt in claims.doubts)
    pending = {name for some in claims.pending for name in some()} if rest else set[str]()
    for name in rest:
        orphaned = False
        if name not in pending and not doubtful:
            key = LayerKey(driver, name)
            waiting.add(key)
            orphaned = grace.over(key, max(quiet, _used(root, store, name)))
        layers.append(describe(name, Use.ORPHANED if orphaned else Use.PENDING))
    grace.keep({key for key in grace.seen if key.driver != driver} | waiting)
    return sorted(layers, key=_ID) if rest else layers


def _used(root: DataRoot, store: LayerStore, name: LayerId) -> float:
    """The newest modification time of the upper directories of a layer."""
    home = (*store.driver.layers, name)
    return max(changed(root, home), *(changed(root, (*home, inner)) for inner in (*store.driver.inner, "work")))


def changed(root: DataRoot, tree: Tree) -> float:
    """When an entry was last written to or renamed, Unix seconds; 0 if it does not exist."""
    try:
        status = root.lstat(tree)
    except OSError:
        return 0.0
    return max(status.st_mtime, status.st_ctime)
