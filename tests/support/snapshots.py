"""Snapshots without a data root: what is on disk is said in numbers, so that a figure can be worked out by hand."""

from collections.abc import Mapping
from typing import Any

from exporter.core.links import Links
from exporter.core.measured import Measured, Usage
from exporter.core.model import (
    Container,
    ContainerId,
    ContainerKey,
    ContainerState,
    Image,
    ImageId,
    ImageKey,
    Inventory,
    Layer,
    LayerId,
    Mount,
    Snapshot,
    Use,
    Volume,
)

#: The device that the root of a made snapshot is on, and another one.
HERE, ELSEWHERE = 1, 2


def tree(
    size: int, links: Mapping[int, tuple[int, int, int, int]] | None = None, *, device: int = HERE, inodes: int = 1
) -> Measured:
    """A tree of `size` bytes, allocated twice that so that the two are not taken for each other."""
    return Measured(Usage(size, 2 * size, inodes), (device, 1, 1), Links.of(links or {}), entries=inodes)


def shared(size: int, *, links: int = 2, seen: int = 1) -> tuple[int, int, int, int]:
    """An inode of `size` bytes that has links elsewhere, as `Links.of` takes it."""
    return size, 2 * size, links, seen


def layer(name: str, use: Use = Use.IMAGE, *, driver: str = "overlay2", **fields: Any) -> Layer:
    """A layer whose files lie in `<driver>/<name>`."""
    fields.setdefault("content", (driver, name))
    return Layer(driver, LayerId(name), use, **fields)


def image(name: str, *layers: str, driver: str = "overlay2", **fields: Any) -> Image:
    """An image on these layers, its own first, with metadata in `image/<name>`."""
    if "parent" in fields:
        fields["parent"] = ImageId(fields["parent"])
    fields.setdefault("metadata", (("image", name),))
    return Image(driver, ImageId(name), tuple(map(LayerId, layers)), **fields)


def container(name: str, *, driver: str = "overlay2", volumes: tuple[str, ...] = (), **fields: Any) -> Container:
    """A container that has exited, with metadata in `containers/<name>`."""
    fields.setdefault("state", ContainerState.EXITED)
    fields.setdefault("metadata", (("containers", name),))
    mounts = tuple(Mount("volume", one, f"/{one}", "rw") for one in volumes)
    return Container(driver, ContainerId(name), mounts=mounts, **fields)


def image_key(name: str, *, driver: str = "overlay2", namespace: str = "") -> ImageKey:
    """The key of an image."""
    return ImageKey(driver, namespace, ImageId(name))


def container_key(name: str, *, namespace: str = "") -> ContainerKey:
    """The key of a container."""
    return ContainerKey(namespace, ContainerId(name))


def volume(name: str, **fields: Any) -> Volume:
    """A volume of the local driver whose data lies in `volumes/<name>/_data`."""
    fields.setdefault("home", ("volumes", name))
    fields.setdefault("tree", ("volumes", name, "_data"))
    return Volume(name, **fields)


def snapshot(measured: Mapping[Any, Measured], **inventory: Any) -> Snapshot:
    """A snapshot of one driver, overlay2 unless `drivers` says otherwise, of a root that is on `HERE`."""
    inventory.setdefault("drivers", ("overlay2",))
    return Snapshot("/", 0.0, inventory=Inventory(**inventory), device=HERE, measured={(): tree(0), **measured})
