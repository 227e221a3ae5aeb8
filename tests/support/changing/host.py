"""What all roots that change at random have in common."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.inventory.areas import find_areas

FILES = {"w": b"x"}
_WATCHED = ("containers", "volumes", "graph", "overlay2")
_SIZES = (0, 1, 4096, 9000)


class Host:
    """A root, and the changes that can be made to it.

    With about `most` objects, some are removed before others are added.
    """

    def __init__(self, path: Path, seed: int, most: int = 60) -> None:
        self.path = path
        self._most = most
        self._random = random.Random(seed)
        self._made = 0
        self._seen: dict[Tree, tuple[int, ...]] = {}
        #: What a file was before it was torn.
        self._torn: dict[Path, str] = {}
        for add in (*self.additions, *self.additions):
            add()

    @property
    def additions(self) -> list[Callable[[], None]]:
        """What adds an object."""
        raise NotImplementedError

    @property
    def removals(self) -> list[Callable[[], None]]:
        """What removes one, if there is one."""
        raise NotImplementedError

    @property
    def alterations(self) -> list[Callable[[], None]]:
        """What changes one, if there is one."""
        return [self._restart, self._work, self._replace, self._tear, self._mend, self._stray, self._tidy]

    def writable(self, container: str) -> Path:
        """The directory of the files that a container has written."""
        raise NotImplementedError

    def count(self) -> int:
        """How many objects there are."""
        raise NotImplementedError

    def change(self) -> None:
        """Do one thing."""
        additions = self.additions if self.count() < self._most else []
        self.choose([*additions, *self.removals, *self.alterations])()

    def settle(self) -> None:
        """Mend what is read only as long as it is known from before: a fresh process would not know it."""
        self._mend()

    def choose(self, those: list[Callable[[], None]]) -> Callable[[], None]:
        """One of these."""
        return self._random.choice(those)

    def size(self) -> int:
        """How much a file has."""
        return self._random.choice(_SIZES)

    def one_in(self, many: int) -> bool:
        """True in one of so many cases."""
        return not self._random.randrange(many)

    def name(self) -> str:
        """A name that nothing has."""
        self._made += 1
        return f"n{self._made}"

    def pick(self, names: list[str]) -> str:
        """One of these names."""
        return self._random.choice(names)

    def take(self, names: list[str]) -> str:
        """One of these names, which is none of them any more; "" where there is none."""
        return names.pop(self._random.randrange(len(names))) if names else ""

    def dirty(self) -> Dirty:
        """What has changed since the last call, as events tell."""
        before, self._seen = self._seen, _signatures(self.path)
        changed = {tree for tree in before.keys() | self._seen.keys() if before.get(tree) != self._seen.get(tree)}
        with DataRoot(str(self.path)) as root:
            areas = find_areas(root)
            return Dirty(frozenset(areas.entry_of(tree) for tree in changed if tree))

    def lose(self, path: Path) -> None:
        """Remove a file or a directory, if it is there."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _config(self) -> Path | None:
        """The settings of a container, which are not torn."""
        found = sorted({*self.path.glob("containers/*/config*.json")} - self._torn.keys())
        return self._random.choice(found) if found else None

    def _restart(self) -> None:
        if (config := self._config()) is not None:
            _note_restart(config)

    def _replace(self) -> None:
        """Write the settings as the daemon does: beside the old ones, and then under their name."""
        config = self._config()
        if config is not None:
            made = config.with_name(f".tmp-{config.name}")
            made.write_text(config.read_text().replace('"RestartCount": 1, ', "", 1))
            os.replace(made, config)

    def _work(self) -> None:
        """A container starts, writes, logs, and ends."""
        config = self._config()
        if config is None:
            return
        container = config.parent.name
        top = self.writable(container)
        if top.is_dir():
            at = top / self.pick(["a", "a/b", "c"])
            at.mkdir(parents=True, exist_ok=True)
            (at / f"f{self._random.randrange(9)}").write_bytes(b"y" * self.size())
            if self.one_in(4):
                self.lose(top / "a")
        with (config.parent / f"{container}-json.log").open("ab") as log:
            log.write(b"{}\n" * self.size())
        _note_restart(config)

    def _tear(self) -> None:
        """The disk was full while the settings were written."""
        config = self._config()
        if config is not None:
            self._torn[config] = config.read_text()
            config.write_text("{")

    def _mend(self) -> None:
        torn, self._torn = self._torn, {}
        for config, text in torn.items():
            if config.parent.is_dir():
                config.write_text(text)

    def _stray(self) -> None:
        """Somebody leaves something in the root or in one of its stores, of which the kernel tells."""
        top = self.path / self.pick(["", *_WATCHED]) / f"stray{self._random.randrange(5)}"
        if not top.parent.is_dir():
            return
        self.lose(top)
        if self.one_in(2):
            top.write_bytes(b"z" * self.size())
        else:
            (top / "in").mkdir(parents=True)
            (top / "in" / "it").write_bytes(b"z" * self.size())

    def _tidy(self) -> None:
        for stray in [one for pattern in ("stray*", "*/stray*") for one in self.path.glob(pattern)]:
            self.lose(stray)


def _note_restart(config: Path) -> None:
    config.write_text(config.read_text().replace("{", '{"RestartCount": 1, ', 1))


def _signatures(path: Path) -> dict[Tree, tuple[int, ...]]:
    found: dict[Tree, tuple[int, ...]] = {}
    for one in path.rglob("*"):
        status = one.lstat()
        times = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        found[one.relative_to(path).parts] = times[:1] if one.is_dir() and not one.is_symlink() else times
    return found
