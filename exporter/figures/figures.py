"""The figures of one `Snapshot`. Each is computed when it is first asked for, and kept.

Metrics, the document and the pages show the same figures.
"""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

from exporter.core.measured import Usage
from exporter.core.model import LayerKey, Snapshot, Use
from exporter.figures import sizes
from exporter.figures.reclaim import Reclaim, reclaim
from exporter.figures.sizes import BuildCacheFigures, ContainerFigures, ImageFigures, LayerSum


class Figures:
    """The figures of one snapshot, which does not change."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    @cached_property
    def layer_sizes(self) -> Mapping[LayerKey, int]:
        """Every layer's own size as Docker counts it, bytes."""
        return sizes.layer_sizes(self.snapshot)

    @cached_property
    def images(self) -> Mapping[tuple[str, str], ImageFigures]:
        """The figures of every image by (driver, id)."""
        return sizes.images(self.snapshot, self.layer_sizes)

    @cached_property
    def layers(self) -> Mapping[tuple[str, Use], LayerSum]:
        """The layers on disk by driver and use."""
        return sizes.layers(self.snapshot, self.layer_sizes)

    @cached_property
    def containers(self) -> Mapping[str, ContainerFigures]:
        """The figures of every container by its id."""
        return sizes.containers(self.snapshot, self.layer_sizes, self.images)

    @cached_property
    def directories(self) -> Mapping[str, Usage | None]:
        """The usage of every top-level entry, and of the root itself as `.`; None where it is not known."""
        return sizes.directories(self.snapshot)

    @cached_property
    def volumes(self) -> Mapping[str, Usage | None]:
        """What every volume holds, by name."""
        return sizes.volumes(self.snapshot)

    @cached_property
    def volume_containers(self) -> Counter[str]:
        """How many containers mount each volume."""
        return sizes.volume_containers(self.snapshot)

    @cached_property
    def build_cache(self) -> BuildCacheFigures:
        """BuildKit's cache."""
        return sizes.build_cache(self.snapshot)

    @cached_property
    def reclaim(self) -> Reclaim:
        """What a clean-up would free."""
        return reclaim(self.snapshot)
