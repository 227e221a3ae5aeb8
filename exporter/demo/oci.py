"""Makes the documents and layers of OCI images: index, manifest, config, and layers as gzip archives.

Facts: OCI image-spec 1.1 image-index.md, manifest.md, config.md (diff_ids, chain ids), layer.md; BuildKit
docs/attestations/attestation-storage.md.
"""

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.demo.writer import Content

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
IN_TOTO = "application/vnd.in-toto+json"
HOST_PLATFORM = "linux/amd64"
_COMPRESSED = 3  # a layer of unknown content takes so many times less
#: A member of a gzip file without content takes so much, and its extra field has at most so much.
_EMPTY_MEMBER, _MOST_EXTRA = 22, 65_535


class OciBlob(Struct, frozen=True):
    """A blob: its content, or the size of one that nobody reads."""

    digest: str
    content: Content

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.content if isinstance(self.content, int) else len(self.content)


class OciLayer(Struct, frozen=True):
    """A layer: its blob, its files, and the digest of the archive before it was compressed."""

    blob: OciBlob
    diff_id: str
    files: Mapping[str, Content]
    media_type: str = LAYER


class OciManifest(Struct, frozen=True):
    """What an index names: a manifest or a further index, with the blobs below it.

    One that is not `here` is named by an index and was not pulled.
    """

    blob: OciBlob
    media_type: str = MANIFEST
    platform: str = HOST_PLATFORM
    annotations: Mapping[str, str] = field(default_factory=dict)
    config: OciBlob | None = None
    layers: Sequence[OciLayer] = ()
    manifests: Sequence["OciManifest"] = ()
    here: bool = True

    @property
    def digest(self) -> str:
        """The digest, with its algorithm."""
        return self.blob.digest

    @property
    def chains(self) -> list[str]:
        """The chain id of each layer."""
        return chain_ids([layer.diff_id for layer in self.layers])

    def descriptor(self) -> dict[str, Any]:
        """The entry of an index."""
        system, _, architecture = self.platform.partition("/")
        about: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.blob.size}
        about |= {"platform": {"architecture": architecture, "os": system}}
        return about | ({"annotations": dict(self.annotations)} if self.annotations else {})


def sha256(content: bytes | str) -> str:
    """The digest of bytes or of a text, with its algorithm."""
    return f"sha256:{hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()}"


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The chain id of each layer of a stack."""
    chains = list(diff_ids[:1])
    for diff_id in diff_ids[1:]:
        chains.append(sha256(f"{chains[-1]} {diff_id}"))
    return chains


def layer(files: Mapping[str, Content], compressed: int | None = None) -> OciLayer:
    """Make a layer of files, as a gzip archive; of those of which only the size is given, the content is zeros.

    `compressed` is the least size of the archive. Without it, a layer of such files has a third of their size.
    """
    made = {name: bytes(content) if isinstance(content, int) else content for name, content in files.items()}
    archive = _archive(made)
    packed = gzip.compress(archive, 1, mtime=0)
    if compressed is None:
        compressed = sum(content for content in files.values() if isinstance(content, int)) // _COMPRESSED
    packed += _padding(compressed - len(packed))
    return OciLayer(OciBlob(sha256(packed), packed), sha256(archive), files)


def _padding(size: int) -> bytes:
    """Members of a gzip file without content, of about so many bytes: each has an extra field (RFC 1952)."""
    padding = b""
    while size > len(padding):
        extra = min(max(size - len(padding) - _EMPTY_MEMBER, 0), _MOST_EXTRA)
        padding += struct.pack("<BBBBIBBH", 0x1F, 0x8B, 8, 4, 0, 0, 255, extra) + bytes(extra) + b"\3\0" + bytes(8)
    return padding


def manifest(
    layers: Sequence[OciLayer],
    platform: str = HOST_PLATFORM,
    *,
    created: str = "",
    config: Mapping[str, Any] | None = None,
    here: bool = True,
) -> OciManifest:
    """Make the manifest and the config of an image of one platform; `here` is false if an index names it only."""
    system, _, architecture = platform.partition("/")
    about: dict[str, Any] = {"created": created} if created else {}
    about |= {"architecture": architecture, "os": system, "config": dict(config or {"Cmd": ["/bin/sh"]})}
    about |= {"rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]}}
    about |= {"history": [{"created_by": "made"} for _ in layers]}
    return replace(_manifest(_document(about), layers, platform, {}), here=here)


def attestation(of: OciManifest, statement: bytes = b'{"_type":"https://in-toto.io/Statement/v0.1"}') -> OciManifest:
    """Make the manifest of an attestation, which has a statement as its layer."""
    held = OciLayer(OciBlob(sha256(statement), statement), sha256(statement), {}, IN_TOTO)
    about = {"architecture": "unknown", "os": "unknown", "config": {}}
    config = _document(about | {"rootfs": {"type": "layers", "diff_ids": [held.diff_id]}})
    notes = {"vnd.docker.reference.digest": of.digest, "vnd.docker.reference.type": "attestation-manifest"}
    return _manifest(config, [held], "unknown/unknown", notes)


def index(manifests: Sequence[OciManifest]) -> OciManifest:
    """Make an index of manifests."""
    about = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [one.descriptor() for one in manifests]}
    return OciManifest(_document(about), INDEX, manifests=manifests)


def _manifest(
    config: OciBlob, layers: Sequence[OciLayer], platform: str, annotations: Mapping[str, str]
) -> OciManifest:
    about = {"schemaVersion": 2, "mediaType": MANIFEST, "config": _described(config, CONFIG)}
    about["layers"] = [_described(one.blob, one.media_type) for one in layers]
    return OciManifest(_document(about), MANIFEST, platform, annotations, config, layers)


def _described(blob: OciBlob, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}


def _document(about: Mapping[str, Any]) -> OciBlob:
    raw = json.dumps(about).encode()
    return OciBlob(sha256(raw), raw)


def _archive(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()
