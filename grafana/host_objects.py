"""The rows on objects: layers, images, containers, volumes, and what can be cleaned up."""

from collections.abc import Iterator

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as board

from grafana.panels import BYTES, COUNT, RATE, TIME, Column, bars, figure, graph, listing
from grafana.queries import (
    CONTAINER,
    IMAGE,
    RECORD,
    VOLUME,
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
)

Panels = Iterator[Builder[board.Panel]]


def _ranked(first: Column, on: tuple[str, ...], *others: Column) -> list[Column]:
    """The largest by the first column, and the other figures of the same objects."""
    ranking = top(first.expression)
    on_text = ", ".join(on)
    rest = [Column(one.heading, one.unit, f"({one.expression}) and on ({on_text}) {ranking}") for one in others]
    return [Column(first.heading, first.unit, ranking), *rest]


def layers() -> Panels:
    """What uses the layers on disk, and whether the stores agree."""
    by = "{{instance}} {{driver}} {{use}}"
    text = "Layers by what needs them. Pending ones come or go; orphaned ones are needed by nothing."
    yield graph("Layers by use", text, COUNT, [(total(metric("layers"), "driver", "use"), by)], stacked=True)
    text = "Disk blocks of the layers by what needs them, each inode once."
    shown = total(metric("layers_allocated_bytes"), "driver", "use")
    yield graph("Bytes by use", text, BYTES, [(shown, by)], stacked=True)
    text = "Entries of the store directories. They go up and down together; one that runs away has leftovers."
    entries = total(metric("store_entries"), "driver", "store")
    yield graph("Entries by store", text, COUNT, [(entries, "{{instance}} {{driver}} {{store}}")])
    text = "Layers in each use, as Docker counts their size, with disk blocks and inodes."
    columns = [Column("Layers", COUNT, total(metric("layers"), "driver", "use"))]
    columns += [Column("Size", BYTES, total(metric("layers_size_bytes"), "driver", "use"))]
    columns += [Column("Inodes", COUNT, total(metric("layers_inodes"), "driver", "use"))]
    names = {"instance": "Host", "driver": "Driver", "use": "Use"}
    yield listing("Layers", text, names, columns, size=(12, 9))
    text = "Referred to but not on disk: those images and containers cannot start. See DockerStorageMissingLayers."
    by = "{{instance}} {{driver}}"
    missing = total(metric("missing_layers"), "driver")
    yield figure("Missing layers", text, COUNT, missing, by, levels=((1, "red"),), size=(12, 4))
    text = "Layers in the longest chain. Docker refuses more than 125: flatten the image before."
    none = f"0 * {total(metric('images'), 'driver')}"
    deepest = f"max by (instance, driver) ({metric('image_layers')}) or {none}"
    yield figure("Deepest chain", text, COUNT, deepest, by, levels=((100, "orange"), (120, "red")), size=(12, 4))


def images() -> Panels:
    """Which images are large, shared and unused."""
    names = {"instance": "Host", "image": "Image", "image_id": "Id"}
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
    text = "Virtual is what docker images shows, Share divides shared layers fairly, Unique is what deleting frees."
    yield listing("Images", text, names, columns)
    by = "{{instance}} {{image}} {{image_id}}"
    text = "Shared layers divided by those that share them: all bars together are the size of all image layers."
    yield bars("Share of each image", text, BYTES, top(image(share)), by)
    text = "What deleting an image would free; 0 is an image that a container uses. Start at the top."
    free = where(image(unique), IMAGE, f"{users} == bool 0")
    yield bars("Unused images, by what deleting frees", text, BYTES, top(free), by)
    saved = f"{total(virtual)} - {total(share)} or 0 * {total(metric('images'))}"
    text = "What the images would take more, were no layer shared. Falls when images stop having a base in common."
    yield graph("Saved by sharing", text, BYTES, [(saved, "{{instance}}")], size=(8, 9))
    text = "Dangling images have no name and no use: docker image prune removes them."
    states = total(metric("images"), "state")
    yield graph("Images by state", text, COUNT, [(states, "{{instance}} {{state}}")], size=(8, 9))
    text = "Every name of every image: an image goes only when its last name does."
    tags = {"instance": "Host", "repository": "Repository", "tag": "Tag", "image_id": "Id"}
    of_tags = f"{metric('image_tag_info')} * on ({', '.join(IMAGE)}) group_left ()"
    # An image that has lost layers has no size, but it has a name.
    columns = [Column("Virtual", BYTES, f"{of_tags} {virtual}")]
    columns += [Column("Layers", COUNT, f"{of_tags} {metric('image_layers')}")]
    yield listing("Tags", text, tags, columns, size=(8, 9))


def containers() -> Panels:
    """Which containers write, log without limit, or hold space although they are stopped."""
    names = {"instance": "Host", "name": "Container", "image": "Image"}
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
        Column("Running", COUNT, container(metric("container_running"))),
        Column("Age", TIME, container(f"(time() - {metric('container_created_timestamp_seconds')})")),
    )
    text = "The largest writable layers: data that is lost with the container. Move what matters to a volume."
    yield listing("Containers", text, names, columns)
    by = "{{instance}} {{name}}"
    text = "What the containers have written into their own layer, as docker ps -s shows it."
    yield graph("Writable layers", text, BYTES, [(lasting_top(container(writable), CONTAINER, writable), by)])
    text = "Slope over a quarter of an hour. A steady one is a cache or a log inside the container."
    slope = lasting_top(container(f"deriv({writable}[15m])"), CONTAINER, writable)
    yield graph("Growth of writable layers", text, RATE, [(slope, by)])
    text = "Logs with their rotated files."
    yield graph("Logs", text, BYTES, [(lasting_top(container(log), CONTAINER, log), by)])
    text = "Slope over ten minutes. One that runs away fills the disk: see DockerContainerLogRunaway."
    slope = lasting_top(container(f"deriv({log}[10m])"), CONTAINER, log)
    yield graph("Growth of logs", text, RATE, [(slope, by)])
    unbounded = where(container(log), CONTAINER, f"{metric('container_log_bounded')} == bool 0")
    text = "Logs that nothing bounds; 0 has a limit. Set max-size and max-file for their log driver."
    yield bars("Unbounded logs", text, BYTES, top(unbounded), by)
    stopped = f"{metric('container_running')} == bool 0"
    held = f"({writable} + on ({', '.join(CONTAINER)}) ({log} or 0 * {writable}))"
    columns = _ranked(
        Column("Holds", BYTES, where(container(held), CONTAINER, stopped)),
        CONTAINER,
        Column("Stopped for", TIME, container(f"(time() - {metric('container_finished_timestamp_seconds')})")),
    )
    text = "Writable layer and log of containers that are stopped; 0 runs. docker container prune frees it."
    yield listing("Stopped but holding space", text, names, columns, size=(12, 9))
    states = total(metric("containers"), "state")
    text = "Containers by state. Many that are created, exited or dead: something does not clean up."
    yield graph("Containers by state", text, COUNT, [(states, "{{instance}} {{state}}")])
    limit = lasting_top(container(metric("container_log_limit_bytes")), CONTAINER, metric("container_log_limit_bytes"))
    text = "How large a bounded log can grow, for those that have a limit."
    yield graph("Log limits", text, BYTES, [(limit, by)])


def volumes() -> Panels:
    """Which volumes are large or unused, and what a backup must cover."""
    size, users = metric("volume_size_bytes"), metric("volume_containers")
    columns = _ranked(
        Column("Size", BYTES, volume(size)),
        VOLUME,
        Column("Blocks", BYTES, volume(metric("volume_allocated_bytes"))),
        Column("Inodes", COUNT, volume(metric("volume_inodes"))),
        Column("Containers", COUNT, volume(users)),
    )
    names = {"instance": "Host", "volume": "Volume", "compose_project": "Project", "anonymous": "Anonymous"}
    text = "The largest volumes and who uses them."
    yield listing("Volumes", text, names, columns)
    by = "{{instance}} {{name}}"
    text = "Which volume grows. Anonymous ones have the first digits of their name."
    yield graph("Volume sizes", text, BYTES, [(short_volume(lasting_top(size, VOLUME, size)), by)])
    text = "Volumes that no container mounts; 0 is in use. Look inside before docker volume prune."
    yield bars("Unused volumes", text, BYTES, short_volume(top(where(size, VOLUME, f"{users} == bool 0"))), by)
    named, none = volume(size), f"0 * {total(metric('volumes'))}"
    missing = '"compose_project", "no project", "compose_project", ""'
    text = "Volume data by compose project, and of volumes without one."
    shown = f"{total(f'label_replace({named}, {missing})', 'compose_project')} or label_replace({none}, {missing})"
    yield graph("By compose project", text, BYTES, [(shown, "{{instance}} {{compose_project}}")], size=(8, 9))
    text = "Anonymous volumes that nothing uses are what docker run without --rm leaves."
    counted = total(metric("volumes"), "state", "anonymous")
    legend = "{{instance}} {{state}}, anonymous {{anonymous}}"
    yield graph("Volumes by use", text, COUNT, [(counted, legend)], size=(8, 9))
    text = "Data of containers that no backup of volumes and bind mounts covers: it lies only in a writable layer."
    only = [Column("Only in the container", BYTES, top(container(metric("container_writable_size_bytes"))))]
    yield listing("Not in any volume", text, {"instance": "Host", "name": "Container"}, only, size=(8, 9))
    yield _mounts()


def _mounts() -> Builder[board.Panel]:
    mount = metric("container_mount_info")
    volume_mount = metric("container_mount_info", 'kind="volume"')
    by_volume = f'label_replace({volume_mount}, "volume", "$1", "source", "(.*)")'
    sized = f"{by_volume} * on ({', '.join(VOLUME)}) group_left () {metric('volume_size_bytes')}"
    labels = ("instance", "name", "kind", "source", "destination", "mode")
    sizes = f"max by ({', '.join(labels)}) ({container(sized)})"
    columns = [Column("Mounts", COUNT, f"max by ({', '.join(labels)}) ({container(mount)})")]
    columns += [Column("Size", BYTES, sizes)]
    headings = ("Host", "Container", "Kind", "Source", "In the container", "Mode")
    text = "What a backup must cover. Bind mounts lie outside the data root and have no size here."
    return listing("Bind mounts and volumes by container", text, dict(zip(labels, headings, strict=True)), columns)


def clean_up() -> Panels:
    """What can be freed, and by which command."""
    by = "{{instance}} {{category}}"
    text = "What a prune of each category frees after the ones before it: they add up."
    reclaimable = total(metric("reclaimable_bytes"), "category")
    yield graph("Reclaimable by category", text, BYTES, [(reclaimable, by)], stacked=True)
    columns = [Column("Frees", BYTES, reclaimable)]
    columns += [Column("Objects", COUNT, total(metric("reclaimable_objects"), "category"))]
    text = "Bytes and objects by category. layers_orphaned is removed by no prune: see the runbook."
    yield listing("Reclaimable", text, {"instance": "Host", "category": "Category"}, columns, size=(12, 9))
    text = "BuildKit's cache by what it consists of. docker builder prune frees it."
    cache = total(metric("build_cache_allocated_bytes"), "component")
    yield graph("Build cache", text, BYTES, [(cache, "{{instance}} {{component}}")], stacked=True, size=(16, 8))
    text = "Records of the build cache, as docker system df counts them."
    yield figure("Build cache records", text, COUNT, total(metric("build_cache_records")), size=(4, 8))
    text = "What docker system df says of the build cache: the records that no image shares."
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
    text = "The largest records. Large ones that were not used for long are what docker builder prune is for."
    names = {"instance": "Host", "record_id": "Record", "type": "Type", "shared": "Shared"}
    return listing("Largest build cache records", text, names, columns)
