"""What the metadata of a data root describes: images, layers, containers, volumes, build cache.

Sizes are bytes, times are Unix seconds, ids are the full ids that Docker uses. Names that came from the disk may hold
lone surrogates (bytes that are not UTF-8): `core.text.label` turns them into valid UTF-8 before they are shown.
"""

from collections.abc import Mapping

from msgspec import Struct, field

from exporter.core.content import ContentStore
from exporter.core.engine_version import NO_EVIDENCE, EngineVersion
from exporter.core.knowledge import Knowledge
from exporter.core.measured import Changes, Reason, Tree
from exporter.core.states import (
    Collector,
    ContainerId,
    ContainerKey,
    ContainerState,
    ImageId,
    ImageKey,
    LayerId,
    LayerKey,
    RemarkKind,
    Use,
)


class Problem(Struct, frozen=True):
    """One thing that could not be read; `path` is relative to the data root."""

    collector: Collector
    reason: Reason
    path: str
    detail: str = ""


class Layer(Struct, frozen=True, gc=False):
    """A layer that is on disk in a graph driver's directory; `id` is the name of its directory there.

    `content` holds its files; `home` is the directory around it where the driver keeps more than files.
    Both are None for drivers whose layers are no directory trees. `recorded_size` is what Docker wrote down.
    Without it the size is that of `changes`, or all of `content` where `changes` is None. `chain` is the chain
    id (Docker 1.10 on), `metadata` what is kept of it elsewhere and goes with it. `held` is the id of a container that
    is gone while its entry of `layerdb/mounts` is still there: because of that no engine removes the layer. `pinned`:
    nor because of an entry of `layerdb/sha256` that stands on it, and that nothing needs. `shares`: it shares disk
    blocks with other layers, so that what its removal frees is not known.

    A snapshot of containerd is a layer, too: `namespace` is the one that it belongs to, `name` its key there.
    `by_blocks`: its size is that of the disk blocks of `content`, directories included. `committed`: it does not change
    any more.
    """

    driver: str
    id: LayerId
    use: Use
    content: Tree | None = None
    home: Tree | None = None
    recorded_size: int | None = None
    changes: Changes | None = None
    size_known: bool = True
    chain: str = ""
    parent: LayerId | None = None
    metadata: tuple[Tree, ...] = ()
    held: str = ""
    pinned: bool = False
    shares: bool = False
    namespace: str = ""
    name: str = ""
    by_blocks: bool = False
    committed: bool = False

    @property
    def key(self) -> LayerKey:
        """The key of this layer within a root."""
        return LayerKey(self.driver, self.id)

    @property
    def stays(self) -> bool:
        """Whether a graph driver's layer is removed by no engine, whatever is removed."""
        return bool(self.held or self.pinned) and not self.namespace

    @property
    def trees(self) -> tuple[Tree, ...]:
        """The trees that make up this layer, disjoint."""
        if self.content is None:
            return () if self.home is None else (self.home,)
        return (self.content,) if self.home is None else (self.content, self.home)


class Image(Struct, frozen=True, gc=False):
    """An image and its chain of layers, its own first, as far up as it is on disk without a gap.

    `references` are (repository, tag), sorted; `digests` are `repository@sha256:...`. `listed` is false for
    intermediate images, `dangling` is what Docker calls so if no container uses it. An empty chain is an image
    whose own layer is gone, a `broken` one has layers that are not on disk; `missing` are the ids or chain ids of
    these, as far as they are known. `cut`: a description on the way up was not read, so there may be more layers. The
    engine does not load an `unloaded` one: no list of the engine has it, and no prune takes it. Where it is `damaged`,
    which layers it shares is not known, either. `digest` is the full id as Docker writes it; `metadata` is what is kept
    of the image besides its layers.

    Of a containerd image store: `namespace` is the one that has it; it has `blobs` as well, by digest, each once.
    `content_size` is the bytes of the blobs, `unpacked_size` those of the snapshots, both as Docker adds them up for
    `docker images`: what two platforms share counts twice. `further` are snapshots of other snapshotters, which Docker
    does not count. `platforms` are those of which it has the content.
    """

    driver: str
    id: ImageId
    layers: tuple[LayerId, ...]
    references: tuple[tuple[str, str], ...] = ()
    digests: tuple[str, ...] = ()
    listed: bool = True
    created: float | None = None
    os: str = ""
    architecture: str = ""
    docker_version: str = ""
    parent: ImageId | None = None
    dangling: bool = False
    broken: bool = False
    missing: tuple[str, ...] = ()
    unloaded: bool = False
    damaged: bool = False
    digest: str = ""
    metadata: tuple[Tree, ...] = ()
    cut: bool = False
    namespace: str = ""
    blobs: tuple[str, ...] = ()
    content_size: int | None = None
    unpacked_size: int | None = None
    further: tuple[LayerKey, ...] = ()
    platforms: tuple[str, ...] = ()

    @property
    def key(self) -> ImageKey:
        """The key of this image within a root."""
        return ImageKey("" if self.namespace else self.driver, self.namespace, self.id)

    @property
    def named(self) -> bool:
        """Whether a tag or a digest names it."""
        return bool(self.references or self.digests)


class Mount(Struct, frozen=True, gc=False):
    """A mount of a container.

    `kind` is bind, volume, tmpfs, image, secret or config. `source` is a host path, or the name of the volume or the
    other thing; that of a volume that nothing names any more is "". `path` is where a volume's data was on the host,
    `driver` who keeps it, as far as it is written down.
    """

    kind: str
    source: str
    destination: str
    mode: str
    path: str = ""
    driver: str = ""


class Log(Struct, frozen=True, gc=False):
    """A container's log. None: not known. `files` includes rotated ones.

    `missing`: its driver writes to a file here, and that file is not there.
    """

    driver: str = ""
    files: tuple[Tree, ...] | None = ()
    limit: int | None = None
    bounded: bool | None = None
    missing: bool = False


class Container(Struct, frozen=True, gc=False):
    """A container as its metadata files describe it; None and "" stand for what they do not say.

    `pid` and `started` are what the daemon wrote of its process. `waits_unwritten`: when the engine waits to
    restart it, it does not write that down. `layer` is its writable layer, `init` the one that Docker prepares
    below that, `chain` the image layers below both, nearest first, `missing` the ids or chain ids of those that are
    not on disk. `cut`: the layers below are too many to be read, and `chain` has none. `metadata` is what is kept of it
    besides its layers, with its checkpoints. `volumes_from` are containers whose mounts are its own, too, and stand in
    `mounts` once all containers are read; `origin` is the data root's path as the engine wrote it. `writable_limit` is
    the size in bytes that `--storage-opt size` allows its layer, None where it has no such option. `unloaded` says why
    the engine does not load it when it starts, "" if it does. Such a container is in no list of the engine, no prune
    removes it, and the engine does not know what it uses. `written_by` is what its files tell of the engine that wrote
    them last.

    `namespace` is that of containerd, where its layer is a snapshot. A `foreign` one is not Docker's, and has no files
    of its own; `pod`, `pod_namespace` and `pod_container` are what Kubernetes calls it.
    """

    driver: str
    id: ContainerId
    name: str = ""
    image_id: ImageId | None = None
    image: str = ""
    state: ContainerState = ContainerState.UNKNOWN
    created: float | None = None
    finished: float | None = None
    log: Log = Log()
    compose_project: str = ""
    compose_service: str = ""
    stack: str = ""
    swarm_service: str = ""
    writable_limit: int | None = None
    mounts: tuple[Mount, ...] = ()
    volumes_from: tuple[str, ...] = ()
    origin: str = ""
    layer: LayerId | None = None
    pid: int = 0
    started: float | None = None
    waits_unwritten: bool = False
    init: LayerId | None = None
    chain: tuple[LayerId, ...] = ()
    cut: bool = False
    missing: tuple[str, ...] = ()
    checkpoints: Tree | None = None
    metadata: tuple[Tree, ...] = ()
    unloaded: str = ""
    written_by: EngineVersion = NO_EVIDENCE
    namespace: str = ""
    pod: str = ""
    pod_namespace: str = ""
    pod_container: str = ""
    foreign: bool = False

    @property
    def key(self) -> ContainerKey:
        """The key of this container within a root."""
        return ContainerKey(self.namespace, self.id)

    @property
    def image_key(self) -> ImageKey | None:
        """The key of its image, whether that is there or not; None where it is not known."""
        if self.image_id is None:
            return None
        return ImageKey("" if self.namespace else self.driver, self.namespace, self.image_id)

    @property
    def runs(self) -> bool | None:
        """Whether it runs; paused and restarting ones do, as in Docker's own `State.Running`. None: unknown."""
        if self.state is ContainerState.UNKNOWN:
            return None
        return self.state in (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)

    @property
    def log_deleted(self) -> bool:
        """Whether its log was deleted while the engine writes to it, as far as it runs: the space is not free.

        Between two attempts to restart, the engine has closed the log.
        """
        return self.log.missing and self.runs is not False and self.state is not ContainerState.RESTARTING

    @property
    def going(self) -> bool:
        """Whether it is being removed. Then missing files of it are no error."""
        return self.state in (ContainerState.DEAD, ContainerState.REMOVING)


class Volume(Struct, frozen=True, gc=False):
    """A volume that Docker keeps; `tree` is None where its data is not a directory below the root.

    `mount_type`, `device` and `options` are what the local driver mounts on that directory while a container uses it.
    `optioned`: it was made with driver options, such as a size or a device. No prune of Docker 18.06 on takes such one.
    `created` is when its directory got its entries, in Unix seconds.
    """

    name: str
    anonymous: bool = False
    driver: str = "local"
    mount_type: str = ""
    device: str = ""
    options: str = ""
    link: bool = False
    compose_project: str = ""
    tree: Tree | None = None
    home: Tree | None = None
    optioned: bool = False
    created: float | None = None

    @property
    def directory(self) -> Tree | None:
        """Where its data is, at least while a container uses it."""
        elsewhere = self.device or self.mount_type or self.link
        return (*self.home, "_data") if self.home and elsewhere else self.tree


class BuildRecord(Struct, frozen=True, gc=False):
    """One record of BuildKit's cache. `size` is what BuildKit wrote down, in bytes; else that of `content`.

    `shared`: its layer is one of an image as well. `namespace`: that of containerd, where its data is in such a store;
    then a size that is not written down is that of `layer`.
    """

    id: str
    kind: str = "regular"
    size: int | None = None
    content: Tree | None = None
    created: float | None = None
    last_used: float | None = None
    usage_count: int | None = None
    shared: bool = False
    namespace: str = ""
    layer: LayerKey | None = None


class BuildCache(Struct, frozen=True):
    """BuildKit's cache: its records, and by driver the layers that its databases name.

    `files` are its own files, `content` its blobs. What it has in a driver's directory are layers with that use.
    `holds` are the layers that its records need: an engine removes none of these with an image. Of records that are
    gone, BuildKit can leave the names of layers behind. `history`: with a graph driver there is a history of builds;
    it is not read. That of containerd's image store is in `Inventory.content`. `unsure`: why it is not known which
    records are shared, "" where it is. `idle`: the ids of records of other snapshotters of containerd than the one that
    the engine works with; it does not know of them. `kept`: the layers that such records of a graph driver need: no
    prune removes those. `unlisted`: the leases of records in containerd's store that are of no record that the engine
    knows; no prune removes these either. `stuck`: the id of a record whose snapshot is gone before its size was written
    down, "" for none: engines before 23.0 prune nothing more when they come to it.
    """

    records: tuple[BuildRecord, ...] = ()
    needs: Mapping[str, frozenset[LayerId]] = field(default_factory=dict)
    holds: Mapping[str, frozenset[LayerId]] = field(default_factory=dict)
    content: tuple[Tree, ...] = ()
    files: tuple[Tree, ...] = ()
    history: bool = False
    unsure: str = ""
    idle: frozenset[str] = frozenset()
    kept: Mapping[str, frozenset[LayerId]] = field(default_factory=dict)
    unlisted: frozenset[str] = frozenset()
    stuck: str = ""


class Remark(Struct, frozen=True):
    """Something in a root that is not what usually is in its place: `path` is its path below the root.

    `target`: where a link points, as it is written there, or the type of the filesystem. `where`: the path on this
    machine that a link leads to; "" where that cannot be seen. Of the root of a containerd, `target` is why it is not
    read, and `where` the path again if it may be the right one; the path is () where none is known.
    """

    kind: RemarkKind
    path: Tree
    target: str = ""
    where: str = ""


class Temporary(Struct, frozen=True):
    """The old files in one directory of the engine's for temporary files: their number, and their disk blocks in bytes.

    `newest` is the modification time of the newest of them, Unix seconds. Not `whole`: there are more.
    """

    path: Tree
    files: int
    allocated: int
    newest: float
    whole: bool = True


class Plugin(Struct, frozen=True):
    """A plugin of the engine; `interfaces` are what it is for: logdriver, volumedriver and others."""

    id: str
    name: str = ""
    interfaces: tuple[str, ...] = ()


class Inventory(Struct, frozen=True):
    """The content of the metadata of one data root, before anything is measured.

    `stores` counts the entries of the drivers' store directories by (driver, store); `missing` names, by
    driver, the layers that are referred to and not on disk; `unmeasured` the layouts that are only detected,
    `nested` the data roots of remapped users below this one. `elsewhere`: the entries of the root whose files are on
    devices or filesystems of their own, which are not measured. `remarks`: what is there and is not a part as usual.
    `engine` is what is known of the engine's version. `temporary` are its old temporary files. `content`: containerd's
    image store, where there is one. `further` are the names in each further root, by its path. `knowledge`: what of all
    this was not read whole.
    """

    layouts: tuple[str, ...] = ()
    unmeasured: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    layers: tuple[Layer, ...] = ()
    images: tuple[Image, ...] = ()
    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    build_cache: BuildCache = BuildCache()
    stores: Mapping[tuple[str, str], int] = field(default_factory=dict)
    missing: Mapping[str, frozenset[str]] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    elsewhere: frozenset[str] = frozenset()
    knowledge: Knowledge = field(default_factory=Knowledge)
    remarks: tuple[Remark, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    engine: EngineVersion = NO_EVIDENCE
    temporary: tuple[Temporary, ...] = ()
    content: ContentStore | None = None
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def top_level(self) -> tuple[Tree, ...]:
        """The top-level entries of all roots, as trees."""
        own: list[Tree] = [(name,) for name in self.directories]
        return (*own, *((path, name) for path, names in self.further.items() for name in names))
