"""A root of Docker 20.10 with BuildKit that changes at random."""

import shutil
from collections.abc import Callable
from pathlib import Path

from exporter.demo.layerdb import LayerdbWriter, digest
from tests.support.changing.host import FILES, Host

_BASE = "base"


class LayerdbHost(Host):
    """A root of Docker 20.10 with BuildKit."""

    def __init__(self, path: Path, seed: int, most: int = 60) -> None:
        self._writer = LayerdbWriter(path)
        self._writer.layer(_BASE, 5).image(_BASE, _BASE, ["base:1"])
        self._images, self._containers, self._builds = [_BASE], dict[str, str](), list[str]()
        #: Layers of images that are gone, and volumes.
        self._left, self._volumes = list[str](), list[str]()
        super().__init__(path, seed, most)

    @property
    def additions(self) -> list[Callable[[], None]]:
        return [self._image, self._container, self._build, self._volume]

    @property
    def removals(self) -> list[Callable[[], None]]:
        return [
            *(self._remove_image, self._remove_layers, self._remove_container, self._remove_build),
            *(self._remove_volume, self._lose),
        ]

    def writable(self, container: str) -> Path:
        return self._writer.writable(self._containers[container])

    def count(self) -> int:
        return len(self._images) + len(self._containers) + len(self._builds) + len(self._volumes) + len(self._left)

    def _image(self) -> None:
        made = self.name()
        self._writer.layer(made, 5, self._random.choice([_BASE, ""])).image(made, made, [f"{made}:1"])
        self._images.append(made)

    def _container(self) -> None:
        made, image = self.name(), self.pick(self._images)
        mounted = self.pick(["", *self._volumes])
        about = {"Type": "volume", "Name": mounted, "Destination": "/data", "Driver": "local", "RW": True}
        config = {"MountPoints": {"/data": about}} if mounted else None
        self._writer.container(made, image, image, writable=FILES, config=config)
        self._containers[digest("container" + made)] = made

    def _build(self) -> None:
        made = self.name().zfill(25)
        self._writer.build(made, parent=self.pick(["", *self._builds]), size=self._random.choice([0, 7]))
        self._builds.append(made)

    def _volume(self) -> None:
        self._volumes.append(self.name())
        self._writer.volume(self._volumes[-1], 5)

    def _remove_image(self) -> None:
        gone = self.take(self._images[1:])
        if gone:
            self._images.remove(gone)
            self._found(self._writer.base / "imagedb/content/sha256" / self._writer.images[gone])
            self._writer.remove_image(gone)
            self._left.append(gone)

    def _remove_layers(self) -> None:
        """Remove the layers of an image that is gone; what was lost of them is no obstacle."""
        if gone := self.take(self._left):
            entry = self._writer.base / "layerdb/sha256" / self._writer.chains[gone]
            entry.mkdir(exist_ok=True)
            (entry / "cache-id").write_text(digest("cache" + gone))
            self._directory(digest("cache" + gone))
            self._writer.remove_layer(gone)

    def _remove_container(self) -> None:
        if gone := self.take([*self._containers]):
            name = self._containers.pop(gone)
            (self._writer.base / "layerdb/mounts" / gone).mkdir(exist_ok=True)
            for directory in (digest("mount" + name), f"{digest('mount' + name)}-init"):
                self._directory(directory)
            self._writer.remove_container(name)

    def _remove_build(self) -> None:
        if self._builds:
            gone = self._builds.pop()
            self._directory(gone)
            self._writer.remove_build(gone)

    def _remove_volume(self) -> None:
        if gone := self.take(self._volumes):
            shutil.rmtree(self.path / "volumes" / gone)

    def _lose(self) -> None:
        """Lose one part of an image, of a layer or of a build record."""
        writer = self._writer
        layer = self.pick([*self._images, *self._left])
        entry = writer.base / "layerdb/sha256" / writer.chains[layer]
        parts = [
            *(entry, entry / "size", entry / "cache-id", writer.layers / digest("cache" + layer)),
            *(writer.link(digest("cache" + layer)), *(writer.layers / one for one in self._builds[-1:])),
            writer.base / "imagedb/content/sha256" / writer.images[self.pick(self._images)],
            *(writer.base / "layerdb/mounts" / one for one in [*self._containers][-1:]),
        ]
        self.lose(self._random.choice(parts))

    def _directory(self, name: str) -> None:
        """Make a directory of the driver if it was lost."""
        (self._writer.layers / name).mkdir(exist_ok=True)

    def _found(self, file: Path) -> None:
        """Make a file if it was lost."""
        if not file.exists():
            file.touch()
