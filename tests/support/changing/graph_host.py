"""A root of Docker 1.5 that changes at random."""

import shutil
from collections.abc import Callable
from pathlib import Path

from exporter.demo.layerdb import digest
from exporter.demo.writer import GraphWriter
from tests.support.changing.host import FILES, Host

_PARTS = ("diff", "layers", "mnt")


class GraphHost(Host):
    """A root of Docker 1.5."""

    def __init__(self, path: Path, seed: int, most: int = 60) -> None:
        self._writer = GraphWriter(path, "aufs")
        self._base = digest("base")
        self._writer.image(self._base, files=FILES, layersize=1)
        self._images, self._containers = [self._base], list[str]()
        self._volumes, self._tags = list[str](), list[str]()
        super().__init__(path, seed, most)

    @property
    def additions(self) -> list[Callable[[], None]]:
        return [self._image, self._container, self._tag, self._volume]

    @property
    def removals(self) -> list[Callable[[], None]]:
        return [self._remove, self._remove_image, self._remove_volume, self._untag, self._lose, self._put]

    def writable(self, container: str) -> Path:
        return self.path / "aufs/diff" / container

    def count(self) -> int:
        return len(self._images) + len(self._containers) + len(self._volumes)

    def _image(self) -> None:
        made, size = digest(self.name()), self._random.choice([None, 1])
        self._writer.image(made, self.pick(self._images), files=FILES, layersize=size)
        self._images.append(made)

    def _container(self) -> None:
        self._containers.append(digest(self.name()))
        mounted = self.pick(["", *self._volumes])
        volumes = {"/data": f"/var/lib/docker/volumes/{mounted}/_data"} if mounted else {}
        image = self.pick(self._images)
        self._writer.container(self._containers[-1], image, name=self.name(), writable=FILES, volumes=volumes)

    def _tag(self) -> None:
        self._tags.append(self.name())
        self._writer.tag("app", self._tags[-1], self.pick(self._images))

    def _untag(self) -> None:
        if gone := self.take(self._tags):
            self._writer.untag("app", gone)

    def _volume(self) -> None:
        self._volumes.append(digest(self.name()))
        self._writer.volume(self._volumes[-1], FILES, form="1.9")

    def _remove(self) -> None:
        if gone := self.take(self._containers):
            self._writer.remove_container(gone)

    def _remove_image(self) -> None:
        """Remove the newest image; what was lost of it is no obstacle."""
        if len(self._images) > 1:
            gone = self._images.pop()
            self.path.joinpath("graph", gone).mkdir(exist_ok=True)
            self._writer.remove_image(gone)

    def _remove_volume(self) -> None:
        if gone := self.take(self._volumes):
            shutil.rmtree(self.path / "volumes" / gone)

    def _lose(self) -> None:
        """Lose one part of an image, or of the layer of a container. Others may be built on it."""
        parts = [Path("graph", self.pick(self._images))]
        parts += [Path("aufs", part, self.pick([*self._images, *self._containers])) for part in _PARTS]
        self.lose(self.path / self._random.choice(parts))

    def _put(self) -> None:
        """Put something in the place of an object, or take it away, or put something else there."""
        store = self.pick(["aufs/diff", "aufs/layers", "containers", "graph"])
        stray = self.path / store / digest(f"stray{self._random.randrange(2)}")
        self.lose(stray)
        put: list[Callable[[], None]] = [stray.touch, stray.mkdir, lambda: None]
        if store.startswith("aufs"):  # of a container behind a link, what was known before counts
            put.append(lambda: stray.symlink_to("nowhere"))
        self.choose(put)()
