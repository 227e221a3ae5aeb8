"""Which parts of a data root are to be read and measured again."""

from msgspec import Struct

from exporter.core.measured import Tree


class Dirty(Struct, frozen=True):
    """What is to be read and measured again: entries of stores and of the root itself, or everything."""

    entries: frozenset[Tree] = frozenset()
    everything: bool = False

    def covers(self, tree: Tree) -> bool:
        """Whether a tree is one of the entries, or lies in one."""
        return self.everything or any(tree[:length] in self.entries for length in range(1, len(tree) + 1))

    def read_again(self) -> set[Tree]:
        """The entries, and the directories that are listed again because an entry of theirs is dirty."""
        return {*self.entries, *(entry[:-1] for entry in self.entries)}
