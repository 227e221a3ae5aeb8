"""Writes a data root of Docker with the containerd image store: containers, volumes, build cache, build history.

Facts: Docker 28.5 daemon/containerd (image_snapshot.go: keys and leases of containers; image_commit.go),
daemon/container/container.go (config.v2.json), daemon/internal/builder-next/worker; BuildKit 0.25 cache/metadata.go
(records), cache/refs.go (leases), solver/llbsolver/history.go (leases `ref_...`).
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from exporter.demo import oci
from exporter.demo.bolt import BoltFile, write_bolt
from exporter.demo.containerd import SECOND, Bucket, ContainerdStore, Namespace
from exporter.demo.layerdb import digest
from exporter.demo.snapshotter import fill, usage, uvarint
from exporter.demo.writer import TIME_ZERO, Content

_DAEMON = "containerd/daemon"
_INIT_FILES = (".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab")
_INIT = (*_INIT_FILES, "dev/pts/", "dev/shm/", "proc/", "sys/")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FLAT = {"containerd.io/gc.flat": "2026-09-21T14:13:20Z"}
_TEMPORARY = {"buildkit/lease.temporary": "2026-09-21T14:13:20Z"}
_EXPIRED = {"containerd.io/gc.expire": "2026-09-21T14:18:20Z"}


class ContainerdWriter:
    """A data root of Docker in `root`, with a store of containerd in `home`.

    Without `home` the store lies below the data root, as where dockerd starts containerd itself. Docker's objects are
    in the namespace `moby`. Files are written at once, the databases by `write`.
    """

    def __init__(self, root: Path, snapshotter: str = "overlayfs", home: Path | None = None) -> None:
        self.root = root
        self.snapshotter = snapshotter
        self.store = ContainerdStore(home or root / _DAEMON)
        self.moby: Namespace = self.store.namespace("moby", snapshotter)
        self.builds: Namespace = self.store.namespace("moby_history", snapshotter)
        self._targets: dict[str, oci.OciManifest] = {}
        self._records: dict[str, dict[str, Any]] = {}
        self._cache = BoltFile(root / "buildkit" / f"containerd-{snapshotter}" / "metadata_v2.db")
        self._builds: dict[str, bytes] = {}
        self._volumes: dict[str, Mapping[str, str]] = {}
        for name in ("buildkit/executor", "containers", "network/files", "plugins/storage", "runtimes", "swarm", "tmp"):
            (root / name).mkdir(mode=0o710, parents=True, exist_ok=True)
        for name in ("volumes", f"rootfs/{snapshotter}"):
            (root / name).mkdir(mode=0o710, parents=True, exist_ok=True)
        (root / "engine-id").write_text("0c1b2a39-4857-4665-9475-84939a2b1c0d")

    def image(self, name: str, of: oci.OciManifest | Sequence[oci.OciLayer], *, unpack: bool = True) -> oci.OciManifest:
        """Write an image of Docker's by its full name; return its target."""
        self._targets[name] = self.moby.image(name, of, unpack=unpack)
        return self._targets[name]

    def target(self, name: str) -> oci.OciManifest:
        """The target of an image that was written by its full name."""
        return self._targets[name]

    def top(self, target: oci.OciManifest) -> str:
        """The key of the snapshot that a container of an image stands on."""
        host = next((one for one in target.manifests if one.platform == oci.HOST_PLATFORM), target)
        return host.chains[-1]

    def container(  # noqa: PLR0913 - a container has that many sides
        self,
        name: str,
        image: str,
        target: oci.OciManifest,
        *,
        writable: Mapping[str, Content] | None = None,
        state: Mapping[str, Any] | None = None,
        host: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        mounts: Mapping[str, str] | None = None,
        log: Content | None = None,
    ) -> str:
        """Write a container with its two snapshots and its lease; return its id.

        `image` is what the user called it, `mounts` are volumes by destination. A running one is in `meta.db`, too.
        """
        identity = digest("container" + name)
        self.moby.snapshot(f"{identity}-init", self.top(target), dict.fromkeys(_INIT, b""))
        self.moby.snapshot(identity, f"{identity}-init", writable or {}, "active")
        self.moby.lease(identity, snapshots=[identity, f"{identity}-init"])
        about = self._about(identity, name, target, state or {})
        about["MountPoints"] = {at: self._mount(at, volume) for at, volume in (mounts or {}).items()}
        about["Config"] = {"Image": image, "Labels": {}, **(config or {})}
        home = self.root / "containers" / identity
        (home / "checkpoints").mkdir(parents=True)
        (home / "config.v2.json").write_text(json.dumps(about))
        settings = {"LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "none", **(host or {})}
        (home / "hostconfig.json").write_text(json.dumps(settings))
        if log is not None:
            fill(home, {f"{identity}-json.log": log})
        if about["State"]["Running"]:
            self.moby.container(identity, image)
            (self.root / "rootfs" / self.snapshotter / identity).mkdir(parents=True)
        return identity

    def remove_container(self, identity: str) -> None:
        """Remove a container. Its snapshots stay until `collect`."""
        shutil.rmtree(self.root / "containers" / identity)
        self.moby.remove_lease(identity)
        self.moby.remove_container(identity)
        shutil.rmtree(self.root / "rootfs" / self.snapshotter / identity, ignore_errors=True)

    def commit(
        self, identity: str, name: str, target: oci.OciManifest, files: Mapping[str, Content]
    ) -> oci.OciManifest:
        """Write the image that `docker commit` makes of a container of `target`: its layer is on the init layer."""
        made = datetime.fromtimestamp(self.store.now // SECOND, UTC).strftime(_TIME)
        committed = oci.manifest([*target.layers, oci.layer(files)], created=made)
        self.moby.pull(committed, unpack=False)
        self.moby.unpack(committed, f"{identity}-init")
        self.moby.name_image(name, committed)
        return committed

    def log(self, identity: str) -> Path:
        """The path of a container's log."""
        return self.root / "containers" / identity / f"{identity}-json.log"

    def volume(self, name: str, files: Mapping[str, Content], labels: Mapping[str, str] | None = None) -> Self:
        """Write a volume. An anonymous one has 64 digits as its name, and a label."""
        data = self.root / "volumes" / name / "_data"
        data.mkdir(parents=True)
        fill(data, files)
        self._volumes[name] = labels or {}
        return self

    # Build cache.

    def build_record(  # noqa: PLR0913 - a record has that many sides
        self,
        record: str,
        *,
        files: Mapping[str, Content] | None = None,
        parent: str = "",
        layer: oci.OciLayer | None = None,
        chain: str = "",
        target: oci.OciManifest | None = None,
        mutable: bool = False,
        kind: str = "regular",
        description: str = "",
        view: bool = False,
        sized: bool = True,
    ) -> str:
        """Write a record of the build cache with its leases; return its id of 25 characters, made from `record`.

        It has a snapshot of its own with `files`, on that of the record `parent`. `layer` is the blob that was made of
        it. With `chain`, the record is that of a base image: it has the image's snapshot, and counts its blob only.
        `target` is the image whose blobs the record's lease holds as well. A mutable one is a context or a cache mount.
        """
        name = record_id(record)
        values: dict[str, Any] = {"cache.cachePolicy": 1, "cache.createdAt": self.store.now, "cache.usageCount": 2}
        values |= {"cache.lastUsedAt": self.store.now + SECOND, "cache.description": description or f"made by {record}"}
        if kind != "regular":
            values["cache.recordType"] = kind
        size = 0
        if chain:
            values |= {"cache.snapshot": chain, "cache.blobonly": True}
        else:
            below = self._snapshot_of(parent)
            content = self.moby.snapshot(name, below, files or {}, "active" if mutable else "committed")
            size = usage(content)[0] if content.name == "fs" else 0
            values["cache.snapshot"] = name
        if parent:
            values["cache.parent"] = record_id(parent)
        if layer is not None:
            size += layer.blob.size
            values |= {"cache.blob": layer.blob.digest, "cache.blobsize": layer.blob.size}
            values |= {"cache.diffID": layer.diff_id, "cache.mediatype": layer.media_type}
            self.moby.blob(layer.blob, {"containerd.io/uncompressed": layer.diff_id})
        if not mutable:
            values["snapshot.committed"] = True
            values |= {"snapshot.size": size} if sized else {}
        self._records[name] = values
        self._leases_of(name, values["cache.snapshot"], layer, target, view)
        return name

    def twin(self, record: str, of: str) -> str:
        """Write the record that BuildKit has beside a mutable one after its use; the engine does not list it."""
        name = record_id(record)
        size = usage(self.moby.snapshotter.content(self.moby.snapshot_name(record_id(of))))[0]
        values: dict[str, Any] = {"cache.cachePolicy": 1, "cache.createdAt": self.store.now, "cache.usageCount": 1}
        values |= {"cache.snapshot": name, "cache.equalMutable": record_id(of), "snapshot.size": size}
        self._records[name] = values | {"snapshot.committed": True}
        return name

    def remove_record(self, record: str) -> None:
        """Remove a record with its leases. Its snapshot and blob stay until `collect`."""
        name = record_id(record)
        del self._records[name]
        for lease in (name, f"{name}-variants", f"{name}-view"):
            self.moby.remove_lease(lease)

    def temporary_lease(self, name: str, *, content: Sequence[str] = (), snapshots: Sequence[str] = ()) -> None:
        """Write a lease that BuildKit takes during a build, and leaves behind; the collection heeds it until then."""
        self.moby.lease(name, content=content, snapshots=snapshots, labels=_TEMPORARY | _EXPIRED)

    # Build history.

    def history(self, build: str, blobs: Mapping[str, Content], target: oci.OciManifest | None = None) -> str:
        """Write what is kept of a build: blobs by name (its log and trace), and copies of an image's documents.

        Returns the id of the build, made from `build`.
        """
        name = record_id(build)
        made = [oci.OciBlob(oci.sha256(f"{name} {what}"), content) for what, content in blobs.items()]
        held = [self.builds.blob(blob) for blob in made]
        if target is not None:
            self._copy_documents(target)
            held.append(target.digest)
        self.builds.lease(f"ref_{name}", content=held)
        moment = self.store.now // SECOND
        self._builds[name] = _history_record(name, moment, moment + 42)
        return name

    def remove_history(self, build: str) -> None:
        """Remove what is kept of a build. Its blobs stay until `collect`."""
        self.builds.remove_lease(f"ref_{record_id(build)}")
        del self._builds[record_id(build)]

    def write(self) -> None:
        """Write the databases of containerd, of BuildKit and of the volumes."""
        self.store.write()
        records = {name: {key: _value(value) for key, value in its.items()} for name, its in self._records.items()}
        home = self.root / "buildkit" / f"containerd-{self.snapshotter}"
        (home / "cachemounts").mkdir(parents=True, exist_ok=True)
        if not (home / "workerid").exists():
            (home / "workerid").write_text("mxscy37pxz7foxo6tdvfoah30")
        self._cache.write({"_main": records, "_index": {}, "_external": {}})
        write_bolt(self.root / "buildkit/history_c8d.db", {"_records": self._builds, "_version": {"version": b"2"}})
        write_bolt(self.root / "buildkit/cache.db", {"_result": {}})
        volumes = {
            name: json.dumps({"Name": name, "Driver": "local", "Labels": dict(labels), "Options": None}).encode()
            for name, labels in self._volumes.items()
        }
        write_bolt(self.root / "volumes/metadata.db", {"volumes": volumes})

    def _copy_documents(self, target: oci.OciManifest) -> None:
        for one in (one for one in target.manifests if one.here):
            self._copy_documents(one)
        if target.config is not None:
            self.builds.blob(target.config)
        below = [*(one.blob for one in target.manifests), *([target.config] if target.config else [])]
        refs = {f"containerd.io/gc.ref.content.{at}": blob.digest for at, blob in enumerate(below)}
        self.builds.blob(target.blob, refs)

    def _leases_of(
        self, name: str, snapshot: str, layer: oci.OciLayer | None, target: oci.OciManifest | None, view: bool
    ) -> None:
        host = [target.digest, *([target.config.digest] if target.config else [])] if target is not None else []
        blobs = [layer.blob.digest] if layer is not None else []
        self.moby.lease(name, content=[*blobs, *host], snapshots=[snapshot], labels=_FLAT)
        if blobs:
            self.moby.lease(f"{name}-variants", content=blobs)
        if view:
            self.moby.snapshot(f"{snapshot}-view", snapshot, kind="view")
            self.moby.lease(f"{name}-view", snapshots=[f"{snapshot}-view"], labels=_TEMPORARY | _FLAT)

    def _snapshot_of(self, record: str) -> str:
        return str(self._records[record_id(record)]["cache.snapshot"]) if record else ""

    def _about(self, identity: str, name: str, target: oci.OciManifest, state: Mapping[str, Any]) -> Bucket:
        made = datetime.fromtimestamp(self.store.now // SECOND, UTC).strftime(_TIME)
        runs = bool(state.get("Running"))
        about: Bucket = {"ID": identity, "Name": f"/{name}", "Driver": self.snapshotter, "Created": made, "OS": "linux"}
        system, _, architecture = oci.HOST_PLATFORM.partition("/")
        about |= {"ImagePlatform": {"architecture": architecture, "os": system}, "NetworkSettings": {"Networks": {}}}
        about |= {"Image": target.digest, "ImageManifest": _descriptor(target), "Path": "/bin/sh", "Args": []}
        about["State"] = {"Running": False, "Pid": 0, "StartedAt": made, "FinishedAt": TIME_ZERO if runs else made}
        about["State"] |= state
        about["LogPath"] = f"/var/lib/docker/containers/{identity}/{identity}-json.log"
        return about

    def _mount(self, at: str, volume: str) -> Bucket:
        about = {"Source": f"/var/lib/docker/volumes/{volume}/_data", "Destination": at, "RW": True}
        return about | {"Name": volume, "Driver": "local", "Type": "volume", "Spec": {}}


def record_id(name: str) -> str:
    """The id of 25 characters that is made from a name."""
    return digest("record" + name)[:25]


def _descriptor(target: oci.OciManifest) -> Bucket:
    host = next((one for one in target.manifests if one.platform == oci.HOST_PLATFORM), target)
    return {"mediaType": host.media_type, "digest": host.digest, "size": host.blob.size}


def _history_record(name: str, began: int, ended: int) -> bytes:
    """A BuildHistoryRecord of BuildKit's api/services/control: ref, frontend's attribute, creation, completion."""
    attribute = _field(1, b"filename") + _field(2, b"Dockerfile")
    times = (_field(number, b"\x08" + uvarint(moment)) for number, moment in ((6, began), (7, ended)))
    return b"".join((_field(1, name.encode()), _field(3, attribute), *times))


def _field(number: int, content: bytes) -> bytes:
    """A field of a protobuf message that has a length."""
    return bytes([number << 3 | 2]) + uvarint(len(content)) + content


def _value(value: Any) -> bytes:
    return json.dumps({"value": value}).encode()
