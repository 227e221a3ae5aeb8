"""The state volumes of buildx builders: the build cache of a builder that runs in a container.

docker/buildx driver/docker-container/driver.go: the container of a node is `buildx_buildkit_<node>`, its volume has
`_state` behind that. store/nodegroup.go: a node is called by its builder and a number from 0 on.
"""

import re
from collections.abc import Iterable

from exporter.cli.commands.tables import size
from exporter.expose.snapshot_api.rows import VolumeRow

_STATE = re.compile(r"buildx_buildkit_([a-zA-Z][a-zA-Z0-9._-]*)[0-9]_state", re.ASCII)


def builder_of(volume: str) -> str:
    """The builder whose state a volume is, by the volume's name; "" for every other volume."""
    found = _STATE.fullmatch(volume)
    return found[1] if found else ""


def builder_note(volume: str) -> str:
    """What frees the state of a builder, in a few words; "" for a volume that is none."""
    name = builder_of(volume)
    return f"build cache of the builder {name}: docker buildx prune --builder {name} frees it" if name else ""


def builder_lines(volumes: Iterable[VolumeRow]) -> list[str]:
    """A line for each state volume: its size, and what frees it."""
    return [
        f"Volume {one.name}, {size(one.size)}: {builder_note(one.name)}, and docker buildx rm {builder} removes it "
        "with the builder. No volume prune takes it while the builder's container is there."
        for one in volumes
        if (builder := builder_of(one.name))
    ]
