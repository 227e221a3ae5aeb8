"""What `/api/v1/snapshot` serves and the terminal commands are made of: one snapshot's objects with their figures.

The fields are a contract (docs/terminal.md, docs/snapshot.schema.json): they may come to be more, and mean the same
for as long as `schema` is the same. Sizes are bytes, times Unix seconds, ids complete; None is what is not known.
Names are valid UTF-8, escaped as `metrics.labels.escape` does. Directories are relative to `root`.
"""

from msgspec import Struct

SCHEMA = 1
PATH = "/api/v1/snapshot"
#: The log drivers that write on this disk; "": which one it is, is not known.
_LOG_DRIVERS_HERE = ("", "json-file", "local")


def keeps_log_here(driver: str) -> bool:
    """Whether a log of this driver takes space on this disk, as far as that is known."""
    return driver in _LOG_DRIVERS_HERE


class DirectoryRow(Struct, frozen=True):
    """A top-level entry of a root, or the root directory itself, `.`; those of one root add up to `du -sx` of it.

    None: its files are not below the root (layers of zfs and devicemapper). `root`: the further root that it is in; ""
    for the data root.
    """

    name: str
    size: int | None
    allocated: int | None
    inodes: int | None
    root: str = ""


class FilesystemRow(Struct, frozen=True):
    """A filesystem that a part of the root lies on; one that did not answer has no sizes.

    `own`: it holds the data root and nothing else. `directory` is where it is mounted below the root, "" for that of
    the root. It is absolute for a filesystem that is mounted at a further root, or below one.
    """

    path: str
    device: str
    mountpoint: str
    fstype: str
    size: int | None = None
    free: int | None = None
    available: int | None = None
    own: bool = False
    directory: str = ""


class ReclaimableRow(Struct, frozen=True):
    """What a prune of one category would free, after those before it.

    `what` and `how` say for people what it is and what frees it. `commands` are what to run: one, or one for each age
    of the engine where that is not known, as `how` says. `why` says why nothing is known and nothing is advised.
    """

    category: str
    bytes: int | None
    objects: int | None
    what: str = ""
    how: str = ""
    commands: tuple[str, ...] = ()
    why: str = ""


class PlanRow(Struct, frozen=True):
    """A step of a plan that frees space, after the steps before it: `allocated` bytes of disk blocks.

    `kind`: build_cache, build_history, images_dangling and layers_orphaned are all of that; container and image are one
    object, with its driver, namespace and id. `elsewhere`: by mount point what the step frees on each filesystem, where
    the root has parts on several; one that is not there frees nothing on it.
    """

    kind: str
    allocated: int | None
    driver: str = ""
    namespace: str = ""
    id: str = ""
    elsewhere: dict[str, int | None] | None = None


class LayerRow(Struct, frozen=True):
    """A layer on disk. `id` names its directory; `chain` is its chain id where the layout has such.

    `directory` holds its files, `home` all that the driver keeps of it; "" where these are no directories. `held` is
    the id of a container that is gone, and whose entry of `layerdb/mounts` still holds the layer. A snapshot of
    containerd is a layer: `namespace` is the one that has it, `name` its key there.
    """

    driver: str
    id: str
    chain: str
    parent: str
    use: str
    size: int | None
    allocated: int | None
    inodes: int | None
    directory: str
    home: str
    held: str = ""
    namespace: str = ""
    name: str = ""


class ImageRow(Struct, frozen=True):
    """An image. `layer` is the uppermost of its `depth` layers, "" where that is gone; `listed` as `docker images`.

    `parent` is the image that it was built on, "" where that is not known. `missing` are its layers that are not on
    disk: chain ids, or ids of images in the old layout. Of an image of containerd, `namespace` is the one that has it,
    `virtual` the sum of `content`, its blobs, and `unpacked`, its snapshots; `platforms` are those whose content is
    here, and `further` the uppermost layers of those besides `layer`. The engine has not `loaded` one of another driver
    than its own, or with a damaged description: it is in no list of docker, and no command of docker removes it.
    """

    driver: str
    id: str
    references: tuple[str, ...]
    digests: tuple[str, ...]
    listed: bool
    state: str | None
    created: float | None
    virtual: int | None
    unique: int | None
    proportional: float | None
    containers: int | None
    layer: str
    depth: int
    parent: str = ""
    missing: tuple[str, ...] = ()
    namespace: str = ""
    content: int | None = None
    unpacked: int | None = None
    platforms: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    loaded: bool = True


class MountRow(Struct, frozen=True):
    """What a container sees from outside its layers; `source` is a host path or a volume's name.

    `host_path` is where the engine had a volume's data on the host, `driver` who keeps it; "" where nothing says so.
    """

    kind: str
    source: str
    destination: str
    mode: str
    host_path: str = ""
    driver: str = ""


class ContainerRow(Struct, frozen=True):
    """A container. `writable` is what it wrote, `writable_allocated` the blocks of that layer's directory.

    `log_deleted`: the engine writes to a log whose file was deleted, unless the container ended without that being
    written down. `log_files` is the number of its log's files. `writable_limit` is the size that `--storage-opt size`
    allows; `stack` and `swarm_service` are those of its service. `init` is the layer that Docker prepares below its
    own, `base` the uppermost of its image's layers
    that are on disk, `missing` are its layers that are not. `namespace` is that of containerd which has its layer. One
    that is not Docker's has a `pod`, with the pod's namespace and its own name there, if Kubernetes runs it.
    """

    driver: str
    id: str
    name: str
    image_id: str
    image: str
    state: str
    created: float | None
    finished: float | None
    layer: str
    writable: int | None
    writable_allocated: int | None
    virtual: int | None
    log: int | None
    log_driver: str
    log_limit: int | None
    log_bounded: bool | None
    compose_project: str
    compose_service: str
    mounts: tuple[MountRow, ...]
    stack: str = ""
    swarm_service: str = ""
    writable_limit: int | None = None
    init: str = ""
    base: str = ""
    missing: tuple[str, ...] = ()
    log_deleted: bool = False
    log_files: int | None = None
    namespace: str = ""
    pod: str = ""
    pod_namespace: str = ""
    pod_container: str = ""

    @property
    def called(self) -> str:
        """Its name, with those of its pod; or the beginning of its id."""
        if self.pod:
            return f"{self.pod_namespace}/{self.pod}/{self.pod_container or self.name}"
        return self.name or self.id[:12]

    @property
    def written(self) -> int | None:
        """The bytes of its writable layer and its log together, as far as they are known; None for neither."""
        return None if self.writable is None and self.log is None else (self.writable or 0) + (self.log or 0)

    @property
    def written_whole(self) -> bool:
        """Whether both are known. A log that is kept elsewhere takes nothing here."""
        return self.writable is not None and (self.log is not None or not keeps_log_here(self.log_driver))


class VolumeRow(Struct, frozen=True):
    """A volume; `directory` holds its data, "" where that is not below the root.

    `mount_type`, `device` and `options` are what is mounted there while a container uses it; "" for nothing. `link`: a
    symbolic link leads there, so that it is not measured. `created`: when its directory was
    made. `optioned`: it was made with driver options; no prune of Docker 18.06 on takes it.
    """

    name: str
    anonymous: bool
    driver: str
    containers: int | None
    size: int | None
    allocated: int | None
    inodes: int | None
    directory: str
    mount_type: str = ""
    device: str = ""
    options: str = ""
    link: bool = False
    compose_project: str = ""
    created: float | None = None
    optioned: bool = False


class BuildRecordRow(Struct, frozen=True):
    """A record of BuildKit's cache. `kind` is its type, such as regular or source.local.

    `shared`: an image has its layer as well. None of both where that is not known. `idle`: it belongs to another
    snapshotter of containerd than the one that the engine works with, which does not know of it.
    """

    id: str
    kind: str
    size: int | None
    created: float | None
    last_used: float | None
    usage_count: int | None
    shared: bool | None
    namespace: str = ""
    idle: bool = False


class BuildRow(Struct, frozen=True):
    """An entry of the build history of containerd's image store: the id of a build, and when it was made."""

    id: str
    created: float | None


class PluginRow(Struct, frozen=True):
    """A plugin of the engine, installed in `plugins/<id>`; `interfaces` are what it is for, such as logdriver."""

    id: str
    name: str
    interfaces: tuple[str, ...]


class MissingRow(Struct, frozen=True):
    """A layer that an image or container refers to and that is not on disk."""

    driver: str
    layer: str


class GapRow(Struct, frozen=True):
    """One thing that was not read, of an input of figures.

    `driver`: only its objects are affected; "" for all. `object`: the id of the object; "" where it may be any number.
    """

    input: str
    path: str
    why: str
    driver: str
    object: str


class UnknownRow(Struct, frozen=True):
    """A figure that is not known, and why, in one line. `driver`: of objects of one graph driver; "" of all."""

    figure: str
    driver: str
    why: str


class RemarkRow(Struct, frozen=True):
    """An entry of the root that is not what usually is in its place.

    `kind`: `leftover` (an engine of 1.10 or newer has moved its images, and reads it no more), `link` (to `target`, and
    not followed), `unwalked` (a mount of type `target`, which is not measured) or `containerd` (a directory that is not
    read as the root of the containerd that has the images, because of `target`). `where`: the path on the exporter's
    machine that a link leads to, "" where that cannot be seen; or the root of a containerd that may be the right one.
    """

    kind: str
    path: str
    target: str = ""
    where: str = ""


class ProblemRow(Struct, frozen=True):
    """One thing that could not be read; `path` is relative to the root."""

    collector: str
    reason: str
    path: str
    detail: str


class TemporaryRow(Struct, frozen=True):
    """The files in `tmp` or `tmp-old` that were not written to for a day: their number, and their disk blocks in bytes.

    `newest` is when the newest of them was written. Not `whole`: there are more. `how` says what frees them.
    """

    path: str
    files: int
    allocated: int
    newest: float
    whole: bool
    how: str


class ContentRow(Struct, frozen=True):
    """The blobs of containerd's image store of one `use`: how many, and their disk blocks in bytes.

    The uses: image, build_cache, build_history, ingest, other_namespace, orphaned.
    """

    use: str
    blobs: int
    allocated: int | None


class NamespaceRow(Struct, frozen=True):
    """A namespace of containerd: how many objects it has, and what they take on the disk in bytes.

    `layers_allocated` are its snapshots, which no other namespace has; `blobs_allocated` its blobs, of which others may
    have some as well; `own_blobs_allocated` those that no other one has. `what` says whose it is.
    """

    namespace: str
    what: str
    images: int
    containers: int
    layers: int
    blobs: int
    layers_allocated: int | None
    blobs_allocated: int | None
    own_blobs_allocated: int | None


class BlobRow(Struct, frozen=True):
    """A blob of containerd's image store, and what keeps it: `owners` are some of these, `owner_count` is how many.

    An owner is what it is and its name, such as `image docker.io/library/debian:12` or `build record ID`, with
    ` of NAMESPACE` after it where that is not Docker's.
    """

    digest: str
    use: str
    size: int | None
    namespaces: tuple[str, ...]
    owners: tuple[str, ...]
    owner_count: int


class IngestRow(Struct, frozen=True):
    """A blob that is being written, or the rest of one, in `directory`. It has `size` bytes of `total` already."""

    directory: str
    reference: str
    size: int | None
    allocated: int | None
    total: int | None


class ProgressRow(Struct, frozen=True):
    """How far a first scan is: the trees of the root, those that are measured, and the entries looked at."""

    trees: int
    trees_done: int
    entries: int


class Document(Struct, frozen=True):
    """A whole data root. `taken` is None as long as the first scan is not done.

    `progress` is there from when the objects are known until then: what is not measured yet is None.
    `gaps` is what was not read, `unknown` the figures that are not known because of that.
    `origins` are the paths by which engines called the root: another than `root` on a disk that is mounted elsewhere.
    `nested` are the data roots of remapped users below this one, by the names of their directories. `further` are the
    roots that are read with it, such as that of a containerd of the host. A path in one of these is absolute.
    `store` is where the image store of containerd is, "" for the root itself, and None where there is none; `engine` is
    Docker's namespace in it, "" without Docker; `history` the number of entries of its build history. `plan` are the
    steps that free space, in their order; None in the document of an exporter that makes no such plan.
    """

    schema: int
    exporter: str
    root: str
    error: str
    layouts: tuple[str, ...]
    unmeasured: tuple[str, ...]
    drivers: tuple[str, ...]
    unattributed: int | None
    directories: tuple[DirectoryRow, ...]
    reclaimable: tuple[ReclaimableRow, ...]
    layers: tuple[LayerRow, ...]
    images: tuple[ImageRow, ...]
    containers: tuple[ContainerRow, ...]
    volumes: tuple[VolumeRow, ...]
    missing: tuple[MissingRow, ...]
    problems: tuple[ProblemRow, ...]
    filesystems: tuple[FilesystemRow, ...]
    taken: float | None
    origins: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    temporary: tuple[TemporaryRow, ...] = ()
    plugins: tuple[PluginRow, ...] = ()
    remarks: tuple[RemarkRow, ...] = ()
    gaps: tuple[GapRow, ...] = ()
    unknown: tuple[UnknownRow, ...] = ()
    further: tuple[str, ...] = ()
    store: str | None = None
    engine: str = ""
    history: int | None = None
    content: tuple[ContentRow, ...] = ()
    namespaces: tuple[NamespaceRow, ...] = ()
    blobs: tuple[BlobRow, ...] = ()
    ingests: tuple[IngestRow, ...] = ()
    build_records: tuple[BuildRecordRow, ...] = ()
    builds: tuple[BuildRow, ...] = ()
    plan: tuple[PlanRow, ...] | None = None
    progress: ProgressRow | None = None

    def why_not(self, figure: str, driver: str = "") -> str:
        """Why a figure is not known, for one graph driver or for all (""); "" where it is known."""
        return next((one.why for one in self.unknown if one.figure == figure and one.driver == driver), "")
