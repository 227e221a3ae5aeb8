"""Finds objects of a `Document`: by id, by the beginning of an id, by name, and by layer."""

import posixpath
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

from exporter.config.settings import Config
from exporter.core.knowledge import Input
from exporter.core.text import short_ids, shorten
from exporter.expose.listing import NOBODY
from exporter.expose.snapshot_api.rows import ContainerRow, Document, ImageRow, LayerRow, VolumeRow
from exporter.inventory.drivers import INIT

NONE = "<none>"
_VIEW = "-view"
#: The length of the ids of BuildKit's records; those of other objects are longer.
_IDS = 25


class Index:
    """Finds objects of one document. The key of a layer is (driver, id)."""

    def __init__(self, document: Document) -> None:
        self.document = document
        #: The disk that the document is of; None where an exporter has told it.
        self.disk: Config | None = None
        self.layers: dict[tuple[str, str], LayerRow] = {(one.driver, one.id): one for one in document.layers}
        self.volumes: dict[str, VolumeRow] = {one.name: one for one in document.volumes}

    @cached_property
    def _short(self) -> dict[str, str]:
        ids = {one.id for one in self.document.images} | {one.id for one in self.document.containers}
        ids |= {one.image_id for one in self.document.containers if one.image_id}
        ids |= {part for one in self.document.layers for part in (_bare(one), one.chain) if part}
        short = short_ids(ids)
        return {one: short[one] for one in ids}

    def short(self, one: str) -> str:
        """The beginning of an id that is unique in the document, at least 12 digits."""
        bare = one.removesuffix(INIT)
        return self._short.get(bare, bare[:12]) + one[len(bare) :]

    def layer_name(self, layer: LayerRow) -> str:
        """What a layer is called in tables: the beginning of its chain id or id, or of a snapshot's key."""
        if not layer.namespace:
            return self.short(layer.chain or layer.id)
        bare = _bare(layer)
        suffix = layer.name.removeprefix("sha256:")[len(bare) :]
        known = self._short.get(bare)
        return shorten(layer.name) if known is None or len(bare) < _IDS else known + suffix

    def chain(self, image: ImageRow) -> list[LayerRow]:
        """The layers of an image that are on disk, the uppermost first; of several platforms one after the other."""
        found: dict[str, LayerRow] = {}
        for top in (image.layer, *image.further):
            at = top
            while at and at not in found and (layer := self.layers.get((image.driver, at))):
                found[at] = layer
                at = layer.parent
        return list(found.values())

    @cached_property
    def _images(self) -> dict[tuple[str, str], list[ImageRow]]:
        """The listed images by each of their layers."""
        users: dict[tuple[str, str], list[ImageRow]] = defaultdict(list)
        for image in self.document.images:
            if image.listed:
                for layer in self.chain(image):
                    users[image.driver, layer.id].append(image)
        return users

    @cached_property
    def _containers(self) -> dict[tuple[str, str], ContainerRow]:
        owners: dict[tuple[str, str], ContainerRow] = {}
        for one in self.document.containers:
            bases = [name for name in (one.id, one.layer) if name]
            for name in (*bases, *(base + INIT for base in bases), one.init):
                owners[one.driver, name] = one
        return owners

    @cached_property
    def _standing(self) -> dict[tuple[str, str], list[ContainerRow]]:
        """The containers by each of the image layers that they stand on, as far as these are on disk."""
        users: dict[tuple[str, str], list[ContainerRow]] = defaultdict(list)
        for one in self.document.containers:
            for at in self.below(one):
                users[one.driver, at].append(one)
        return users

    def below(self, container: ContainerRow) -> Iterator[str]:
        """The image layers that a container stands on, as far as they are on disk, the uppermost first."""
        seen: set[str] = set()
        at = container.base or container.image_id
        while at and at not in seen and (layer := self.layers.get((container.driver, at))):
            seen.add(at)
            yield at
            at = layer.parent

    def why_unlisted(self, source: Input) -> str:
        """Why not all objects of a kind are known; "" where they are. What is in one object may not be known then."""
        gaps = (one for one in self.document.gaps if one.input == source and not one.object)
        return next((f"{one.path}: {one.why}" for one in gaps), "")

    def images_with(self, layer: LayerRow) -> list[ImageRow]:
        """The listed images that contain a layer."""
        return self._images.get((layer.driver, layer.id), [])

    def container_of(self, layer: LayerRow) -> ContainerRow | None:
        """The container whose writable or init layer this is."""
        return self._containers.get((layer.driver, layer.id))

    def containers_from(self, image: ImageRow) -> list[ContainerRow]:
        """The containers that were made from an image."""
        of = image.driver, image.namespace, image.id
        return [one for one in self.document.containers if (one.driver, one.namespace, one.image_id) == of]

    def owner(self, layer: LayerRow) -> str:
        """The owner of a layer, as text."""
        init = "init layer of " if layer.id.endswith(INIT) else ""
        container = self.container_of(layer)
        if container is not None:
            return f"{init}container {container_name(container)}"
        if images := self.images_with(layer):
            return f"image {self.image_name(images[0])}{_more(images)}"
        if standing := self.standing_on(layer):
            return f"{self._image_of(standing[0])} of container {container_name(standing[0])}{_more(standing)}"
        if layer.held:
            part = f"{self._lost_image(layer.driver)} of " if layer.chain else init
            return f"{part}container {layer.held[:12]} (gone, but for its entry in layerdb/mounts)"
        return NOBODY.get(layer.use, layer.use)

    def is_left(self, layer: LayerRow) -> bool:
        """Whether nothing but an entry of `layerdb/mounts` needs a layer, and the container of that entry is gone."""
        return bool(layer.held) and not self.images_with(layer) and not self.standing_on(layer)

    def standing_on(self, layer: LayerRow) -> list[ContainerRow]:
        """The containers whose writable layer stands on an image layer, by name."""
        return sorted(self._standing.get((layer.driver, layer.id), []), key=container_name)

    def _image_of(self, container: ContainerRow) -> str:
        """The image of a container that no image of the document has the layers of."""
        of = container.driver, container.namespace, container.image_id
        known = any((one.driver, one.namespace, one.id) == of for one in self.document.images)
        return "image" if known else self._lost_image(container.driver)

    def _lost_image(self, driver: str) -> str:
        """An image that is not in the document: it is removed, unless images may be there that were not read."""
        return "image" if self._unread(("image_configs", "image_store", "names"), driver) else "image (removed)"

    def _unread(self, inputs: Collection[str], driver: str) -> bool:
        """Whether something of these inputs was not read, of all drivers or of this one."""
        return any(one.input in inputs and one.driver in ("", driver) for one in self.document.gaps)

    def is_nameless(self, image: ImageRow) -> bool | None:
        """Whether no tag and no digest names an image; None where its names could not be read."""
        if image.references or image.digests:
            return False
        return None if self.document.why_not("image_names", image.driver) else True

    def image_name(self, image: ImageRow) -> str:
        """An image's first reference, or its short id."""
        return next(iter((*image.references, *image.digests)), self.short(image.id))

    def is_called(self, image: ImageRow, name: str) -> bool:
        """Whether this is a whole name of an image."""
        return name in _named(image)

    @cached_property
    def users_of_volumes(self) -> dict[str, list[str]]:
        """The names of the containers that mount each volume."""
        users: dict[str, list[str]] = defaultdict(list)
        for container in self.document.containers:
            for name in {mount.source for mount in container.mounts if mount.kind == "volume"}:
                users[name].append(container_name(container))
        return users

    def meant(self, beginning: str) -> Iterator[LayerRow | ImageRow | ContainerRow]:
        """All objects with this beginning of an id, name of a container or reference of an image."""
        wanted = beginning.removeprefix("sha256:")
        for container in self.document.containers:
            names = (container.name, container.called)
            if container.id.startswith(wanted) or beginning.removeprefix("/") in names:
                yield container
        for image in self.document.images:
            if image.id.startswith(wanted) or beginning in _named(image):
                yield image
        for layer in self.document.layers:
            key = layer.name.removeprefix("sha256:")
            named = layer.id == wanted or key.startswith(wanted) if layer.namespace else layer.id.startswith(wanted)
            if named or (layer.chain and layer.chain.startswith(wanted)):
                yield layer

    def path(self, directory: str, root: str = "") -> str:
        """The path of a directory of the root, as a host path; "" for none."""
        return posixpath.join(root or self.document.root, directory) if directory else ""


def _bare(layer: LayerRow) -> str:
    """The id in the name of a layer, without what Docker and BuildKit add to it."""
    name = layer.name.removeprefix("sha256:") if layer.namespace else layer.id
    return name.removesuffix(INIT).removesuffix(_VIEW)


def _more(several: Sequence[object]) -> str:
    return f" and {len(several) - 1} more" if len(several) > 1 else ""


def container_name(container: ContainerRow) -> str:
    """A container's name, or the beginning of its id; of a pod's container the pod's name as well."""
    return container.called


def namespaces(document: Document) -> tuple[str, ...]:
    """The namespaces of containerd that have objects in a document, if they are several; else none."""
    rows: Iterable[ImageRow | ContainerRow | LayerRow] = (*document.images, *document.containers, *document.layers)
    found = sorted({row.namespace for row in rows})
    return tuple(found) if len(found) > 1 else ()


def familiar(name: str) -> set[str]:
    """The ways to write a reference of an image: whole, without the registry that Docker adds, without `:latest`."""
    short = name.removeprefix("docker.io/").removeprefix("library/") if name.startswith("docker.io/") else name
    return {one for both in (name, short) for one in (both, both.removesuffix(":latest"))} - {""}


def _named(image: ImageRow) -> set[str]:
    return {way for one in (*image.references, *image.digests) for way in familiar(one)}
