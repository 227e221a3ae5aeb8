"""Reads the metadata of a root, once or again and again with what was kept of the readings before."""

from dataclasses import dataclass, field
from pathlib import Path

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.core.model import Inventory
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.problems import Problems
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.read import read_inventory


@dataclass
class Reads:
    """The readings of one root. `further` are further roots."""

    path: Path
    further: tuple[Path, ...] = ()
    grace: Grace = field(default_factory=lambda: Grace(600))
    inventory: Inventory = field(default_factory=Inventory)
    problems: Problems = field(default_factory=Problems)
    memo: Memo = field(default_factory=Memo)

    def again(self, *dirty: Tree, everything: bool = False) -> Inventory:
        """Read what has changed since the last reading: what may be read again of itself, and these entries."""
        self.problems = Problems()
        self.memo.begin(Dirty(frozenset(dirty), everything))
        with DataRoot(str(self.path), map(str, self.further)) as root:
            self.inventory, _ = read_inventory(root, self.inventory, self.grace, self.problems, self.memo)
        self.memo.end()
        return self.inventory


def read(path: Path, *further: Path) -> Inventory:
    """Read a root once."""
    return Reads(path, further).again(everything=True)
