"""What the layerdb layout and BuildKit need of each layer."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from exporter.core.model import BuildCache, Container, Layer, LayerId, Use
from exporter.inventory.buildkit import Builds, is_build_name, parents
from exporter.inventory.files.reader import is_id
from exporter.inventory.layouts.claims import Claims
from exporter.inventory.layouts.graph_claims import describe
from exporter.inventory.layouts.layerdb import Database, Entry


class Describer:
    """Describes the layers of one driver with what its database knows of them."""

    def __init__(self, database: Database, builds: Builds) -> None:
        self._database = database
        self._entries = {entry.cache: entry for entry in database.entries.values()}
        self._parents: dict[LayerId, tuple[LayerId, ...]] = parents(builds, database)
        for mount in database.mounts.values():
            below = self._cache(mount.parent)
            if mount.layer is not None:
                self._parents[mount.layer] = (*((mount.init,) if mount.init else ()), *below)
            if mount.init is not None:
                self._parents[mount.init] = below

    def _cache(self, chain: str) -> tuple[LayerId, ...]:
        return tuple(entry.cache for entry in self._database.chain(chain))[:1]

    def __call__(self, name: LayerId, use: Use) -> Layer:
        """Describe one layer."""
        database, entry = self._database, self._entries.get(name)
        if entry is None:
            return describe(database.store, name, use, self._parents.get(name, ()))
        return self._known(entry, use)

    def _known(self, entry: Entry, use: Use) -> Layer:
        below = self._cache(entry.parent)
        layer = describe(self._database.store, entry.cache, use, below, recorded=entry.size)
        home = (*self._database.base, "layerdb", "sha256", entry.chain)
        parent = below[0] if below else None
        return replace(layer, chain=entry.chain, parent=parent, metadata=(*layer.metadata, home))


def claim(
    database: Database, builds: Builds, cache: BuildCache, containers: list[Container], claims: Claims
) -> Describer:
    """Claim what images, `containers` (those of this driver) and the build cache need, in this order."""
    describer = Describer(database, builds)
    names: dict[LayerId, Use] = {}
    for image in database.images:
        names.update(dict.fromkeys(image.layers, Use.IMAGE))
    for container in containers:
        for name in (container.layer, container.init, *container.chain):
            if name is not None:
                names.setdefault(name, Use.CONTAINER)
    for name in (*cache.needs.get(database.driver, ()), *_left_by_builds(database)):
        names.setdefault(name, Use.BUILD_CACHE)
    there = {name: use for name, use in names.items() if database.has(name)}
    claims.add({name: describer(name, use) for name, use in there.items()})
    claims.pending |= database.moving
    claims.references += [*database.references(), ("containers",), ("buildkit",), ("buildkit", "snapshots.db")]
    claims.doubts.append(lambda: database.doubtful or builds.doubtful)
    return describer


def _left_by_builds(database: Database) -> Iterator[LayerId]:
    """Directories with BuildKit's names, and those of what it mounts: in doubt they are its own."""
    yield from (name for name in database.store.names if is_build_name(name))
    for name, mount in database.mounts.items():
        if not is_id(name):
            yield from (layer for layer in (mount.layer, mount.init) if layer is not None)
            yield from (entry.cache for entry in database.chain(mount.parent))


def settle(database: Database, container: Container) -> Container:
    """Find a container's layers by what `layerdb/mounts` says of it."""
    mount = database.mounts.get(container.id)
    if mount is None:
        return container
    names = [name if name is not None and database.has(name) else None for name in (mount.layer, mount.init)]
    home = (*database.base, "layerdb", "mounts", container.id)
    chain = tuple(entry.cache for entry in database.chain(mount.parent))
    return replace(
        container,
        driver=database.driver,
        layer=names[0],
        init=names[1],
        chain=chain,
        metadata=(*container.metadata, home),
    )


def missing_of_containers(database: Database, containers: list[Container]) -> Iterator[str]:
    """The layers that containers stand on and that are gone. Their image may be: `docker rmi -f` leaves its layers."""
    for container in containers:
        if container.going:
            continue
        mount = database.mounts.get(container.id)
        if container.layer is None:
            yield container.id
        if mount is None:
            continue
        if mount.parent and mount.parent not in database.entries:
            yield mount.parent
        yield from (entry.chain for entry in database.chain(mount.parent) if not database.has(entry.cache))


def adopt(layers: Mapping[str, Database], container: Container) -> Container:
    """Settle a container with the database that knows it; the driver that it names itself comes first."""
    first = layers.get(container.driver)
    for database in (*((first,) if first else ()), *layers.values()):
        if container.id in database.mounts:
            return settle(database, container)
    return container
