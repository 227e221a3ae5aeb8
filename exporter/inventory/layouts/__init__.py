"""How each generation of Docker lays out images and layers on the disk.

A layout is a class in `known`, a module that reads it, and one line in `LAYOUTS`. Several can be in one root: all that
are detected are read.
"""

from collections.abc import Iterable
from typing import Protocol

from exporter.core.area import Area
from exporter.core.data_root import DataRoot
from exporter.inventory.layouts.known import ContainerdLayout, GraphLayout, LayerdbLayout
from exporter.inventory.layouts.part import Part, Reading


class Layout(Protocol):
    """One way in which an engine keeps images and layers. `name` is the value of the label `layout`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def areas(self) -> Iterable[Area]:
        """The directories and files that it has below a root."""

    def detect(self, root: DataRoot) -> bool:
        """Say whether a root holds this layout."""

    def read(self, reading: Reading) -> Part:
        """Read all of it. What cannot be read is a problem of the reading's readers, and never raised."""


#: Oldest first.
LAYOUTS: tuple[Layout, ...] = (GraphLayout(), LayerdbLayout(), ContainerdLayout())
