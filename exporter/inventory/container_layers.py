"""Where the layers of containers are, and what about them is not known."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.knowledge import Input
from exporter.core.model import Container, LayerId
from exporter.core.splices import hunks, replaced
from exporter.inventory.drivers import DRIVERS
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import Reader
from exporter.inventory.layout_parts import LayoutParts
from exporter.inventory.layouts.part import ContainerPlaces, DriverPart, Renewed

#: The drivers that are none of containerd's snapshotters: what describes their layers is in `image` or `graph`.
_WITH_IMAGES_HERE = {one.name for one in DRIVERS} - {"btrfs", "zfs", "fuse-overlayfs"}


def place_container(container: Container, parts: LayoutParts, stores: Mapping[str, LayerStore]) -> Container:
    """Find a container's layers, in the newest layout that knows the container.

    If none does, its layer has its id (Docker 1.0 to 1.9, and containers migrated from there). A container without a
    driver gets that of its layer, or the only driver of the root.
    """
    own = parts.by_driver.get(container.driver, [])
    for part in (*own, *(part for many in parts.by_driver.values() for part in many)):
        found = part.container_layers(container.id)
        if found is not None:
            container = replace(
                container,
                driver=part.store.driver.name,
                layer=found.layer,
                init=found.init,
                chain=found.chain,
                cut=found.cut,
                namespace=found.namespace,
                metadata=(*container.metadata, *found.metadata),
            )
            break
    if container.layer is not None:
        return container
    name = LayerId(container.id)
    having = [driver for driver, store in stores.items() if name in store.names]
    having += [driver for driver, store in stores.items() if not store.listed]
    driver = container.driver or next(iter(having), next(iter(stores)) if len(stores) == 1 else "")
    own_layer = name if driver in having else None
    return replace(container, driver=driver, namespace=parts.namespace_of(driver), layer=own_layer)


def note_undescribed(reader: Reader, parts: LayoutParts) -> None:
    """Note the graph drivers that have layers on disk and that no layout describes."""
    for driver in DRIVERS:
        if driver.name in parts.by_driver or not driver.layers:
            continue
        if any(name not in driver.own for name in reader.listing(driver.layers) or ()):
            for source in (Input.IMAGE_CONFIGS, Input.LAYER_STORES, Input.NAMES):
                reader.gap(source, driver.layers, "nothing describes these layers", driver=driver.name)


def note_unplaced(reader: Reader, containers: Iterable[Container], parts: LayoutParts) -> None:
    """Note the containers whose layers are written down nowhere: any layer of their driver may be one of theirs."""
    if not any(part.describes_containers for many in parts.by_driver.values() for part in many):
        return
    # Only an image without layers is below a container without a layer below.
    empty = {(image.driver, image.id) for image in parts.images if not (image.layers or image.broken)}
    odd = (one for one in containers if one.layer is None or not (one.chain or one.missing or one.namespace))
    for one in odd:
        mine = parts.by_driver.get(one.driver, ())
        tree = ("image", one.driver, "layerdb", "mounts", one.id)
        if one.going or not mine or not any(part.describes_containers for part in mine):
            continue
        if one.layer is None and not _is_placed(one, mine):
            reader.gap(Input.LAYER_STORES, tree, "it names no layer", driver=one.driver, object_id=one.id)
        elif one.layer is not None and (one.driver, one.image_id) not in empty:
            reader.gap(Input.LAYER_STORES, tree, "it names no layers below", driver=one.driver, object_id=one.id)


def with_unloaded(reader: Reader, container: Container, parts: LayoutParts, current: str) -> Container:
    """Add why the engine does not load a container because of its driver or its layers.

    The newest layout of a driver knows the layers. `current` is the driver that the engine works with, "" if unknown.
    """
    own = parts.by_driver.get(container.driver)
    if container.unloaded or not container.driver or (parts.unmeasured and container.driver not in _WITH_IMAGES_HERE):
        return container
    if not own:
        known = reader.exists(("image", container.driver))
        return (
            container if known else replace(container, unloaded=f"nothing describes the layers of {container.driver}")
        )
    if current not in ("", container.driver):
        kind = "snapshotter" if container.namespace else "graph driver"
        why = f"it is of the {kind} {container.driver}, and the engine works with {current}"
        return replace(container, unloaded=why)
    why = own[0].why_not_loaded(container.id)
    return replace(container, unloaded=why) if why else container


class KnownFacts(Struct):
    """What was worked out of containers in the last reading, each with all that it depended on.

    `context`: what it depended on for all of them. `together`: by kind. `results`: by kind and id of the container,
    where it is not known of the places of some part whether they are as they were.
    """

    context: object = None
    results: dict[str, dict[str, tuple[Container, object, Container]]] = field(default_factory=dict)
    together: dict[str, "Together"] = field(default_factory=dict)


class Together(Struct, frozen=True):
    """The results of one kind: of these containers, by the places of all parts and by what else they depended on.

    Of what was not noted, the result is None.
    """

    containers: Sequence[Container]
    places: tuple[object, ...] | None
    more: object
    results: Sequence[Container | None]


class LayerFacts:
    """Works out what depends on a container's layers, and takes what is known where that is as it was."""

    def __init__(self, parts: LayoutParts, known: KnownFacts) -> None:
        self._parts = [part for many in parts.by_driver.values() for part in many]
        self._known = known
        self._of: dict[str, object] = {}
        namespaces = {name: parts.namespace_of(name) for name in parts.by_driver}
        renamed = {old: new for part in parts.by_layout.values() for old, new in part.renamed.items()}
        listed = [
            (name, len(many), many[0].store.listed, many[0].describes_containers)
            for name, many in parts.by_driver.items()
        ]
        context = (namespaces, renamed, listed, parts.unmeasured)
        if known.context != context:
            known.context = context
            known.results, known.together = {}, {}
        places = tuple(part.places for part in self._parts)
        #: Where it is as it was, the results for the same containers are, too.
        self._places = None if None in places else places
        #: The places of an earlier reading, and the ids of which something else is said since.
        self._compared: tuple[object, Renewed | None] = None, None

    def still_known(self, kind: str, containers: Sequence[Container], more: object = None) -> list[Container | None]:
        """The results of this kind that depend on nothing that has changed; None for the other containers."""
        known = self._known.together.get(kind)
        changed = None if known is None or known.more != more else self._changed(known.places)
        if known is None or changed is None:
            return [None] * len(containers)
        # Of one that came, which most often has all that has changed, there is no result.
        where = hunks(known.containers, containers)
        middles = [[None] * (hunk.end_now - hunk.start_now) for hunk in where]
        found: list[Container | None] = replaced(known.results, where, middles)
        come = {one.id for hunk in where for one in containers[hunk.start_now : hunk.end_now]}
        if changed.images or not changed.containers <= come:
            ids, images = changed.containers, changed.images
            for at in [at for at, one in enumerate(containers) if one.id in ids or one.image_id in images]:
                found[at] = None
        return found

    def _changed(self, before: tuple[object, ...] | None) -> Renewed | None:
        """The containers and images of which something else is said than in a reading before; None: it may be any."""
        if self._places is None or before is None or len(before) != len(self._places):
            return None
        if self._compared[0] is not before:
            self._compared = before, _changed_places(self._places, before)
        return self._compared[1]

    def note_all(
        self, kind: str, containers: Sequence[Container], results: Sequence[Container | None], more: object = None
    ) -> None:
        """Note the results for all containers, for the next reading; None for those that were not noted."""
        self._known.together[kind] = Together([*containers], self._places, more, results)
        if self._places is not None:  # then these are enough, and those by container would take as much again
            self._known.results.pop(kind, None)
            return
        noted = self._known.results.setdefault(kind, {})
        if len(noted) > len(containers):
            for gone in noted.keys() - {one.id for one in containers}:
                del noted[gone]

    def known(self, kind: str, container: Container, more: object = None) -> Container | None:
        """The result of this kind for a container; None where it is not known."""
        known = self._known.results.get(kind, {}).get(container.id)
        if known is None or known[0] is not container or known[1] != (self._depends_on(container), more):
            return None
        return known[2]

    def note(self, kind: str, container: Container, result: Container | None, more: object = None) -> Container | None:
        """Note a result of this kind, and return it.

        None where there is none, or the container is one that something is to be found of later.
        """
        noted = self._known.results.setdefault(kind, {})
        if result is None or result.layer is None or self._depends_on(container) is None:
            noted.pop(container.id, None)
            return None
        if self._places is None:
            noted[container.id] = container, (self._depends_on(container), more), result
        return result

    def _depends_on(self, container: Container) -> object:
        if container.id not in self._of:
            found = tuple(part.places_of(container) for part in self._parts)
            self._of[container.id] = None if None in found else found
        return self._of[container.id]


def _changed_places(now: Sequence[object], before: Sequence[object]) -> Renewed | None:
    containers, images = set[str](), set[str]()
    for one, other in zip(now, before, strict=True):
        changed = one.changed(other) if isinstance(one, ContainerPlaces) else None if one != other else Renewed()
        if changed is None:
            return None
        containers |= changed.containers
        images |= changed.images
    return Renewed(containers, images)


class Removals:
    """Tells the containers that are removed while they are read: without a layer, and then without a directory.

    An engine with containerd's store removes the snapshot first, and then the directory of a container.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waited = False

    def has_gone(self, container: Container) -> bool:
        """Whether a container without a layer is gone by now. The first one gets a moment for that."""
        home = container.metadata[:1]
        if not container.namespace or not home:
            return False
        if self._reader.root.is_directory(home[0]) and not self._waited:
            self._waited = True
            self._reader.wait()
        return not self._reader.root.is_directory(home[0])


def with_missing(container: Container, parts: LayoutParts, removals: Removals) -> Container:
    """Note the layers of a container that are not on disk. One that is being removed has none.

    The newest layout knows the layers below the container.
    """
    own = parts.by_driver.get(container.driver)
    if own is None or container.going:
        return container
    part = own[0]
    own_layer = (container.id,) if container.layer is None and _is_placed(container, own) else ()
    if own_layer and removals.has_gone(container):
        return container
    missing = (*part.missing_below(container), *own_layer)
    return replace(container, missing=missing) if missing != container.missing else container


def _is_placed(container: Container, parts: Sequence[DriverPart]) -> bool:
    """Whether it is known which layer is a container's own: else it cannot be told whether that is on disk."""
    if not parts[0].describes_containers:
        return True
    return any(part.knows_layer(container.id) for part in parts)
