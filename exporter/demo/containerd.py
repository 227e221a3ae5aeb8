"""Writes containerd's root: `meta.db`, the content store, the snapshotters, and the objects of each namespace.

Facts: containerd 2.1 core/metadata/buckets.go (names and values), core/metadata/gc.go (labels), plugins/content/local
(blobs, ingest), client/unpacker.go (which snapshots and labels a pull leaves).
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exporter.demo import oci
from exporter.demo.bolt import BoltFile
from exporter.demo.snapshotter import Kind, Snapshotter, fill, go_time, varint
from exporter.demo.writer import Content

SECOND = 10**9
_CREATED = 1_790_000_000 * SECOND
_SCHEMA_VERSION = 4
_CONTENT = "io.containerd.content.v1.content"
_STORES = ("grpc.v1.introspection", "metadata.v1.bolt", "runtime.v2.task", "sandbox.controller.v1.shim")

#: A bucket under construction.
Bucket = dict[str, Any]


class ContainerdStore:
    """One root of containerd. Files are written at once, the databases by `write`.

    `now` is the time in nanoseconds since 1970 that objects get from then on.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.now = _CREATED
        self.blobs = home / _CONTENT / "blobs/sha256"
        self.ingests = home / _CONTENT / "ingest"
        self.snapshotters: dict[str, Snapshotter] = {}
        self.namespaces: dict[str, Namespace] = {}
        self.tree: Bucket = {}
        self._database = BoltFile(home / "io.containerd.metadata.v1.bolt/meta.db")
        for store in (*(f"io.containerd.{name}" for name in _STORES), "tmpmounts"):
            (home / store).mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "io.containerd.grpc.v1.introspection/uuid").write_text("4f0d6a1e-2c3b-4a59-8f1d-0a1b2c3d4e5f")

    def namespace(self, name: str, snapshotter: str = "overlayfs") -> "Namespace":
        """A namespace, made at the first call; `snapshotter` is the one that its objects use from then on."""
        found = self.namespaces.get(name) or self.namespaces.setdefault(name, Namespace(self, name))
        found.snapshotter = self.snapshotter(snapshotter)
        return found

    def snapshotter(self, name: str) -> Snapshotter:
        """A snapshotter, made at the first call."""
        return self.snapshotters.get(name) or self.snapshotters.setdefault(name, Snapshotter(self.home, name))

    def blob_path(self, digest: str) -> Path:
        """The file of a blob."""
        return self.blobs / digest.partition(":")[2]

    def write(self) -> None:
        """Write `meta.db`, and `metadata.db` of each snapshotter."""
        for snapshotter in self.snapshotters.values():
            snapshotter.write()
        tree = {"v1": {"version": varint(_SCHEMA_VERSION), **self.tree}}
        self._database.write(tree)


class Namespace:
    """The objects of one namespace."""

    snapshotter: Snapshotter

    def __init__(self, store: ContainerdStore, name: str) -> None:
        self.store = store
        self.name = name
        self.tree: Bucket = store.tree.setdefault(name, {})
        self._numbers = 0

    def bucket(self, *path: str) -> Bucket:
        """A bucket of this namespace, made if it is not there."""
        found = self.tree
        for name in path:
            found = found.setdefault(name, {})
        return found

    # Content.

    def blob(self, blob: oci.OciBlob, labels: Mapping[str, str] | None = None) -> str:
        """Write a blob, and that this namespace has it; return its digest."""
        path = self.store.blob_path(blob.digest)
        if not path.exists():
            fill(path.parent, {path.name: blob.content})
            path.chmod(0o444)
        row = self.bucket("content", "blob", blob.digest)
        row |= {**self._times(), "size": varint(blob.size)}
        _label(row, labels or {})
        return blob.digest

    def label_blob(self, digest: str, labels: Mapping[str, str]) -> None:
        """Add labels to a blob of this namespace."""
        _label(self.bucket("content", "blob", digest), labels)

    def ingest(self, name: str, data: Content, total: int, expires: int = 86_400) -> Path:
        """Write a download that goes on: `data` of `total` bytes are there; return its directory."""
        reference = f"{self.name}/1/{name}"
        home = self.store.ingests / hashlib.sha256(reference.encode()).hexdigest()
        home.mkdir(parents=True)
        seen = b"2026-09-21T14:13:20.000000000Z"
        fill(home, {"data": data, "ref": reference.encode(), "total": str(total).encode()})
        fill(home, {"startedat": seen, "updatedat": seen})
        expiry = go_time(self.store.now + expires * SECOND)
        self.bucket("content", "ingests")[name] = {"ref": reference.encode(), "expireat": expiry}
        return home

    # Images.

    def image(
        self,
        name: str,
        of: oci.OciManifest | Sequence[oci.OciLayer],
        *,
        unpack: bool = True,
        content: bool = True,
        labels: Mapping[str, str] | None = None,
    ) -> oci.OciManifest:
        """Write an image by its full name, with what is below its target; return the target.

        Only the layers of the host's platform are unpacked. Without `unpack` none are, without `content` the layers'
        blobs are absent.
        """
        target = of if isinstance(of, oci.OciManifest) else oci.manifest(of)
        self.pull(target, unpack=unpack, content=content)
        self.name_image(name, target, labels)
        return target

    def name_image(self, name: str, target: oci.OciManifest, labels: Mapping[str, str] | None = None) -> None:
        """Give an image a name, in full; one that another image has becomes this one's."""
        row = self.bucket("images", name)
        about = {"digest": target.digest.encode(), "mediatype": target.media_type.encode()}
        row |= {**self._times(), "target": about | {"size": varint(target.blob.size)}}
        _label(row, labels or {})

    def dangling(self, target: oci.OciManifest) -> None:
        """Write the name that Docker gives an image without another one."""
        self.name_image(f"moby-dangling@{target.digest}", target)

    def remove_image(self, name: str) -> None:
        """Remove a name. What it has kept stays until `collect`."""
        del self.bucket("images")[name]

    def pull(self, target: oci.OciManifest, *, unpack: bool = True, content: bool = True) -> None:
        """Write the blobs of an image, and unpack what is for the host's platform."""
        if target.manifests:
            refs = {f"containerd.io/gc.ref.content.m.{at}": one.digest for at, one in enumerate(target.manifests)}
            self.blob(target.blob, refs)
            for below in (one for one in target.manifests if one.here):
                self.pull(below, unpack=unpack and below.platform == oci.HOST_PLATFORM, content=content)
            return
        refs = {f"containerd.io/gc.ref.content.l.{at}": one.blob.digest for at, one in enumerate(target.layers)}
        assert target.config is not None
        self.blob(target.blob, {"containerd.io/gc.ref.content.config": target.config.digest, **refs})
        self.blob(target.config)
        for layer in target.layers if content else ():
            self.blob(layer.blob, {"containerd.io/uncompressed": layer.diff_id})
        if unpack:
            self.unpack(target)

    def unpack(self, target: oci.OciManifest, parent: str = "") -> str:
        """Write the snapshots of a manifest that are not there; return the key of the last one.

        `parent` is the key that the last layer is put on, if that is not the chain before: a committed container's.
        """
        assert target.config is not None
        below = ""
        for at, (chain, layer) in enumerate(zip(target.chains, target.layers, strict=True)):
            last = at == len(target.layers) - 1
            if chain not in self.bucket("snapshots", self.snapshotter.name):
                self.snapshot(chain, parent if last and parent else below, layer.files)
            below = chain
        self.label_blob(target.config.digest, {f"containerd.io/gc.ref.snapshot.{self.snapshotter.name}": below})
        return below

    # Snapshots.

    def snapshot(  # noqa: PLR0913 - a snapshot has that many sides
        self,
        key: str,
        parent: str = "",
        files: Mapping[str, Content] | None = None,
        kind: Kind = "committed",
        *,
        size: int | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Path:
        """Write a snapshot on the one with the key `parent`; return the directory of its files.

        `size` is what is recorded of it where the snapshotter has no directories.
        """
        rows = self.bucket("snapshots", self.snapshotter.name)
        self._numbers += 2 if kind == "committed" else 1
        name = f"{self.name}/{self._numbers}/{key}"
        below = rows[parent]["name"].decode() if parent else ""
        content = self.snapshotter.add(name, kind, below, files or {}, time=go_time(self.store.now), size=size)
        rows[key] = {**self._times(), "name": name.encode(), "parent": parent.encode()}
        _label(rows[key], labels or {})
        if parent:
            gone = {f"extract-{self._numbers}-aBcD {key}": b""} if key.startswith("sha256:") else {}
            rows[parent].setdefault("children", {}).update({key: b""} | gone)
        return content

    def snapshot_name(self, key: str) -> str:
        """The name of a snapshot in `metadata.db`."""
        name: bytes = self.bucket("snapshots", self.snapshotter.name)[key]["name"]
        return name.decode()

    def snapshot_directory(self, key: str) -> Path:
        """The directory of a snapshot."""
        return self.snapshotter.directory(self.snapshot_name(key))

    def remove_snapshot(self, key: str) -> None:
        """Remove a snapshot with its directory."""
        self.snapshotter.remove(self.snapshot_name(key))
        del self.bucket("snapshots", self.snapshotter.name)[key]

    # What keeps something.

    def lease(
        self,
        name: str,
        *,
        content: Sequence[str] = (),
        snapshots: Sequence[str] = (),
        ingests: Sequence[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Write a lease and what it holds, or add to one."""
        row = self.bucket("leases", name)
        row["createdat"] = go_time(self.store.now)
        held = {"content": content, "ingests": ingests}
        for kind, names in held.items():
            if names:
                row.setdefault(kind, {}).update(dict.fromkeys(names, b""))
        if snapshots:
            by_snapshotter = row.setdefault("snapshots", {}).setdefault(self.snapshotter.name, {})
            by_snapshotter.update(dict.fromkeys(snapshots, b""))
        _label(row, labels or {})

    def remove_lease(self, name: str) -> None:
        """Remove a lease if it is there. What it has kept stays until `collect`."""
        self.bucket("leases").pop(name, None)

    def container(  # noqa: PLR0913 - a container has that many sides
        self,
        name: str,
        image: str,
        *,
        key: str = "",
        labels: Mapping[str, str] | None = None,
        sandbox: str = "",
        running: bool = True,
    ) -> None:
        """Write a container of containerd's; `key` is that of its snapshot, which Docker leaves empty."""
        row = self.bucket("containers", name)
        row |= {**self._times(), "image": image.encode(), "sandboxid": sandbox.encode(), "snapshotKey": key.encode()}
        row |= {"snapshotter": self.snapshotter.name.encode() if key else b"", "spec": b"\n\0\x12\0"}
        row |= {"runtime": {"name": b"io.containerd.runc.v2"}}
        _label(row, labels or {})
        if running:
            task = self.store.home / "io.containerd.runtime.v2.task" / self.name / name
            task.mkdir(mode=0o711, parents=True, exist_ok=True)

    def remove_container(self, name: str) -> None:
        """Remove a container of containerd's if it is there."""
        self.bucket("containers").pop(name, None)
        task = self.store.home / "io.containerd.runtime.v2.task" / self.name / name
        if task.exists():
            os.rmdir(task)

    def _times(self) -> dict[str, bytes]:
        return dict.fromkeys(("createdat", "updatedat"), go_time(self.store.now))


def _label(row: Bucket, labels: Mapping[str, str]) -> None:
    if labels:
        row.setdefault("labels", {}).update({name: value.encode() for name, value in labels.items()})
