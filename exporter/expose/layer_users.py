"""Who uses the few layers or volumes that a page shows: names of images and containers."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from exporter.core.model import Container, Image, Layer, LayerKey, Volume
from exporter.core.text import label
from exporter.expose.listing import Users
from exporter.figures.figures import Figures

#: How many names are shown.
_NAMES = 3


def users_of_volumes(figures: Figures, volumes: Sequence[Volume]) -> tuple[Users, ...]:
    """The containers that mount each volume."""
    names: dict[str, list[str]] = {one.name: [] for one in volumes}
    for container in figures.snapshot.inventory.containers:
        for source in {mount.source for mount in container.mounts if mount.kind == "volume"} & names.keys():
            names[source].append(container_name(container))
    return tuple(_users(names[one.name], figures.volume_containers(one.name)) for one in volumes)


def users_of_layers(figures: Figures, layers: Sequence[Layer]) -> tuple[Users, ...]:
    """The images that have each layer, and the containers whose own it is; those that stand on it where no image does.

    The count is None where nobody is known: what uses a layer is not said by one object alone.
    """
    wanted = {one.key for one in layers}
    ids = {one.id for one in layers}
    own: dict[LayerKey, list[str]] = defaultdict(list)
    above: dict[LayerKey, list[str]] = defaultdict(list)
    for container in figures.snapshot.inventory.containers:
        for name in {container.layer, container.init} & ids:
            if name is not None:
                own[LayerKey(container.driver, name)].append(f"container {container_name(container)}")
        if not ids.isdisjoint(container.chain):
            for name in ids.intersection(container.chain):
                above[LayerKey(container.driver, name)].append(f"container {container_name(container)}")
    for image in figures.snapshot.inventory.images:
        if image.listed and (image.further or not ids.isdisjoint(image.layers)):
            for key in wanted.intersection(_keys(image)):
                own[key].append(f"image {image_name(image)}")
    found = (own.get(one.key) or above.get(one.key) or [] for one in layers)
    return tuple(_users(names, len(names) or None) for names in found)


def _keys(image: Image) -> Iterable[LayerKey]:
    yield from (LayerKey(image.driver, one) for one in image.layers)
    yield from image.further


def _users(names: list[str], count: int | None) -> Users:
    return Users(tuple(map(label, sorted(names)[:_NAMES])), count)


def container_name(container: Container) -> str:
    """What people call a container; that of a pod with the names of the pod."""
    if container.pod:
        return f"{container.pod_namespace}/{container.pod}/{container.pod_container or container.name}"
    return container.name or container.id[:12]


def image_name(image: Image) -> str:
    """An image's first name, or the beginning of its id."""
    if image.references:
        return ":".join(image.references[0])
    return image.digests[0] if image.digests else image.id[:12]
