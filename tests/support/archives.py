"""Archives of images as `docker load` and `ctr images import` take them, with any platforms, whole or in part."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_OCI = "application/vnd.oci.image"
#: That of this machine.
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
#: A platform that the engine does not run on any machine that tests run on.
FOREIGN = "s390x"


@dataclass
class Archive:
    """One archive in the making: blobs, and the images in its index."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    images: list[dict[str, object]] = field(default_factory=list)

    def image(self, name: str, platforms: Mapping[str, Iterable[bytes]], *, missing: Iterable[str] = ()) -> str:
        """Add an image with an index: the files of each layer by architecture. Blobs of `missing` ones are left out.

        Returns the digest of the index.
        """
        manifests = []
        for architecture, layers in platforms.items():
            single = Archive()
            manifests.append(single._manifest(architecture, layers))
            if architecture not in missing:
                self.blobs.update(single.blobs)
        index = self._blob("index.v1+json", {"schemaVersion": 2, "manifests": manifests})
        self.images.append({**index, "annotations": {"io.containerd.image.name": name}})
        return str(index["digest"])

    def _manifest(self, architecture: str, layers: Iterable[bytes]) -> dict[str, object]:
        listed, ids = [], []
        for content in layers:
            packed = _layer(content)
            ids.append(f"sha256:{hashlib.sha256(packed).hexdigest()}")
            listed.append(self._blob("layer.v1.tar+gzip", gzip.compress(packed, mtime=0)))
        about = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids}}
        config = self._blob("config.v1+json", {**about, "config": {"Cmd": ["/sh"]}, "created": "2026-01-02T03:04:05Z"})
        manifest = self._blob("manifest.v1+json", {"schemaVersion": 2, "config": config, "layers": listed})
        return {**manifest, "platform": {"architecture": architecture, "os": "linux"}}

    def _blob(self, kind: str, content: "bytes | dict[str, object]") -> dict[str, object]:
        media = f"{_OCI}.{kind}"
        raw = content if isinstance(content, bytes) else json.dumps({**content, "mediaType": media}).encode()
        digest = hashlib.sha256(raw).hexdigest()
        self.blobs[digest] = raw
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(raw)}

    def packed(self) -> bytes:
        """The archive."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            _add(tar, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
            _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": self.images}).encode())
            for digest, content in self.blobs.items():
                _add(tar, f"blobs/sha256/{digest}", content)
        return packed.getvalue()


def _layer(content: bytes) -> bytes:
    """An uncompressed layer with one file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        _add(tar, hashlib.sha256(content).hexdigest()[:12], content)
    return packed.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)
    about.size = len(content)
    tar.addfile(about, io.BytesIO(content))
