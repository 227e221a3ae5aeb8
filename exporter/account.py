"""All that follows from one `Snapshot`, each figure worked out when it is first asked for and then kept.

Metrics, the document and the pages show the same figures: they are not to be worked out three times.
"""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

from exporter import accounting
from exporter.accounting import BuildCacheFigures, ContainerFigures, ImageFigures, LayerKey, LayerSum
from exporter.measured import Usage
from exporter.model import Snapshot, Use
from exporter.reclaim import Reclaim, reclaim


class Account:
    """The figures of one snapshot, which does not change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @cached_property
    def layer_sizes(self) -> Mapping[LayerKey, int]:
        """Every layer's own size as Docker counts it, bytes."""
        return accounting.layer_sizes(self.snapshot)

    @cached_property
    def images(self) -> Mapping[tuple[str, str], ImageFigures]:
        """The figures of every image by (driver, id)."""
        return accounting.images(self.snapshot, self.layer_sizes)

    @cached_property
    def layers(self) -> Mapping[tuple[str, Use], LayerSum]:
        """The layers on disk by driver and use."""
        return accounting.layers(self.snapshot, self.layer_sizes)

    @cached_property
    def containers(self) -> Mapping[str, ContainerFigures]:
        """The figures of every container by its id."""
        return accounting.containers(self.snapshot, self.layer_sizes, self.images)

    @cached_property
    def directories(self) -> Mapping[str, Usage]:
        """The usage of every top-level entry, and of the root itself as `.`."""
        return accounting.directories(self.snapshot)

    @cached_property
    def volumes(self) -> Mapping[str, Usage | None]:
        """What every volume holds, by name."""
        return accounting.volumes(self.snapshot)

    @cached_property
    def volume_containers(self) -> Counter[str]:
        """How many containers mount each volume."""
        return accounting.volume_containers(self.snapshot)

    @cached_property
    def build_cache(self) -> BuildCacheFigures:
        """BuildKit's cache."""
        return accounting.build_cache(self.snapshot)

    @cached_property
    def reclaim(self) -> Reclaim:
        """What a clean-up would free."""
        return reclaim(self.snapshot)
