"""A root of Docker 28 with containerd's image store that changes at random."""

import shutil
from collections.abc import Callable
from pathlib import Path

from exporter.demo import oci
from exporter.demo.collect import collect
from exporter.demo.containerd_docker import ContainerdWriter
from tests.support.changing.host import FILES, Host

_BASE = "docker.io/library/base:1"


class ContainerdHost(Host):
    """A root of Docker 28 with containerd's image store, and pods in another namespace."""

    def __init__(self, path: Path, seed: int, most: int = 60) -> None:
        self._writer = ContainerdWriter(path)
        self._base = oci.layer({"base": b"x"})
        self._writer.image(_BASE, [self._base])
        self._pods = self._writer.store.namespace("k8s.io")
        self._images, self._containers, self._records = [_BASE], list[str](), list[str]()
        self._histories, self._volumes, self._running = list[str](), list[str](), list[str]()
        super().__init__(path, seed, most)

    @property
    def additions(self) -> list[Callable[[], None]]:
        return [
            *(self._image, self._container, self._build, self._history, self._pod, self._leave_unnamed),
            self._volume,
        ]

    @property
    def removals(self) -> list[Callable[[], None]]:
        return [
            *(self._remove_image, self._remove_container, self._remove_build, self._remove_history, self._remove_pod),
            *(self._remove_image_of_pods, self._remove_volume, self._remove_dangling, self._lose, self._collect),
        ]

    def writable(self, container: str) -> Path:
        return self._writer.moby.snapshotter.content(self._writer.moby.snapshot_name(container))

    def count(self) -> int:
        made = (self._images, self._containers, self._records, self._histories, self._volumes, self._running)
        return sum(map(len, made))

    def change(self) -> None:
        super().change()
        self._writer.write()

    def _layers(self) -> list[oci.OciLayer]:
        return [self._base, oci.layer({"which": self.name().encode()})]

    def _image(self) -> None:
        made = f"docker.io/library/app:{self.name()}"
        host = oci.manifest(self._layers())
        self._writer.image(made, oci.index([host, oci.attestation(host, b'{"_type":"x"}')]))
        self._images.append(made)

    def _leave_unnamed(self) -> None:
        self._writer.moby.dangling(self._writer.image("docker.io/library/old:1", self._layers()))

    def _container(self) -> None:
        image = self.pick(self._images)
        mounted = self.pick(["", *self._volumes])
        mounts = {"/data": mounted} if mounted else None
        target = self._writer.target(image)
        made = self._writer.container(self.name(), image, target, writable=FILES, log=b"{}\n", mounts=mounts)
        self._containers.append(made)

    def _build(self) -> None:
        layer = self._layers()[1]
        self._records.append(self.name())
        self._writer.build_record(self._records[-1], files=layer.files, layer=layer)

    def _history(self) -> None:
        build = self.name()
        self._writer.history(build, {"log": build.encode(), "trace": b"{}"})
        self._histories.append(build)

    def _pod(self) -> None:
        image, name = f"registry.example/pod:{self.name()}", self.name()
        target = self._pods.image(image, self._layers())
        self._pods.snapshot(name, target.chains[-1], FILES, "active")
        self._pods.container(name, image, key=name)
        self._running.append(name)

    def _volume(self) -> None:
        self._volumes.append(self.name())
        self._writer.volume(self._volumes[-1], FILES)

    def _remove_image(self) -> None:
        if len(self._images) > 1:
            self._writer.moby.remove_image(self._images.pop())

    def _remove_dangling(self) -> None:
        if names := [one for one in self._writer.moby.bucket("images") if one not in self._images]:
            self._writer.moby.remove_image(self.pick(names))

    def _remove_container(self) -> None:
        if gone := self.take(self._containers):
            self._writer.remove_container(gone)

    def _remove_build(self) -> None:
        if gone := self.take(self._records):
            self._writer.remove_record(gone)

    def _remove_history(self) -> None:
        if gone := self.take(self._histories):
            self._writer.remove_history(gone)

    def _remove_pod(self) -> None:
        if gone := self.take(self._running):
            self._pods.remove_container(gone)

    def _remove_image_of_pods(self) -> None:
        if images := list(self._pods.bucket("images")):
            self._pods.remove_image(self.pick(images))

    def _remove_volume(self) -> None:
        if gone := self.take(self._volumes):
            shutil.rmtree(self.path / "volumes" / gone)

    def _lose(self) -> None:
        """Lose a blob or the directory of a snapshot."""
        store = self._writer.store
        snapshots = self._writer.moby.snapshotter
        kept = {snapshots.directory(self._writer.moby.snapshot_name(one)) for one in self._containers}
        # The base's layer stays: every image is unpacked on it.
        places = [*store.blobs.iterdir(), *(snapshots.directory(name) for name in snapshots.rows)]
        self.lose(self._random.choice(sorted({*places} - kept)))

    def _collect(self) -> None:
        """Remove what nothing keeps, as containerd does after each removal."""
        collect(self._writer.store)
