"""Roots of each layout that change at random, one object at a time, and what has changed since the last look."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.demo.layerdb import LayerdbWriter, digest
from exporter.demo.writer import GraphWriter
from exporter.inventory.areas import find_areas

_FILES = {"w": b"x"}


class Host:
    """A root, and the changes that can be made to it."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self._random = random.Random(seed)
        self._made = 0
        self._seen: dict[Tree, tuple[int, ...]] = {}
        for add in (*self.additions, *self.additions):
            add()

    @property
    def additions(self) -> list[Callable[[], None]]:
        """What adds an object."""
        raise NotImplementedError

    @property
    def removals(self) -> list[Callable[[], None]]:
        """What removes or changes one, if there is one."""
        raise NotImplementedError

    def change(self) -> None:
        """Do one thing."""
        self._random.choice([*self.additions, *self.removals, self._restart])()

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

    def _restart(self) -> None:
        configs = sorted(self.path.glob("containers/*/config*.json"))
        if configs:
            config = self._random.choice(configs)
            config.write_text(config.read_text().replace("{", '{"RestartCount": 1, ', 1))


def _signatures(path: Path) -> dict[Tree, tuple[int, ...]]:
    found: dict[Tree, tuple[int, ...]] = {}
    for one in path.rglob("*"):
        status = one.lstat()
        times = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        found[one.relative_to(path).parts] = times[:1] if one.is_dir() and not one.is_symlink() else times
    return found


class GraphHost(Host):
    """A root of Docker 1.5."""

    def __init__(self, path: Path, seed: int) -> None:
        self._writer = GraphWriter(path, "aufs")
        self._base = digest("base")
        self._writer.image(self._base, files=_FILES, layersize=1)
        self._images, self._containers = [self._base], list[str]()
        super().__init__(path, seed)

    @property
    def additions(self) -> list[Callable[[], None]]:
        return [self._image, self._container, self._tag, self._volume]

    @property
    def removals(self) -> list[Callable[[], None]]:
        return [self._remove, self._remove_image, self._lose, self._stray]

    def _image(self) -> None:
        made, size = digest(self.name()), self._random.choice([None, 1])
        self._writer.image(made, self.pick(self._images), files=_FILES, layersize=size)
        self._images.append(made)

    def _container(self) -> None:
        self._containers.append(digest(self.name()))
        self._writer.container(self._containers[-1], self.pick(self._images), name=self.name(), writable=_FILES)

    def _tag(self) -> None:
        self._writer.tag("app", self.name(), self.pick(self._images))

    def _volume(self) -> None:
        self._writer.volume(digest(self.name()), _FILES, form="1.9")

    def _remove(self) -> None:
        if gone := self.take(self._containers):
            self._writer.remove_container(gone)

    def _remove_image(self) -> None:
        if len(self._images) > 1 and self.path.joinpath("graph", self._images[-1]).is_dir():
            self._writer.remove_image(self._images.pop())

    def _lose(self) -> None:
        """Lose one part of an image, or of the layer of a container. Others may be built on it."""
        parts = [("graph", self.pick(self._images))] + [
            ("aufs", part, self.pick([*self._images, *self._containers])) for part in ("diff", "layers", "mnt")
        ]
        _lose(self.path.joinpath(*self._random.choice(parts)))

    def _stray(self) -> None:
        """Put something in the place of an object, or take it away, or put something else there."""
        store = self._random.choice(["aufs/diff", "aufs/layers", "containers", "graph"])
        stray = self.path / store / digest(f"stray{self._random.randrange(2)}")
        _lose(stray)
        put: list[Callable[[], None]] = [stray.touch, stray.mkdir, lambda: None]
        if store.startswith("aufs"):  # of a container behind a link, what was known before counts
            put.append(lambda: stray.symlink_to("nowhere"))
        self._random.choice(put)()


def _lose(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)


class LayerdbHost(Host):
    """A root of Docker 20.10 with BuildKit."""

    def __init__(self, path: Path, seed: int) -> None:
        self._writer = LayerdbWriter(path)
        self._writer.layer("base", 5).image("base", "base", ["base:1"])
        self._images, self._containers, self._builds = ["base"], list[str](), list[str]()
        super().__init__(path, seed)

    @property
    def additions(self) -> list[Callable[[], None]]:
        return [self._image, self._container, self._build, self._volume]

    @property
    def removals(self) -> list[Callable[[], None]]:
        return [self._remove_image, self._remove_container, self._remove_build]

    def _image(self) -> None:
        made = self.name()
        self._writer.layer(made, 5, self._random.choice(["base", ""])).image(made, made, [f"{made}:1"])
        self._images.append(made)

    def _container(self) -> None:
        made, image = self.name(), self.pick(self._images)
        self._writer.container(made, image, image, writable=_FILES)
        self._containers.append(made)

    def _build(self) -> None:
        made = self.name().zfill(25)
        self._writer.build(made, parent=self.pick(["", *self._builds]), size=self._random.choice([0, 7]))
        self._builds.append(made)

    def _volume(self) -> None:
        self._writer.volume(self.name(), 5)

    def _remove_image(self) -> None:
        if len(self._images) > 1 and self.path.joinpath("graph", self._images[-1]).is_dir():
            self._writer.remove_image(self._images.pop())

    def _remove_container(self) -> None:
        if gone := self.take(self._containers):
            self._writer.remove_container(gone)

    def _remove_build(self) -> None:
        if self._builds:
            self._writer.remove_build(self._builds.pop())


class ContainerdHost(Host):
    """A root of Docker 28 with containerd's image store, and a pod in another namespace."""

    def __init__(self, path: Path, seed: int) -> None:
        self._writer = ContainerdWriter(path)
        self._base = oci.layer({"base": b"x"})
        self._writer.image("docker.io/library/base:1", [self._base])
        self._pods = self._writer.store.namespace("k8s.io")
        self._images, self._containers, self._records = ["docker.io/library/base:1"], list[str](), list[str]()
        self._histories = list[str]()
        super().__init__(path, seed)

    @property
    def additions(self) -> list[Callable[[], None]]:
        return [self._image, self._container, self._build, self._history, self._pod, self._leave_unnamed]

    @property
    def removals(self) -> list[Callable[[], None]]:
        return [self._remove_image, self._remove_container, self._remove_build, self._remove_history, self._remove_pod]

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
        self._containers.append(
            self._writer.container(self.name(), image, self._writer.target(image), writable=_FILES, log=b"{}\n")
        )

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
        self._pods.snapshot(name, target.chains[-1], _FILES, "active")
        self._pods.container(name, image, key=name)

    def _remove_image(self) -> None:
        if len(self._images) > 1:
            self._writer.moby.remove_image(self._images.pop())

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
        images = list(self._pods.bucket("images"))
        if images:
            self._pods.remove_image(self.pick(images))


HOSTS = (GraphHost, LayerdbHost, ContainerdHost)
