"""Manifests and configurations of images: small JSON blobs. Blobs of layers are never opened.

Facts: OCI image specification 1.1 (image-index.md, manifest.md, config.md) and Docker's manifest schema 2, which have
the same fields; attestations: BuildKit docs/attestations/attestation-storage.md.
"""

import re
from collections.abc import Mapping
from sys import intern

from msgspec import Struct, field

from exporter.core.hashes import sha256
from exporter.core.measured import Reason, Tree
from exporter.inventory.files.reader import Reader
from exporter.inventory.files.values import Json, decode, items, moment, table, text

_DIGEST = re.compile(r"([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([0-9a-zA-Z=_-]{32,})", re.ASCII)
_ATTESTATION = "attestation-manifest"
_REFERENCE_TYPE = "vnd.docker.reference.type"
#: More than any image has: entries of one index, and layers of one manifest. Images come from anywhere.
_MOST_ENTRIES = 1024
#: Indexes in indexes, and the entries of all of them, with repetitions.
_MOST_DEPTH = 8
_MOST_FOLLOWED = 4096


class Described(Struct, frozen=True):
    """A blob that another one names. `platform` is "os/architecture" with the variant, "" where it is not said."""

    digest: str
    platform: str = ""
    attestation: bool = False


class BlobDocument(Struct, frozen=True):
    """What a blob of JSON names: an index has `manifests`, a manifest has a `config` and `layers`, in their order."""

    manifests: tuple[Described, ...] = ()
    config: str = ""
    layers: tuple[str, ...] = ()


class ImageConfiguration(Struct, frozen=True):
    """The configuration of an image. `chain` is the chain id of all its layers, "" without layers."""

    os: str = ""
    architecture: str = ""
    variant: str = ""
    created: float | None = None
    docker_version: str = ""
    chain: str = ""

    @property
    def platform(self) -> str:
        """As in a manifest's description."""
        return intern("/".join(filter(None, (self.os, self.architecture, self.variant))))


class Manifest(Struct, frozen=True):
    """A manifest that is there. `listed` are the blobs that it names, in their order, with repetitions."""

    digest: str
    config: str
    layers: tuple[str, ...]
    platform: str = ""
    attestation: bool = False

    @property
    def listed(self) -> tuple[str, ...]:
        """The manifest itself, its configuration and its layers."""
        return (self.digest, *filter(None, (self.config,)), *self.layers)


class ImageContent(Struct):
    """What can be reached from the target of an image. `whole`: all of it that is there was read.

    `manifests`: as the indexes list them, with repetitions. An engine counts one that is listed twice twice.
    """

    manifests: list[Manifest] = field(default_factory=list)
    followed: int = 0
    #: The blobs that are there, each once: indexes, too.
    blobs: dict[str, None] = field(default_factory=dict)
    #: All blobs that are named, there or not.
    named: set[str] = field(default_factory=set)
    whole: bool = True


def parts(digest: str) -> tuple[str, str] | None:
    """The algorithm and the hexadecimal part of a digest; None where it is none."""
    match = _DIGEST.fullmatch(digest)
    return (match[1], match[2]) if match else None


class BlobReader:
    """Reads the documents of one content store. `files`: the files of its blobs by digest."""

    def __init__(self, reader: Reader, files: Mapping[str, Tree]) -> None:
        self._reader = reader
        self.files = files
        #: Whether a blob was collected while the store was read.
        self.vanished = False

    def document(self, digest: str) -> BlobDocument | None:
        """An index or a manifest; None where it is not there or is none, which is a problem then.

        The engine cannot read such a one either. What its image keeps is written down in labels as well.
        """
        tree = self.files.get(digest)
        if tree is None:
            return None
        return self._reader.once("document", tree, lambda: self._document(tree), None)

    def configuration(self, digest: str) -> ImageConfiguration | None:
        """A configuration; None where it is not there or cannot be read. One that is none says nothing: a problem."""
        tree = self.files.get(digest)
        if tree is None:
            return None
        return self._reader.once("configuration", tree, lambda: self._configuration(tree), None)

    def _document(self, tree: Tree) -> BlobDocument | None:
        content = self._json(tree)
        if not content:
            return None
        if not _is_document(content):
            self._reader.problem(Reason.DECODE, tree, "neither an index nor a manifest", harmless=True)
            return None
        manifests, layers = items(content, "manifests"), items(content, "layers")
        if max(len(manifests), len(layers)) > _MOST_ENTRIES:
            self._reader.problem(Reason.TOO_LARGE, tree, f"names more than {_MOST_ENTRIES} blobs", harmless=True)
            return None
        return BlobDocument(
            tuple(filter(None, map(_described, manifests))),
            intern(text(content, "config", "digest")),
            tuple(filter(None, (intern(text(one, "digest")) for one in layers))),
        )

    def _json(self, tree: Tree) -> Json | None:
        """What a blob says, nothing where it is no JSON object; None where it cannot be read."""
        raw = self._reader.bytes(tree, optional=True)  # it may have been collected since
        if raw is None:
            self.vanished |= not self._reader.exists(tree)
            return None
        decoded = decode(raw)
        if decoded is None:
            self._reader.problem(Reason.DECODE, tree, "not a JSON object", harmless=True)
        return decoded or {}

    def _configuration(self, tree: Tree) -> ImageConfiguration | None:
        content = self._json(tree)
        if content is None:
            return None
        return ImageConfiguration(
            intern(text(content, "os")),
            intern(text(content, "architecture")),
            text(content, "variant"),
            moment(content, "created"),
            text(content, "docker_version"),
            chain_id(items(content, "rootfs", "diff_ids")),
        )

    def content(self, target: str, known: Mapping[str, object]) -> ImageContent:
        """All that can be reached from a target, of the blobs that a namespace knows."""
        found = ImageContent()
        self._follow(Described(target), known, found, _MOST_DEPTH)
        return found

    def _follow(self, described: Described, known: Mapping[str, object], found: ImageContent, depth: int) -> None:
        digest = described.digest
        found.named.add(digest)
        found.followed += 1
        if digest not in known:
            return
        document = self.document(digest) if depth and found.followed <= _MOST_FOLLOWED else None
        found.blobs[digest] = None
        if document is None:
            found.whole = False
            return
        for below in document.manifests:
            self._follow(below, known, found, depth - 1)
        if document.config or document.layers:
            manifest = Manifest(digest, document.config, document.layers, described.platform, described.attestation)
            found.manifests.append(manifest)
            found.named.update(manifest.listed)
            found.blobs.update(dict.fromkeys(one for one in manifest.listed if one in known))


def _is_document(content: Json) -> bool:
    """Whether it is an index or a manifest: a list of blobs, or a configuration and layers."""
    lists = [content.get(key) for key in ("manifests", "layers") if content.get(key) is not None]
    config = content.get("config")
    if not lists and config is None:
        return False
    named = (one for found in lists if isinstance(found, list) for one in found)
    whole = all(isinstance(found, list) for found in lists) and all(text(one, "digest") for one in named)
    return whole and (config is None or bool(text(config, "digest")))


def _described(entry: object) -> Described | None:
    digest = text(entry, "digest")
    if not digest:
        return None
    platform = table(entry, "platform")
    names = (text(platform, key) for key in ("os", "architecture", "variant"))
    kind = text(entry, "annotations", _REFERENCE_TYPE)
    return Described(intern(digest), intern("/".join(filter(None, names))), attestation=kind == _ATTESTATION)


def chain_id(diff_ids: list[object]) -> str:
    """The chain id of a stack of layers, lowest first (OCI image specification, config.md); "" for none."""
    chain = ""
    for one in diff_ids if len(diff_ids) <= _MOST_ENTRIES else ():
        if not isinstance(one, str) or not one:
            return ""
        chain = one if not chain else f"sha256:{sha256(f'{chain} {one}'.encode('utf-8', 'replace')).hexdigest()}"
    return chain
