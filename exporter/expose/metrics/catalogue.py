"""Every metric that the exporter serves: the contract that docs, dashboards and rules are checked against."""

from typing import Literal

from msgspec import Struct

PREFIX = "docker_storage_"

Kind = Literal["gauge", "counter", "info"]


class Metric(Struct, frozen=True):
    """One family: its full name as a sample has it, type, unit, labels and help."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""


def _gauge(name: str, text: str, *labels: str) -> Metric:
    unit = next((unit for unit in ("bytes", "seconds") if name.endswith("_" + unit)), "")
    return Metric(PREFIX + name, "gauge", text, labels, unit)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, "counter", text, labels)


def _info(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, "info", text, labels)


_SPACE = ("driver", "namespace")
_IMAGE = (*_SPACE, "image_id")
_CONTAINER = (*_SPACE, "container_id")
_FILESYSTEM = ("device", "mountpoint", "fstype")

BUILD_INFO = _info("build_info", "The exporter that serves this.", "version", "revision", "python_version")
ROOT_INFO = _info("root_info", "A root that is read, once for each layout found in it.", "root", "layout")
UP = _gauge("up", "1 if the data root could be read at the last scan.")
KNOWN = _gauge("known", "1 if that input was read whole; figures that need another one are absent.", "input")
SCANNER_UP = _gauge("scanner_up", "1 while a scanning process runs, which keeps the figures up to date.")
SANDBOX_INFO = _info(
    "sandbox_info",
    "What is in force in the serving and in the scanning process; landlock is its version or none.",
    "process",
    "capabilities",
    "no_new_privs",
    "landlock",
)
TIME = _gauge("time_seconds", "The clock of the host at the scrape, Unix time.")
SNAPSHOT_TIMESTAMP = _gauge("snapshot_timestamp_seconds", "When the served snapshot was taken, Unix time.")
SCAN_SUCCESS = _gauge("scan_success", "1 if the last scan had no error other than files that vanished.", "collector")
SCAN_DURATION = _gauge("scan_duration_seconds", "How long the last scan took.", "collector")
SCAN_LAST_SUCCESS = _gauge(
    "scan_last_success_timestamp_seconds", "When the last scan without error ended, Unix time.", "collector"
)
SCAN_ENTRIES = _gauge("scan_entries", "Directory entries that the last scan looked at.", "collector")
SCANS = _counter("scans_total", "Scans by what made them run.", "collector", "trigger")
SCAN_ERRORS = _counter("scan_errors_total", "What could not be read, by reason.", "collector", "reason")
SERIES_DROPPED = _gauge("series_dropped", "Objects left out by the limit on series, whole or in part.", "collector")
SKIPPED_MOUNTS = _gauge("skipped_mounts", "Mount points below the data root that were not entered.")
INITIAL_TREES = _gauge("initial_scan_trees", "Directory trees that the first scan has to measure.")
INITIAL_TREES_DONE = _gauge("initial_scan_trees_done", "Directory trees that the first scan has measured.")
INITIAL_ENTRIES = _gauge("initial_scan_entries", "Directory entries that the first scan has looked at.")

WATCH_MODE = _gauge("watch_mode", "1 for how changes are noticed; polling also where watches are missing.", "mode")
WATCHES = _gauge("watches", "Kernel watches held.")
WATCHES_LIMIT = _gauge("watches_limit", "Kernel watches that one user may hold.")
WATCH_EVENTS = _counter("watch_events_total", "Change events received.", "area")
WATCH_OVERFLOWS = _counter("watch_overflows_total", "Kernel queue overflows, each followed by a whole scan.")
WATCH_MISSED = _counter("watch_missed_changes_total", "Changes found that no event had announced.")
WATCH_RESTARTS = _counter("watch_restarts_total", "Times that all watches were made anew.", "reason")
WATCH_LAST_EVENT = _gauge("watch_last_event_timestamp_seconds", "When the last event came, Unix time.")
AUDIT_OLDEST = _gauge(
    "audit_oldest_timestamp_seconds", "When the least recently measured writable tree was measured.", "area"
)

FILESYSTEM_SIZE = _gauge("filesystem_size_bytes", "Size of a filesystem the data root lies on.", *_FILESYSTEM)
FILESYSTEM_FREE = _gauge("filesystem_free_bytes", "Free space of that filesystem.", *_FILESYSTEM)
FILESYSTEM_AVAIL = _gauge("filesystem_avail_bytes", "Free space that is not reserved for root.", *_FILESYSTEM)
FILESYSTEM_FILES = _gauge("filesystem_files", "Inodes of that filesystem.", *_FILESYSTEM)
FILESYSTEM_FILES_FREE = _gauge("filesystem_files_free", "Free inodes of that filesystem.", *_FILESYSTEM)
FILESYSTEM_READONLY = _gauge("filesystem_readonly", "1 if that filesystem is read-only.", *_FILESYSTEM)

FILESYSTEM_ALLOCATED = _gauge(
    "filesystem_allocated_bytes",
    "Disk blocks of all that is measured on that filesystem, each inode once.",
    *_FILESYSTEM,
)
FILESYSTEM_RECLAIMABLE = _gauge(
    "filesystem_reclaimable_bytes", "Disk blocks on that filesystem that all prunes would free.", *_FILESYSTEM
)

DIRECTORY_FILESYSTEM = _info(
    "directory_filesystem_info",
    "The filesystem of each top-level entry of a root; logs of containers lie in containers.",
    "root",
    "directory",
    *_FILESYSTEM,
)
VOLUME_FILESYSTEM = _info(
    "volume_filesystem_info",
    "The filesystem of each volume that is on another one than the directory volumes.",
    "volume",
    *_FILESYSTEM,
)

DIRECTORY_SIZE = _gauge(
    "directory_size_bytes",
    "Apparent size of a top-level entry of a root, each inode once.",
    "root",
    "directory",
)
DIRECTORY_ALLOCATED = _gauge(
    "directory_allocated_bytes",
    "Disk blocks of a top-level entry; the sum is du -x of the root.",
    "root",
    "directory",
)
DIRECTORY_INODES = _gauge("directory_inodes", "Inodes of a top-level entry of a root.", "root", "directory")

STORE_ENTRIES = _gauge("store_entries", "Entries of a store directory of the layout.", "driver", "store")
LAYERS = _gauge("layers", "Layers on disk by what uses them.", *_SPACE, "use")
LAYERS_SIZE = _gauge("layers_size_bytes", "Size of those layers as Docker counts it.", *_SPACE, "use")
LAYERS_ALLOCATED = _gauge("layers_allocated_bytes", "Disk blocks of those layers, each inode once.", *_SPACE, "use")
LAYERS_INODES = _gauge("layers_inodes", "Inodes of those layers.", *_SPACE, "use")
MISSING_LAYERS = _gauge(
    "missing_layers", "Layers that an image or container refers to and that are not on disk.", "driver"
)

LAYER_SIZE = _gauge("layer_size_bytes", "Size of one layer as Docker counts it.", *_SPACE, "layer_id")
LAYER_INFO = _info(
    "layer_info", "One for each layer; chain is its chain id.", *_SPACE, "layer_id", "parent", "use", "chain"
)

IMAGES = _gauge("images", "Images by state.", *_SPACE, "state")
IMAGE_VIRTUAL_SIZE = _gauge(
    "image_virtual_size_bytes", "Size of all that the image has, as docker images shows it.", *_IMAGE
)
IMAGE_CONTENT_SIZE = _gauge(
    "image_content_size_bytes", "Size of the blobs of an image of containerd, as docker images adds them up.", *_IMAGE
)
IMAGE_UNPACKED_SIZE = _gauge(
    "image_unpacked_size_bytes", "Size of the snapshots of such an image, as docker images adds them up.", *_IMAGE
)
IMAGE_UNIQUE_SIZE = _gauge(
    "image_unique_size_bytes", "Size of the layers and blobs no other listed image has.", *_IMAGE
)
IMAGE_PROPORTIONAL_SIZE = _gauge(
    "image_proportional_size_bytes", "Each layer's and blob's size divided by the listed images that share it.", *_IMAGE
)
IMAGE_LAYERS = _gauge("image_layers", "Layers of the image that are on disk.", *_IMAGE)
IMAGE_CONTAINERS = _gauge("image_containers", "Containers made from the image.", *_IMAGE)
IMAGE_CREATED = _gauge("image_created_timestamp_seconds", "When the image was created, Unix time.", *_IMAGE)
IMAGE_INFO = _info(
    "image_info",
    "One for each image; image is its first reference.",
    *_IMAGE,
    "image",
    "digest",
    "os",
    "architecture",
    "docker_version",
    "platforms",
)
IMAGE_TAG_INFO = _info("image_tag_info", "One for each tag of an image.", *_IMAGE, "repository", "tag")

CONTAINERS = _gauge("containers", "Containers by state.", *_SPACE, "state")
CONTAINER_WRITABLE_SIZE = _gauge(
    "container_writable_size_bytes",
    "Size of what the container wrote, as docker ps -s shows it.",
    *_CONTAINER,
)
CONTAINER_WRITABLE_ALLOCATED = _gauge(
    "container_writable_allocated_bytes", "Disk blocks of the directory of the writable layer.", *_CONTAINER
)
CONTAINER_WRITABLE_INODES = _gauge(
    "container_writable_inodes", "Inodes of the directory of the writable layer.", *_CONTAINER
)
CONTAINER_WRITABLE_LIMIT = _gauge(
    "container_writable_limit_bytes", "The size that --storage-opt allows the writable layer.", *_CONTAINER
)
CONTAINER_VIRTUAL_SIZE = _gauge(
    "container_virtual_size_bytes", "Size of the writable layer and of the image.", *_CONTAINER
)
CONTAINER_CHECKPOINTS = _gauge("container_checkpoints_size_bytes", "Size of the container's checkpoints.", *_CONTAINER)
CONTAINER_LOG_SIZE = _gauge("container_log_size_bytes", "Size of the log with its rotated files.", *_CONTAINER)
CONTAINER_LOG_LIMIT = _gauge("container_log_limit_bytes", "How large the log can grow.", *_CONTAINER)
CONTAINER_LOG_BOUNDED = _gauge("container_log_bounded", "1 if the log on this disk cannot grow forever.", *_CONTAINER)
CONTAINER_RUNNING = _gauge("container_running", "1 if it runs; absent where that cannot be told.", *_CONTAINER)
CONTAINER_CREATED = _gauge(
    "container_created_timestamp_seconds", "When the container was created, Unix time.", *_CONTAINER
)
CONTAINER_FINISHED = _gauge(
    "container_finished_timestamp_seconds", "When the container last stopped, Unix time.", *_CONTAINER
)
CONTAINER_INFO = _info(
    "container_info",
    "One for each container.",
    *_CONTAINER,
    "name",
    "image_id",
    "image",
    "log_driver",
    "compose_project",
    "compose_service",
    "stack",
    "swarm_service",
    "pod",
    "pod_namespace",
    "pod_container",
)
CONTAINER_MOUNT_INFO = _info(
    "container_mount_info",
    "One for each mount of a container; its kind is bind, volume, tmpfs, image, secret or config.",
    *_CONTAINER,
    "kind",
    "source",
    "destination",
    "mode",
)

VOLUMES = _gauge("volumes", "Volumes by whether a container mounts them.", "state", "anonymous")
VOLUME_SIZE = _gauge("volume_size_bytes", "Size of the volume's data.", "volume")
VOLUME_ALLOCATED = _gauge("volume_allocated_bytes", "Disk blocks of the volume's data.", "volume")
VOLUME_INODES = _gauge("volume_inodes", "Inodes of the volume's data.", "volume")
VOLUME_CONTAINERS = _gauge("volume_containers", "Containers that mount the volume.", "volume")
VOLUME_INFO = _info("volume_info", "One for each volume.", "volume", "anonymous", "volume_driver", "compose_project")

BIND_SIZE = _gauge("bind_size_bytes", "Size of a source of bind mounts (--collector.binds.include).", "source")
BIND_ALLOCATED = _gauge("bind_allocated_bytes", "Disk blocks of a source of bind mounts.", "source")

_RECORD = ("namespace", "record_id")
BUILD_CACHE_RECORDS = _gauge("build_cache_records", "Records of BuildKit's cache, as docker system df counts them.")
BUILD_CACHE_SIZE = _gauge(
    "build_cache_size_bytes", "Size of the records that no image shares, as docker system df adds them up."
)
BUILD_CACHE_ALLOCATED = _gauge("build_cache_allocated_bytes", "Disk blocks of BuildKit's cache.", "component")
BUILD_RECORD_SIZE = _gauge("build_cache_record_size_bytes", "Size of a record of BuildKit's cache.", *_RECORD)
BUILD_RECORD_CREATED = _gauge(
    "build_cache_record_created_timestamp_seconds", "When the record was made, Unix time.", *_RECORD
)
BUILD_RECORD_USED = _gauge(
    "build_cache_record_last_used_timestamp_seconds", "When the record was last used, Unix time.", *_RECORD
)
BUILD_RECORD_USES = _gauge("build_cache_record_uses", "How often the record was used.", *_RECORD)
BUILD_RECORD_INFO = _info(
    "build_cache_record_info", "One for each record of BuildKit's cache.", *_RECORD, "type", "shared"
)

BUILD_HISTORY_RECORDS = _gauge(
    "build_history_records", "Entries of the build history in containerd's image store, which no prune takes."
)
CONTENT_BLOBS = _gauge("content_blobs", "Blobs of containerd's image store by what needs them.", "use")
CONTENT_ALLOCATED = _gauge("content_allocated_bytes", "Disk blocks of those blobs, and of ingests.", "use")

RECLAIMABLE = _gauge("reclaimable_bytes", "Disk blocks that this prune would free after those before it.", "category")
RECLAIMABLE_OBJECTS = _gauge("reclaimable_objects", "Objects that this prune would remove.", "category")
UNATTRIBUTED = _gauge("unattributed_allocated_bytes", "Disk blocks below the root that belong to no object.")

WEB_RELOADS = _counter("web_config_reloads_total", "Times that the web configuration was read again.", "result")
WEB_RELOAD_FAILED = _gauge("web_config_stale", "1 if the last reload failed and an older configuration is in force.")
WEB_CONNECTIONS = _gauge("web_connections", "Open connections to the exporter.")
WEB_CUT = _counter("web_connections_cut_total", "Connections that the exporter ended, by reason.", "reason")
WEB_REFUSED = _counter("web_requests_refused_total", "Requests without valid credentials.")

PROCESS_CPU = Metric(
    "process_cpu_seconds_total", "counter", "CPU time of all the exporter's processes.", unit="seconds"
)
PROCESS_MEMORY = Metric(
    "process_resident_memory_bytes", "gauge", "Resident memory of all the exporter's processes.", unit="bytes"
)
PROCESS_START = Metric("process_start_time_seconds", "gauge", "When the exporter started, Unix time.", unit="seconds")
PROCESS_FDS = Metric("process_open_fds", "gauge", "Open file descriptors of the serving process.")
PROCESS_MAX_FDS = Metric("process_max_fds", "gauge", "File descriptors that the serving process may open.")

CATALOGUE: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
