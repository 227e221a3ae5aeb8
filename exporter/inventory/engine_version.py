"""Finds the version of the engine that wrote a data root. No file names it; these are what an engine leaves there.

| evidence | Docker | source |
|---|---|---|
| `engine-id` | 23.0 and newer | daemon/daemon.go (NewDaemon), made at each start where it is not there |
| `trust`, without `engine-id` | 1.3 to 20.10 | daemon/daemon.go (NewDaemon), made at each start |
| `buildkit` | 18.09 and newer, 18.06 with experimental features | cmd/dockerd/daemon.go, made at each start |
| `plugins` | 1.13 and newer | plugin/manager.go (NewManager), made at each start |
| images of layerdb | 1.10 and newer | layer/filestore.go |
| images in `graph` alone | 1.9 and older | 1.10 moves them to layerdb when it starts (migrate/v1) |
| `network` | 1.9 and newer | libnetwork datastore/datastore.go (local-kv.db) |
| `SecretReferences` in config.v2.json | 1.13 and newer | container/container_unix.go |
| `KernelMemory` 0 in hostconfig.json | 1.9 to 20.10 | api/types/container/host_config.go; 23.0 leaves a 0 out |

The files of a container are written again whenever its state changes, and from 17.10 on at each start of the engine
(daemon/container.go, Register). `docker_version` of an image is that of the engine that built it, wherever that was.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from exporter.core.data_root import DataRoot
from exporter.core.engine_version import NO_EVIDENCE, EngineVersion, combined
from exporter.core.model import Container
from exporter.inventory.drivers import Driver
from exporter.inventory.files.values import Json


def written_by(config: Json, host: Json) -> EngineVersion:
    """The versions that can have written the files of a container last."""
    secrets = (1, 13) if "SecretReferences" in config else None
    if "KernelMemory" not in host:
        return EngineVersion(secrets)
    return EngineVersion(secrets or (1, 9), (23, 0) if host["KernelMemory"] == 0 else None)


def evidence(container: Container) -> EngineVersion:
    """The versions that a container tells of: none, where the engine does not load it and never writes its files."""
    return NO_EVIDENCE if container.unloaded else container.written_by


def engine_version(
    names: Collection[str], layouts: Collection[str], of_containers: Iterable[EngineVersion]
) -> EngineVersion:
    """The versions that the engine can have. `names` are the entries of the root, `of_containers` their `evidence`."""
    return combined((_by_entries(names, layouts), *of_containers))


def current_driver(root: DataRoot, drivers: Sequence[Driver], active: Mapping[str, float]) -> str:
    """The driver that the engine works with, of those that have images or containers; "" for no driver.

    An engine loads the images and containers of one driver only. It is the one whose directory changed last: all that
    an engine makes or removes has an entry there. `active` has the times of drivers whose directory others use, too.
    """

    def last(driver: Driver) -> float:
        return active[driver.name] if driver.name in active else root.modified(driver.layers)

    return max(drivers, key=last).name if drivers else ""


def _by_entries(names: Collection[str], layouts: Collection[str]) -> EngineVersion:
    if "engine-id" in names:
        return EngineVersion((23, 0))
    old = "trust" in names
    if "graph" in layouts and len(layouts) == 1:
        if "network" in names:
            return EngineVersion((1, 9), (1, 10))
        return EngineVersion(None, (1, 9) if old else (1, 10))
    if "buildkit" in names:
        return EngineVersion((18, 6), (23, 0) if old else None)
    if "plugins" in names:
        return EngineVersion((1, 13), (18, 9) if old else None)
    return EngineVersion((1, 10) if "layerdb" in layouts else None, (1, 13) if old else None)
