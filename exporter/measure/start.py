"""Where a walk begins: what one worker hands over to another."""

from typing import NamedTuple

from exporter.core.measured import Tree


class Level(NamedTuple):
    """Directories to enter with all that is below them: `names` in the directory at `depth` of a path."""

    depth: int
    names: tuple[str, ...]


class Start(NamedTuple):
    """A part of a walk: the directories of `levels` along one path, or some `files` of the directory at its end.

    The path is there once, however many directories it is for, and is opened once. It is relative to the tree that is
    walked. What is on the path itself is counted by the walk that gave this away.
    """

    path: Tree = ()
    levels: tuple[Level, ...] = ()
    files: tuple[str, ...] = ()


#: A tree with all that is in it.
WHOLE = Start()
