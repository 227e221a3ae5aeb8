"""Builds data roots as Docker 20.10 writes them: `image/<driver>` with imagedb and layerdb, and the driver's layers."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import du
from tests.roots.bolt import write_bolt

_EPOCH = "2023-11-14T22:13:20Z"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class DbRoot:
    """One root; layers, images, containers and volumes are called by names of the test's."""

    def __init__(self, path: Path, driver: str = "overlay2") -> None:
        self.path = path / "docker"
        self.driver = driver
        self.base = self.path / "image" / driver
        self.layers = self.path / {"vfs": "vfs/dir"}.get(driver, driver)
        self.chains: dict[str, str] = {}
        self.images: dict[str, str] = {}
        self._diffs: dict[str, list[str]] = {}
        self._references: dict[str, dict[str, str]] = {}
        self._snapshots: dict[str, Any] = {}
        self._records: dict[str, Any] = {}
        for store in ("imagedb/content/sha256", "imagedb/metadata/sha256", "layerdb/sha256", "layerdb/mounts"):
            (self.base / store).mkdir(parents=True)
        for home in (self.layers, self.path / "containers", self.path / "volumes", self.base / "layerdb/tmp"):
            home.mkdir(parents=True)

    def directory(self, name: str, files: Mapping[str, int]) -> Path:
        """Write one directory of the driver's, with files of these sizes."""
        content = self.layers / name
        if self.driver == "overlay2":
            (self.layers / "l").mkdir(exist_ok=True)
            content = self.layers / name / "diff"
            content.mkdir(parents=True)
            link = digest("link" + name)[:26].upper()
            (self.layers / name / "link").write_text(link)
            (self.layers / "l" / link).symlink_to(f"../{name}/diff")
        content.mkdir(parents=True, exist_ok=True)
        for file, size in files.items():
            (content / file).write_bytes(b"x" * size)
        return content

    def blocks(self, *names: str) -> int:
        """The disk blocks in bytes of directories of the driver's, with the links to them."""
        links = [self.layers / "l" / digest("link" + name)[:26].upper() for name in names]
        done = [du(self.layers / name, "--block-size=1") for name in names]
        return sum(done) + sum(link.lstat().st_blocks * 512 for link in links if link.is_symlink())

    def layer(self, name: str, size: int, parent: str = "", cache: str = "") -> "DbRoot":
        """Write one layer of an image, registered, with one file."""
        diff, cache = digest("diff" + name), cache or digest("cache" + name)
        chain = digest(f"sha256:{self.chains[parent]} sha256:{diff}") if parent else diff
        entry = self.base / "layerdb/sha256" / chain
        entry.mkdir()
        told = {"diff": f"sha256:{diff}", "size": str(size), "cache-id": cache, "tar-split.json.gz": "x"}
        if parent:
            told["parent"] = f"sha256:{self.chains[parent]}"
        for file, text in told.items():
            (entry / file).write_text(text)
        self.directory(cache, {name: size})
        self.chains[name], self._diffs[name] = chain, [*self._diffs.get(parent, []), f"sha256:{diff}"]
        return self

    def cache(self, name: str) -> str:
        """The driver's directory of a layer."""
        return (self.base / "layerdb/sha256" / self.chains[name] / "cache-id").read_text()

    def image(self, name: str, top: str = "", tags: Sequence[str] = (), parent: str = "") -> "DbRoot":
        """Write an image on a stack of layers."""
        about: dict[str, Any] = {"created": _EPOCH, "os": "linux", "architecture": "amd64", "comment": name}
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
        (self.base / "repositories.json").write_text(json.dumps({"Repositories": self._references}))
        return self

    def container(  # noqa: PLR0913
        self,
        name: str,
        image: str,
        top: str = "",
        *,
        writable: Mapping[str, int] | None = None,
        state: Mapping[str, Any] | None = None,
        host: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> "DbRoot":
        """Write a container with its writable layer."""
        identity, mount = digest("container" + name), digest("mount" + name)
        told: dict[str, Any] = {"ID": identity, "Name": f"/{name}", "Driver": self.driver, "Created": _EPOCH}
        told |= {"Image": f"sha256:{self.images.get(image, digest(image))}", "Config": {"Image": image, "Labels": {}}}
        told |= {"State": {"Running": False, "StartedAt": _EPOCH, "FinishedAt": _EPOCH, **(state or {})}}
        told |= config or {}
        home = self.path / "containers" / identity
        home.mkdir()
        (home / "config.v2.json").write_text(json.dumps(told))
        (home / "hostconfig.json").write_text(json.dumps({"LogConfig": {"Type": "json-file"}, **(host or {})}))
        self.mount(identity, mount, top, writable or {})
        return self

    def mount(self, name: str, mount: str, top: str, writable: Mapping[str, int]) -> None:
        """Write an entry of `layerdb/mounts` with its two directories."""
        entry = self.base / "layerdb/mounts" / name
        entry.mkdir()
        (entry / "mount-id").write_text(mount)
        (entry / "init-id").write_text(f"{mount}-init")
        if top:
            (entry / "parent").write_text(f"sha256:{self.chains[top]}")
        self.directory(f"{mount}-init", {})
        self.directory(mount, writable)

    def volume(self, name: str, size: int) -> "DbRoot":
        """Write a volume."""
        data = self.path / "volumes" / name / "_data"
        data.mkdir(parents=True)
        (data / "f").write_bytes(b"x" * size)
        return self

    def build(self, name: str, *, chain: str = "", parent: str = "", size: int = 0, kind: str = "regular") -> "DbRoot":
        """Write a record of BuildKit's with its snapshot: a layer's, or a directory of its own."""
        about: dict[str, bytes] = {"parent": parent.encode()} if parent else {}
        if chain:
            about["chainid"] = f"sha256:{self.chains[chain]}".encode()
        else:
            self.directory(name, {"built": size})
        self._snapshots[name] = about
        values = {"cache.recordType": kind, "cache.usageCount": 2, "cache.createdAt": 1_700_000_000 * 10**9}
        values |= {"cache.lastUsedAt": 1_700_000_001 * 10**9, "snapshot.size": size}
        self._records[name] = {key: json.dumps({"value": value}).encode() for key, value in values.items()}
        write_bolt(self.path / "buildkit/snapshots.db", self._snapshots)
        write_bolt(self.path / "buildkit/metadata_v2.db", {"_main": self._records, "_index": {"x": b""}})
        (self.path / "buildkit/content").mkdir(exist_ok=True)
        return self
