"""Writes data roots in the form that Docker 1.0 to 1.9 kept them in: for the demo, and for the tests.

Facts: Docker 1.5 graph/graph.go, image/image.go, daemon/container.go, volumes/volume.go, daemon/graphdriver/*.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

EPOCH = 1_420_000_000
TIME_ZERO = "0001-01-01T00:00:00Z"
_CREATED = "2014-12-31T04:26:40.123456789Z"
_INIT_FILES = (".dockerinit", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf")
_INIT_DIRECTORIES = ("proc", "sys", "dev/pts", "dev/shm")

#: The content of a file: bytes, or the size of a sparse file.
Content = bytes | int


class State(Struct, frozen=True):
    """A container's state as `config.json` has it."""

    running: bool = False
    paused: bool = False
    restarting: bool = False
    dead: bool = False
    pid: int = 0
    exit_code: int = 0
    started: str = "2015-01-02T03:04:05.678901234Z"
    finished: str = "2015-01-02T04:04:05.678901234Z"

    def as_json(self) -> dict[str, object]:
        """The object that Docker writes."""
        return {
            "Running": self.running,
            "Paused": self.paused,
            "Restarting": self.restarting,
            "OOMKilled": False,
            "Dead": self.dead,
            "Pid": self.pid,
            "ExitCode": self.exit_code,
            "Error": "",
            "StartedAt": self.started,
            "FinishedAt": TIME_ZERO if self.running else self.finished,
        }


class GraphWriter:
    """A data root of one graph driver (aufs, vfs or overlay), written piece by piece."""

    def __init__(self, root: Path, driver: str = "aufs", *, version: str = "1.5.0") -> None:
        self.root = root
        self.driver = driver
        self.version = version
        self._tags: dict[str, dict[str, str]] = {}
        self._parents: dict[str, str | None] = {}
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        stores = {"aufs": ("aufs/layers", "aufs/diff", "aufs/mnt"), "vfs": ("vfs/dir",), "overlay": ("overlay",)}
        for name in ("graph/_tmp", "containers", "volumes", "tmp", "trust", *stores[driver]):
            (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._save_tags()

    def image(  # noqa: PLR0913 - a layer has that many sides
        self,
        image: str,
        parent: str | None = None,
        *,
        files: Mapping[str, Content] | None = None,
        layersize: int | None = None,
        config: Mapping[str, object] | None = None,
        created: str = _CREATED,
    ) -> None:
        """Write one layer of the graph; without `layersize` that file is absent, as before it was computed."""
        home = self.root / "graph" / image
        home.mkdir(mode=0o700)
        about: dict[str, object] = {"id": image, "created": created}
        about |= {"parent": parent} if parent else {}
        about |= {"container_config": {"Cmd": ["/bin/sh"]}, "docker_version": "1.4.1"}
        about |= {"config": dict(config or {}), "architecture": "amd64", "os": "linux"}
        (home / "json").write_text(json.dumps(about))
        if layersize is not None:
            (home / "layersize").write_text(str(layersize))
        self._parents[image] = parent
        put(self._layer(image, parent), files or {})

    def tag(self, repository: str, tag: str, image: str) -> None:
        """Name an image in `repositories-<driver>`."""
        self._tags.setdefault(repository, {})[tag] = image
        self._save_tags()

    def container(  # noqa: PLR0913 - a container has that many sides
        self,
        container: str,
        image: str,
        *,
        name: str,
        image_name: str = "",
        state: State | None = None,
        writable: Mapping[str, Content] | None = None,
        log: Content | None = b"",
        rotated: Sequence[Content] = (),
        volumes: Mapping[str, str] | None = None,
        read_only: Sequence[str] = (),
        binds: Sequence[str] = (),
        mount_points: Mapping[str, object] | None = None,
        log_config: Mapping[str, object] | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Write a container with its two layers; `volumes` are host paths by destination."""
        home = self.root / "containers" / container
        home.mkdir(mode=0o700)
        log_name = f"{container}-json.log"
        about: dict[str, object] = {"State": (state or State()).as_json(), "ID": container, "Created": _CREATED}
        about |= {"Path": "/bin/sh", "Args": [], "Image": image, "Name": "/" + name, "Driver": self.driver}
        about |= {"Config": {"Image": image_name or image[:12], "Labels": dict(labels or {})}}
        about |= {"ExecDriver": "native-0.2", "LogPath": f"/var/lib/docker/containers/{container}/{log_name}"}
        about |= {"Volumes": dict(volumes or {}), "VolumesRW": {at: at not in read_only for at in volumes or {}}}
        about |= {"MountPoints": dict(mount_points)} if mount_points is not None else {}
        (home / "config.json").write_text(json.dumps(about))
        host: dict[str, object] = {"Binds": list(binds) or None, "NetworkMode": "bridge"}
        host |= {"LogConfig": dict(log_config)} if log_config is not None else {}
        (home / "hostconfig.json").write_text(json.dumps(host))
        for file in ("hostname", "hosts", "resolv.conf"):
            (home / file).write_text(f"{container[:12]}\n")
        logs = {} if log is None else {log_name: log}
        put(home, logs | {f"{log_name}.{index}": content for index, content in enumerate(rotated, 1)})
        self._init(container + "-init", image)
        put(self._layer(container, container + "-init"), writable or {})

    def untag(self, repository: str, tag: str) -> None:
        """Remove a name of an image."""
        del self._tags[repository][tag]
        self._save_tags()

    def remove_image(self, image: str) -> None:
        """Remove one layer of the graph in the order of the daemon: the metadata first, then its files."""
        shutil.rmtree(self.root / "graph" / image)
        self._remove_layer(image)

    def remove_container(self, container: str) -> None:
        """Remove a container with its two layers."""
        shutil.rmtree(self.root / "containers" / container)
        self._remove_layer(container)
        self._remove_layer(container + "-init")

    def _remove_layer(self, layer: str) -> None:
        self._parents.pop(layer, None)
        (self.root / "aufs/layers" / layer).unlink(missing_ok=True)
        for store in ("aufs/diff", "aufs/mnt", "vfs/dir", "overlay"):
            shutil.rmtree(self.root / store / layer, ignore_errors=True)

    def volume(self, volume: str, files: Mapping[str, Content], *, form: str = "1.3") -> str:
        """Write a volume in the form of Docker 1.0, 1.3 or 1.9; return the host path that containers name."""
        home = self.root / "volumes" / volume
        home.mkdir(mode=0o700)
        if form == "1.9":
            data = home / "_data"
        else:
            data = self.root / "vfs" / "dir" / volume
            path = f"/var/lib/docker/vfs/dir/{volume}"
            about = {"ID": volume, "Path": path, "IsBindMount": False, "Writable": True}
            if form == "1.0":
                (home / "json").write_text(json.dumps({"id": volume, "docker_version": "1.0.0"}))
                (home / "layersize").write_text("0")
            else:
                (home / "config.json").write_text(json.dumps(about))
        data.mkdir(parents=True)
        put(data, files)
        return f"/var/lib/docker/{data.relative_to(self.root)}"

    def bind_entry(self, volume: str, path: str) -> None:
        """Write the entry that Docker 1.3 to 1.6 had in `volumes` for a bind mount."""
        home = self.root / "volumes" / volume
        home.mkdir(mode=0o700)
        about = {"ID": volume, "Path": path, "IsBindMount": True, "Writable": True}
        (home / "config.json").write_text(json.dumps(about))

    def file(self, path: str, content: Content) -> None:
        """Write any other file of the root."""
        put(self.root, {path: content})

    def _save_tags(self) -> None:
        (self.root / f"repositories-{self.driver}").write_text(json.dumps({"Repositories": self._tags}))

    def _init(self, layer: str, parent: str) -> None:
        top = self._layer(layer, parent)
        put(top, dict.fromkeys(_INIT_FILES, b""))
        for name in _INIT_DIRECTORIES:
            (top / name).mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(top / "etc/mtab"):
            os.symlink("/proc/mounts", top / "etc/mtab")
        os.utime(top / "etc/mtab", (EPOCH, EPOCH), follow_symlinks=False)

    def _layer(self, layer: str, parent: str | None) -> Path:
        """Make the driver's directory of a layer; return the directory for its files."""
        self._parents[layer] = parent
        if self.driver == "vfs":
            top = self.root / "vfs" / "dir" / layer
            if parent is None:
                top.mkdir()
            else:
                shutil.copytree(top.parent / parent, top, symlinks=True)
            return top
        if self.driver == "overlay":
            return self._overlay(layer, parent)
        ancestors = []
        while parent is not None:
            ancestors.append(parent)
            parent = self._parents.get(parent)
        (self.root / "aufs/layers" / layer).write_text("".join(f"{one}\n" for one in ancestors))
        (self.root / "aufs/mnt" / layer).mkdir()
        (self.root / "aufs/diff" / layer).mkdir()
        return self.root / "aufs/diff" / layer

    def _overlay(self, layer: str, parent: str | None) -> Path:
        home = self.root / "overlay" / layer
        home.mkdir(mode=0o700)
        below = self.root / "overlay" / (parent or layer)
        if layer in os.listdir(self.root / "graph") or parent is None:
            if parent is None:
                (home / "root").mkdir()
            else:
                shutil.copytree(below / "root", home / "root", symlinks=True, copy_function=os.link)
            return home / "root"
        for name in ("work", "merged"):
            (home / name).mkdir()
        if (below / "root").is_dir():
            (home / "lower-id").write_text(str(parent))
            (home / "upper").mkdir()
        else:
            shutil.copy(below / "lower-id", home / "lower-id")
            shutil.copytree(below / "upper", home / "upper", symlinks=True)
        return home / "upper"


def put(top: Path, files: Mapping[str, Content]) -> None:
    """Write files below a directory with an old date; an existing name becomes a new file."""
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            path.unlink()  # the name may be a hard link to another layer's file
        with path.open("wb") as file:
            if isinstance(content, int):
                file.truncate(content)
            else:
                file.write(content)
        os.utime(path, (EPOCH, EPOCH))
