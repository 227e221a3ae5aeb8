"""Writes data roots in the form that Docker 1.10 to 28 keep them in: `image/<driver>`, the driver's layers, BuildKit.

Facts: Docker 20.10 layer/filestore.go, image/fs.go, reference/store.go, container/container.go,
daemon/graphdriver/overlay2/overlay.go, builder/builder-next/adapters/snapshot; BuildKit 0.8 cache/metadata.go.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from exporter.demo.bolt import write_bolt
from exporter.demo.writer import Content, put

_CREATED = "2023-11-14T22:13:20Z"
_USED_SECONDS = 1_700_000_001


def digest(text: str) -> str:
    """An id of 64 digits that is always the same for a text."""
    return hashlib.sha256(text.encode()).hexdigest()


class LayerdbWriter:
    """One driver's part of a data root; the caller names layers, images and containers.

    `created` and `used` (Unix seconds) are the times that are written down from then on.
    """

    def __init__(self, root: Path, driver: str = "overlay2") -> None:
        self.path = root
        self.driver = driver
        self.created = _CREATED
        self.used = _USED_SECONDS
        self.base = root / "image" / driver
        self.layers = root / {"vfs": "vfs/dir"}.get(driver, driver)
        self.chains: dict[str, str] = {}
        self.images: dict[str, str] = {}
        self._diffs: dict[str, list[str]] = {}
        self._references: dict[str, dict[str, str]] = {}
        self._snapshots: dict[str, Any] = {}
        self._records: dict[str, Any] = {}
        for store in ("imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb/sha256", "layerdb/mounts"):
            (self.base / store).mkdir(parents=True)
        for home in (self.layers, root / "containers", root / "volumes", self.base / "layerdb/tmp"):
            home.mkdir(parents=True, exist_ok=True)

    def put(self, top: Path, files: Mapping[str, Content]) -> None:
        """Write files below a directory."""
        put(top, files)

    def directory(self, name: str, files: Mapping[str, Content]) -> Path:
        """Write one directory of the driver; return the directory of its files."""
        content = self.layers / name
        if self.driver == "overlay2":
            (self.layers / "l").mkdir(exist_ok=True)
            content = self.layers / name / "diff"
            content.mkdir(parents=True)
            (self.layers / name / "link").write_text(self.link(name).name)
            self.link(name).symlink_to(f"../{name}/diff")
        content.mkdir(parents=True, exist_ok=True)
        self.put(content, files)
        return content

    def link(self, name: str) -> Path:
        """The short name by which overlay2 mounts a directory."""
        return self.layers / "l" / digest("link" + name)[:26].upper()

    def layer(self, name: str, size: int, parent: str = "", cache: str = "") -> Self:
        """Write one layer of an image, registered, with one file."""
        diff, cache = digest("diff" + name), cache or digest("cache" + name)
        self.directory(cache, {name: size})
        chain = digest(f"sha256:{self.chains[parent]} sha256:{diff}") if parent else diff
        entry = self.base / "layerdb/tmp" / f"write-set-{name.replace('/', '-')}"
        entry.mkdir()
        metadata = {"diff": f"sha256:{diff}", "size": str(size), "cache-id": cache, "tar-split.json.gz": "x"}
        if parent:
            metadata["parent"] = f"sha256:{self.chains[parent]}"
        for file, text in metadata.items():
            (entry / file).write_text(text)
        entry.rename(self.base / "layerdb/sha256" / chain)
        self.chains[name], self._diffs[name] = chain, [*self._diffs.get(parent, []), f"sha256:{diff}"]
        return self

    def cache(self, name: str) -> str:
        """The driver's directory of a layer."""
        return (self.base / "layerdb/sha256" / self.chains[name] / "cache-id").read_text()

    def image(self, name: str, top: str = "", tags: Sequence[str] = (), parent: str = "") -> Self:
        """Write an image on a stack of layers."""
        about: dict[str, Any] = {"created": self.created, "os": "linux", "architecture": "amd64", "comment": name}
        about |= {"rootfs": {"type": "layers", "diff_ids": self._diffs.get(top, [])}}
        raw = json.dumps(about)
        self.images[name] = digest(raw)
        (self.base / "imagedb/content/sha256" / digest(raw)).write_text(raw)
        if parent:
            home = self.base / "imagedb/metadata/sha256" / digest(raw)
            home.mkdir()
            (home / "parent").write_text(f"sha256:{self.images[parent]}")
        for tag in tags:
            self._references.setdefault(tag.partition(":")[0].partition("@")[0], {})[tag] = f"sha256:{digest(raw)}"
        self._save_references()
        return self

    def container(  # noqa: PLR0913 - a container has that many sides
        self,
        name: str,
        image: str,
        top: str = "",
        *,
        writable: Mapping[str, Content] | None = None,
        state: Mapping[str, Any] | None = None,
        host: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        log: Content | None = None,
    ) -> Self:
        """Write a container with its writable layer."""
        identity, mount = digest("container" + name), digest("mount" + name)
        about: dict[str, Any] = {
            "ID": identity,
            "Name": f"/{name}",
            "Driver": self.driver,
            "Created": self.created,
        }
        about |= {
            "Image": f"sha256:{self.images.get(image, digest(image))}",
            "Config": {"Image": image, "Labels": {}},
        }
        about |= {"State": {"Running": False, "StartedAt": self.created, "FinishedAt": self.created, **(state or {})}}
        about |= config or {}
        self.mount(identity, mount, top, writable or {})
        home = self.path / "containers" / identity
        home.mkdir()
        (home / "config.v2.json").write_text(json.dumps(about))
        (home / "hostconfig.json").write_text(json.dumps({"LogConfig": {"Type": "json-file"}, **(host or {})}))
        if log is not None:
            self.put(home, {f"{identity}-json.log": log})
        return self

    def mount(self, name: str, mount: str, top: str, writable: Mapping[str, Content]) -> None:
        """Write an entry of `layerdb/mounts` with its two directories."""
        entry = self.base / "layerdb/mounts" / name
        entry.mkdir()
        (entry / "mount-id").write_text(mount)
        (entry / "init-id").write_text(f"{mount}-init")
        if top:
            (entry / "parent").write_text(f"sha256:{self.chains[top]}")
        self.directory(f"{mount}-init", {})
        self.directory(mount, writable)

    def log(self, container: str) -> Path:
        """The path of a container's log."""
        identity = digest("container" + container)
        return self.path / "containers" / identity / f"{identity}-json.log"

    def writable(self, container: str) -> Path:
        """The directory of the files of a container's writable layer, with overlay2."""
        return self.layers / digest("mount" + container) / "diff"

    def volume(self, name: str, size: int) -> Self:
        """Write a volume with one file."""
        data = self.path / "volumes" / name / "_data"
        data.mkdir(parents=True)
        self.put(data, {"f": size})
        return self

    def volume_labels(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        """Write `volumes/metadata.db`: the labels of volumes by name."""
        rows = {
            name: json.dumps({"Name": name, "Driver": "local", "Labels": {**its}}).encode()
            for name, its in labels.items()
        }
        write_bolt(self.path / "volumes/metadata.db", {"volumes": rows})

    def build(self, name: str, *, chain: str = "", parent: str = "", size: int = 0, kind: str = "regular") -> Self:
        """Write a build record with its snapshot: that of a layer, or a directory of its own."""
        about: dict[str, bytes] = {"parent": parent.encode()} if parent else {}
        if chain:
            about["chainid"] = f"sha256:{self.chains[chain]}".encode()
        else:
            self.directory(name, {"built": size})
        self._snapshots[name] = about
        values = {"cache.recordType": kind, "cache.usageCount": 2, "cache.createdAt": (self.used - 1) * 10**9}
        values |= {"cache.lastUsedAt": self.used * 10**9, "snapshot.size": size}
        self._records[name] = {key: json.dumps({"value": value}).encode() for key, value in values.items()}
        self._save_builds()
        return self

    def remove_image(self, name: str) -> None:
        """Remove an image, not its layers: its names first, as the daemon does."""
        image = self.images.pop(name)
        for keys in self._references.values():
            for key in [key for key, at in keys.items() if at == f"sha256:{image}"]:
                del keys[key]
        self._references = {repository: keys for repository, keys in self._references.items() if keys}
        self._save_references()
        (self.base / "imagedb/content/sha256" / image).unlink()

    def remove_layer(self, name: str) -> None:
        """Remove a layer without children."""
        cache = self.cache(name)
        shutil.rmtree(self.base / "layerdb/sha256" / self.chains.pop(name))
        self.forget_directory(cache)

    def remove_container(self, name: str) -> None:
        """Remove a container with its directories."""
        identity, mount = digest("container" + name), digest("mount" + name)
        shutil.rmtree(self.path / "containers" / identity)
        shutil.rmtree(self.base / "layerdb/mounts" / identity)
        for directory in (mount, f"{mount}-init"):
            self.forget_directory(directory)

    def remove_build(self, name: str) -> None:
        """Remove a build record that has a directory of its own."""
        del self._records[name], self._snapshots[name]
        self._save_builds()
        self.forget_directory(name)

    def forget_directory(self, name: str) -> None:
        """Remove one directory of the driver, even if something refers to it."""
        self.link(name).unlink(missing_ok=True)
        shutil.rmtree(self.layers / name)

    def _save_references(self) -> None:
        made = self.base / ".tmp-repositories.json"
        made.write_text(json.dumps({"Repositories": self._references}))
        os.replace(made, self.base / "repositories.json")

    def _save_builds(self) -> None:
        write_bolt(self.path / "buildkit/metadata_v2.db", {"_main": self._records, "_index": {"x": b""}})
        write_bolt(self.path / "buildkit/snapshots.db", self._snapshots)
        (self.path / "buildkit/content").mkdir(exist_ok=True)
        volumes = self.path / "volumes/metadata.db"
        if not volumes.exists():  # an engine with BuildKit has made it before
            volumes.parent.mkdir(exist_ok=True)
            write_bolt(volumes, {"volumes": {}})
