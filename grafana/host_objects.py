"""The rows on objects: layers, images, containers, volumes, and what can be cleaned up."""

from collections.abc import Iterator
from dataclasses import replace

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from exporter.figures.prunes import PRUNE, Category
from grafana.panels import BYTES, COUNT, RATE, SHARE, TIME, Column, bars, figure, graph, listing
from grafana.queries import (
    BANDS,
    CONTAINER,
    HOST,
    IMAGE,
    RECORD,
    VOLUME,
    bands,
    by_service,
    container,
    image,
    lasting_top,
    metric,
    record,
    short_volume,
    top,
    total,
    volume,
    where,
    whole,
)
from grafana.words import LATER, NOW, yes_or_no

Panels = Iterator[Builder[board.Panel]]


def _ranked(first: Column, on: tuple[str, ...], *others: Column) -> list[Column]:
    """The largest by the first column, and the other figures of the same objects."""
    ranking = top(first.expression)
    on_text = ", ".join(on)
    rest = [replace(one, expression=f"({one.expression}) and on ({on_text}) {ranking}") for one in others]
    return [replace(first, expression=ranking), *rest]


def layers() -> Panels:
    """The row Layers: what uses them, and whether the directories of a driver agree."""
    by = "{{instance}} {{driver}} {{namespace}} {{use}}"
    text = "Layers by what uses them. Pending ones are being made or removed; nothing uses orphaned ones."
    counted = total(metric("layers"), "driver", "namespace", "use")
    yield graph("Layers by use", text, COUNT, [(counted, by)], stacked=True)
    text = f"Disk blocks of the layers by what uses them, each inode once. {BANDS}"
    shown = bands("layers_allocated_bytes", "driver", "namespace", "use")
    yield graph("Bytes by use", text, BYTES, [(shown, by)], stacked=True)
    text = "Entries of the directories that hold layers. They rise and fall together; one that does not has leftovers."
    entries = total(metric("store_entries"), "driver", "store")
    yield graph("Entries by store", text, COUNT, [(entries, "{{instance}} {{driver}} {{store}}")])
    text = "Layers by use, with their size as Docker counts it and their inodes."
    columns = [Column("Layers", COUNT, counted)]
    columns += [Column("Size", BYTES, total(metric("layers_size_bytes"), "driver", "namespace", "use"))]
    columns += [Column("Inodes", COUNT, total(metric("layers_inodes"), "driver", "namespace", "use"))]
    names = {"instance": "Host", "driver": "Driver", "namespace": "Namespace", "use": "Use"}
    yield listing("Layers", text, names, columns, size=(12, 9))
    text = "Layers that are referred to but not on disk: their containers cannot start. See DockerStorageMissingLayers."
    by = "{{instance}} {{driver}}"
    missing = total(metric("missing_layers"), "driver")
    levels = ((1, NOW),)
    yield figure("Missing layers", text, COUNT, missing, by, levels=levels, size=(12, 4), absent="not known")
    text = "Layers of the image with the most. Docker refuses more than 125: flatten the image before that."
    none = f"0 * {total(metric('images'), 'driver')}"
    deepest = f"max by ({', '.join(HOST)}, driver) ({metric('image_layers')}) or {none}"
    yield figure("Deepest chain", text, COUNT, deepest, by, levels=((100, LATER), (120, NOW)), size=(12, 4))


def images() -> Panels:
    """The row Images: which are large, shared, unused."""
    names = {"instance": "Host", "namespace": "Namespace", "image": "Image", "image_id": "Id"}
    share, virtual = metric("image_proportional_size_bytes"), metric("image_virtual_size_bytes")
    unique, users = metric("image_unique_size_bytes"), metric("image_containers")
    columns = _ranked(
        Column("Share", BYTES, image(share)),
        IMAGE,
        Column("Virtual", BYTES, image(virtual)),
        Column("Unique", BYTES, image(unique)),
        Column("Layers", COUNT, image(metric("image_layers"))),
        Column("Containers", COUNT, image(users)),
        Column("Age", TIME, image(f"(time() - {metric('image_created_timestamp_seconds')})")),
    )
    text = "Virtual: as docker images shows it. Share: its part of shared layers. Unique: what deleting frees."
    yield listing("Images", text, names, columns)
    by = "{{instance}} {{image}} {{image_id}}"
    text = "Each layer divided by the images that share it: all shares add up to the size of all image layers."
    yield bars("Share of each image", text, BYTES, top(image(share)), by)
    text = "What deleting an image would free; 0 means that a container uses it."
    free = where(image(unique), IMAGE, f"{users} == bool 0")
    yield bars("Unused images, by what deleting frees", text, BYTES, top(free), by)
    saved = whole(f"{total(virtual)} - {total(share)} or 0 * {total(metric('images'))}")
    text = "Additional size of the images if they shared no layers. It falls when images no longer share a base."
    yield graph("Saved by sharing", text, BYTES, [(saved, "{{instance}}")], size=(8, 9))
    text = f"Dangling images have no name and no container: {PRUNE[Category.IMAGES_DANGLING]} removes them."
    states = total(metric("images"), "state")
    yield graph("Images by state", text, COUNT, [(states, "{{instance}} {{state}}")], size=(8, 9))
    text = "All names of all images: an image is removed only with its last name."
    tags = {"instance": "Host", "repository": "Repository", "tag": "Tag", "image_id": "Id"}
    of_tags = f"{metric('image_tag_info')} * on ({', '.join(IMAGE)}) group_left ()"
    columns = [Column("Virtual", BYTES, f"{of_tags} {virtual}")]
    columns += [Column("Layers", COUNT, f"{of_tags} {metric('image_layers')}")]
    # An image that has lost layers has no size and no length, but it has a name.
    columns += [Column("Names", COUNT, metric("image_tag_info"))]
    yield listing("Tags", text, tags, columns, size=(8, 9))


def store() -> Panels:
    """The row of containerd's image store: its content by use, its namespaces, the build history."""
    text = (
        "Disk blocks of the blobs of containerd's image store by what needs them: a blob that several need counts for "
        f"the first. Snapshots, which are the unpacked layers, are in the row Layers. {BANDS}"
    )
    by = "{{instance}} {{use}}"
    yield graph("Content by use", text, BYTES, [(bands("content_allocated_bytes", "use"), by)], stacked=True)
    text = "Blobs by what needs them. Nothing needs orphaned ones: containerd removes them within seconds."
    yield graph("Blobs by use", text, COUNT, [(total(metric("content_blobs"), "use"), by)], stacked=True)
    only = 'namespace!=""'
    names = {"instance": "Host", "namespace": "Namespace"}
    columns = [Column("Snapshots on disk", BYTES, whole(total(metric("layers_allocated_bytes", only), "namespace")))]
    columns += [Column("Snapshots", COUNT, total(metric("layers", only), "namespace"))]
    columns += [Column("Images", COUNT, total(metric("images", only), "namespace"))]
    columns += [Column("Containers", COUNT, total(metric("containers", only), "namespace"))]
    text = "Docker has moby, Kubernetes k8s.io. They share blobs, not snapshots: what both have is on disk twice."
    yield listing("Namespaces", text, names, columns, size=(12, 9))
    text = f"Logs and traces of builds. No prune frees them: {PRUNE[Category.BUILD_HISTORY]} does."
    history = metric("content_allocated_bytes", 'use="build_history"')
    yield figure("Build history", text, BYTES, total(history), size=(6, 9), levels=((1e9, LATER),))
    text = "Builds of which the history is kept."
    yield figure("Builds in the history", text, COUNT, total(metric("build_history_records")), size=(6, 9))
    names = {"instance": "Host", "namespace": "Namespace", "image": "Image", "image_id": "Id"}
    text = "The two parts of an image's size: compressed content, and snapshots. Without snapshots no container starts."
    columns = _ranked(
        Column("Content", BYTES, image(metric("image_content_size_bytes"))),
        IMAGE,
        Column("Unpacked", BYTES, image(metric("image_unpacked_size_bytes"))),
    )
    yield listing("Content and snapshots of images", text, names, columns)


def containers() -> Panels:
    """The row Containers: which write, log without limit, or use space although they are stopped."""
    names = {"instance": "Host", "namespace": "Namespace", "pod": "Pod", "name": "Container", "image": "Image"}
    writable, log = metric("container_writable_size_bytes"), metric("container_log_size_bytes")
    checkpoints = metric("container_checkpoints_size_bytes")
    columns = _ranked(
        Column("Writable", BYTES, container(writable)),
        CONTAINER,
        Column("Blocks", BYTES, container(metric("container_writable_allocated_bytes"))),
        Column("Inodes", COUNT, container(metric("container_writable_inodes"))),
        Column("Virtual", BYTES, container(metric("container_virtual_size_bytes"))),
        Column("Log", BYTES, container(log)),
        Column("Checkpoints", BYTES, container(f"({checkpoints} or 0 * {writable})")),
        Column("Running", COUNT, container(metric("container_running")), words=yes_or_no(no="text")),
        Column("Age", TIME, container(f"(time() - {metric('container_created_timestamp_seconds')})")),
    )
    text = "The largest writable layers: their data is lost with the container. Move important data to a volume."
    yield listing("Containers", text, names, columns)
    by = "{{instance}} {{pod}} {{name}}"
    text = "What the containers have written into their writable layers, as docker ps -s shows it."
    yield graph("Writable layers", text, BYTES, [(lasting_top(container(writable), CONTAINER, writable), by)])
    text = "Slope over 15 minutes. A steady slope is often a cache or a log inside of the container."
    slope = lasting_top(container(f"deriv({writable}[15m])"), CONTAINER, writable)
    yield graph("Growth of writable layers", text, RATE, [(slope, by)])
    text = "Size of the logs with their rotated files."
    yield graph("Logs", text, BYTES, [(lasting_top(container(log), CONTAINER, log), by)])
    text = "Slope over ten minutes. A steep one fills the disk: see DockerContainerLogRunaway."
    slope = lasting_top(container(f"deriv({log}[10m])"), CONTAINER, log)
    yield graph("Growth of logs", text, RATE, [(slope, by)])
    unbounded = where(container(log), CONTAINER, f"{metric('container_log_bounded')} == bool 0")
    text = "Size of logs without a limit; 0 means that there is a limit. Set max-size and max-file for the log driver."
    yield bars("Unbounded logs", text, BYTES, top(unbounded), by)
    stopped = f"{metric('container_running')} == bool 0"
    held = f"({writable} + on ({', '.join(CONTAINER)}) ({log} or 0 * {writable}))"
    columns = _ranked(
        Column("Holds", BYTES, where(container(held), CONTAINER, stopped)),
        CONTAINER,
        Column("Stopped for", TIME, container(f"(time() - {metric('container_finished_timestamp_seconds')})")),
    )
    prune = PRUNE[Category.CONTAINERS_STOPPED]
    text = f"Writable layer and log of stopped containers; 0 means running. {prune} frees it."
    yield listing("Stopped but holding space", text, names, columns, size=(12, 9))
    states = total(metric("containers"), "state")
    text = "Containers by state. Many created, exited or dead ones mean that nothing removes them."
    yield graph("Containers by state", text, COUNT, [(states, "{{instance}} {{state}}")])
    limit = lasting_top(container(metric("container_log_limit_bytes")), CONTAINER, metric("container_log_limit_bytes"))
    text = "The largest size that a log with a limit can reach."
    yield graph("Log limits", text, BYTES, [(limit, by)])
    text = (
        "Writable layers by service: of a swarm, or compose project and service. It stays when containers are replaced."
    )
    shown = f"topk($top, {whole(by_service(writable))})"
    yield graph("Writable layers by service", text, BYTES, [(shown, "{{instance}} {{service}}")])
    used = f"({metric('container_writable_allocated_bytes')} / {metric('container_writable_limit_bytes')})"
    text = "How much of its --storage-opt size a writable layer takes; 0 means no limit. At 100 % every write fails."
    yield graph("Used of the writable limit", text, SHARE, [(top(container(f"({used} or 0 * {writable})")), by)])


def volumes() -> Panels:
    """The row Volumes: which are large or unused, and what a backup must cover."""
    size, users = metric("volume_size_bytes"), metric("volume_containers")
    columns = _ranked(
        Column("Size", BYTES, volume(size)),
        VOLUME,
        Column("Blocks", BYTES, volume(metric("volume_allocated_bytes"))),
        Column("Inodes", COUNT, volume(metric("volume_inodes"))),
        Column("Containers", COUNT, volume(users)),
    )
    names = {"instance": "Host", "volume": "Volume", "compose_project": "Project", "anonymous": "Anonymous"}
    text = "The largest volumes, and the number of containers that use them."
    yield listing("Volumes", text, names, columns)
    by = "{{instance}} {{name}}"
    text = "Size of volumes. Anonymous ones are shown by the first digits of their name."
    yield graph("Volume sizes", text, BYTES, [(short_volume(lasting_top(size, VOLUME, size)), by)])
    text = "Size of volumes that no container mounts; 0 means in use. Check the content before you prune volumes."
    yield bars("Unused volumes", text, BYTES, short_volume(top(where(size, VOLUME, f"{users} == bool 0"))), by)
    named, none = volume(size), f"0 * {total(metric('volumes'))}"
    missing = '"compose_project", "no project", "compose_project", ""'
    text = "Volume data by compose project, and of all others."
    shown = f"{total(f'label_replace({named}, {missing})', 'compose_project')} or label_replace({none}, {missing})"
    yield graph("By compose project", text, BYTES, [(whole(shown), "{{instance}} {{compose_project}}")], size=(8, 9))
    text = "Unused anonymous volumes are often left by docker run without --rm."
    counted = total(metric("volumes"), "state", "anonymous")
    legend = "{{instance}} {{state}}, anonymous {{anonymous}}"
    yield graph("Volumes by use", text, COUNT, [(counted, legend)], size=(8, 9))
    text = "Data that is only in writable layers: no backup of volumes and bind mounts has it."
    only = [Column("Only in the container", BYTES, top(container(metric("container_writable_size_bytes"))))]
    yield listing("Not in any volume", text, {"instance": "Host", "name": "Container"}, only, size=(8, 9))
    yield _mounts()


def _mounts() -> Builder[board.Panel]:
    mount = metric("container_mount_info")
    volume_mount = metric("container_mount_info", 'kind="volume"')
    by_volume = f'label_replace({volume_mount}, "volume", "$1", "source", "(.*)")'
    sized = f"{by_volume} * on ({', '.join(VOLUME)}) group_left () {metric('volume_size_bytes')}"
    labels = ("instance", "name", "kind", "source", "destination", "mode")
    by = f"max by ({', '.join((*HOST, *labels[1:]))})"
    sizes = f"{by} ({container(sized)})"
    columns = [Column("Mounts", COUNT, f"{by} ({container(mount)})")]
    columns += [Column("Size", BYTES, sizes)]
    headings = ("Host", "Container", "Kind", "Source", "In the container", "Mode")
    text = "What a backup must cover. Bind mounts are outside of the data root and have no size here."
    return listing("Bind mounts and volumes by container", text, dict(zip(labels, headings, strict=True)), columns)


def clean_up() -> Panels:
    """The row Clean-up: what can be freed, and by which command."""
    by = "{{instance}} {{category}}"
    order = ", ".join(Category)
    text = (
        f"What the prune of each category frees after those before it, so they add up. The order is {order}. While a "
        "first scan goes on, a category is absent until it is known."
    )
    reclaimable = total(metric("reclaimable_bytes"), "category")
    yield graph("Reclaimable by category", text, BYTES, [(reclaimable, by)], stacked=True)
    columns = [Column("Frees", BYTES, reclaimable)]
    columns += [Column("Objects", COUNT, total(metric("reclaimable_objects"), "category"))]
    text = (
        "Bytes and objects by category; docker-storage-exporter df has the command for each. A category is absent "
        "where it is not known. No prune removes layers_orphaned: see DockerStorageOrphanedLayers."
    )
    yield listing("Reclaimable", text, {"instance": "Host", "category": "Category"}, columns, size=(12, 9))
    text = f"BuildKit's cache by component. {PRUNE[Category.BUILD_CACHE]} frees what images do not need. {BANDS}"
    cache = bands("build_cache_allocated_bytes", "component")
    yield graph("Build cache", text, BYTES, [(cache, "{{instance}} {{component}}")], stacked=True, size=(16, 8))
    text = "Records of the build cache, as docker system df counts them."
    yield figure("Build cache records", text, COUNT, total(metric("build_cache_records")), size=(4, 8))
    text = "Size of the records that no image shares, as docker system df shows it."
    yield figure("Build cache size", text, BYTES, total(metric("build_cache_size_bytes")), size=(4, 8))
    yield _records()


def _records() -> Builder[board.Panel]:
    size = metric("build_cache_record_size_bytes")
    used, created = (
        f"(time() - {metric(f'build_cache_record_{when}_timestamp_seconds')})" for when in ("last_used", "created")
    )
    columns = _ranked(
        Column("Size", BYTES, record(size)),
        RECORD,
        Column("Uses", COUNT, record(metric("build_cache_record_uses"))),
        Column("Last used", TIME, record(used)),
        Column("Age", TIME, record(created)),
    )
    text = f"The largest records. {PRUNE[Category.BUILD_CACHE]} removes those that no build uses."
    names = {"instance": "Host", "record_id": "Record", "type": "Type", "shared": "Shared"}
    return listing("Largest build cache records", text, names, columns)
