"""The result of one scan of a data root, and the counters since the start of the exporter."""

from collections.abc import Iterable, Mapping
from operator import attrgetter

from msgspec import Struct, field

from exporter.core.measured import Measured, Reason, Tree, Usage, is_within, mount_around, root_of
from exporter.core.objects import Inventory, Problem
from exporter.core.states import Collector, ContainerId, LayerKey, Trigger

SKIPPED = attrgetter("skipped_mounts")


class Filesystem(Struct, frozen=True):
    """A filesystem that a part of the root lies on, as /proc/self/mountinfo names it.

    `directory` is where it is mounted below the root, "" for that of the root. `own`: it holds the root and nothing
    else.
    """

    path: str
    device: str
    mountpoint: str
    fstype: str
    directory: str = ""
    own: bool = False


class FurtherRoot(Struct, frozen=True):
    """A directory beside the data root that belongs to it, such as that of a containerd of the host.

    `device` is its st_dev. `subvolumes`: directories of its filesystem can have device numbers of their own.
    """

    path: str
    device: int
    subvolumes: bool = False


class CollectorScan(Struct, frozen=True):
    """How one collector fared in the last scan. `success` allows for files that vanished."""

    seconds: float = 0.0
    entries: int = 0
    success: bool = True


class Watching(Struct, frozen=True):
    """How changes are noticed: by kernel watches (inotify), or by `polling`."""

    polling: bool = True
    watches: int = 0
    limit: int | None = None


class Progress(Struct, frozen=True):
    """The progress of the first scan."""

    trees: int = 0
    trees_done: int = 0
    entries: int = 0


class Snapshot(Struct, frozen=True):
    """One data root at one time: the content of its metadata and the sizes of its trees.

    `error` says why the root could not be read; then all else is empty. `differences` are the
    sizes of layers that Docker sizes by comparing, `logs` those of the containers' logs in bytes. `measured`
    lacks the trees that could not be measured. `incomplete`: the trees that are not measured, or of which a part
    could not be read; sums with one of these are not known. `unfinished`: the first scan goes on, and its trees that
    are still to be measured are among these. `audited` says by area when its least recently measured
    writable tree was measured. `progress` is that of the first scan. `mounts` are the paths at which other
    filesystems are mounted; `subvolumes`: directories of the root's own filesystem can have device numbers of their
    own. `further`: the roots beside it that are read with it. `places` are the filesystems of the roots' directories,
    and of the mounts that hold a part of them (`filesystem_of`). `binds`: what the sources of bind mounts hold that are
    measured; they are no part of any sum.
    """

    root: str
    taken: float
    error: str = ""
    inventory: Inventory = field(default_factory=Inventory)
    device: int = 0
    mounts: frozenset[Tree] = frozenset()
    subvolumes: bool = False
    further: tuple[FurtherRoot, ...] = ()
    measured: Mapping[Tree, Measured] = field(default_factory=dict)
    differences: Mapping[LayerKey, int] = field(default_factory=dict)
    logs: Mapping[ContainerId, int] = field(default_factory=dict)
    collectors: Mapping[Collector, CollectorScan] = field(default_factory=dict)
    filesystems: tuple[Filesystem, ...] = ()
    places: Mapping[Tree, Filesystem] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    watching: Watching | None = None
    audited: Mapping[str, float] = field(default_factory=dict)
    progress: Progress | None = None
    incomplete: frozenset[Tree] = frozenset()
    unfinished: bool = False
    binds: Mapping[str, Usage] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the first scan is done: all is measured that could be."""
        return bool(self.measured) and not self.unfinished

    def whole(self, tree: Tree | None) -> Measured | None:
        """What a tree holds; None where that is not known, or not whole."""
        return None if tree is None or tree in self.incomplete else self.measured.get(tree)

    def are_whole(self, trees: Iterable[Tree]) -> bool:
        """Whether no tree among these could not be measured, or not whole."""
        return not self.incomplete or self.incomplete.isdisjoint(trees)

    def is_here(self, tree: Tree) -> bool:
        """Whether a measured tree is on the own filesystem of the root that it lies in."""
        if not (self.mounts or self.further or not tree or tree[0].startswith("/")):  # nearly all
            return self.subvolumes or self.measured[tree].device == self.device
        if is_within(tree, self.mounts):
            return False
        device, subvolumes = self.device, self.subvolumes
        if top := root_of(tree):
            root = next((one for one in self.further if one.path == top[0]), None)
            if root is None:
                return False
            device, subvolumes = root.device, root.subvolumes
        return subvolumes or self.measured[tree].device == device

    def filesystem_of(self, tree: Tree) -> Filesystem | None:
        """The filesystem that a tree lies on, as far as it is one of `filesystems`."""
        return self.places.get(mount_around(tree, self.mounts) or root_of(tree))

    @property
    def skipped_mounts(self) -> int:
        """How many mount points were not entered."""
        return sum(map(SKIPPED, self.measured.values()))


class Counters(Struct):
    """The counters of the exporter since it started; they survive a restart of the scanning process."""

    scans: dict[tuple[Collector, Trigger], int] = field(default_factory=dict)
    errors: dict[tuple[Collector, Reason], int] = field(default_factory=dict)
    last_success: dict[Collector, float] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    overflows: int = 0
    missed: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    last_event: float | None = None
