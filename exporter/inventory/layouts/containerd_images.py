"""The images of a containerd image store: the names that lead to one target are one image.

Facts: moby 28 daemon/containerd/image_list.go (what is shown, and how its size is added up).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from exporter.core.content import StoreNode
from exporter.core.kept import changed_keys
from exporter.core.measured import Reason, Tree
from exporter.core.model import Image, ImageId
from exporter.inventory.files.reader import Reader
from exporter.inventory.image_store.manifests import BlobReader, ImageConfiguration, ImageContent, Manifest, parts
from exporter.inventory.image_store.meta import BlobEntry, NamespaceEntry
from exporter.inventory.image_store.names import DANGLING, familiar, is_digest_name, repository_and_tag
from exporter.inventory.layouts.containerd_snapshots import Chain, Snapshots, StoredSnapshot

#: moby 28 daemon/containerd/image_builder.go.
_PARENT = "org.mobyproject.image.parent"
_CONTENT = "containerd.io/gc.ref.content"
_REFERENCE = "containerd.io/gc.ref.snapshot."


class _Made(Struct, frozen=True):
    """An image, and all that it was made of: it is the same for as long as that is."""

    of: tuple[object, ...]
    #: What was asked for to make it, there or not. Tuples: sets would take three times as much.
    blobs: tuple[str, ...]
    snapshots: tuple[StoreNode, ...]
    image: Image
    stacks: tuple[tuple[str, ...], ...]

    def has_one_of(self, blobs: set[str], snapshots: set[StoreNode]) -> bool:
        """Whether one of these was asked for to make it."""
        return not (blobs.isdisjoint(self.blobs) and snapshots.isdisjoint(self.snapshots))


class _LastImages(Struct):
    """The images of the last reading by target, and the blobs and snapshots that there were."""

    made: dict[str, _Made] = field(default_factory=dict)
    blobs: Mapping[str, BlobEntry] = field(default_factory=dict)
    files: Mapping[str, Tree] = field(default_factory=dict)
    snapshots: Mapping[StoreNode, StoredSnapshot] = field(default_factory=dict)


class ImagesOfNamespace(Struct):
    """Reads the images of one namespace.

    `home`: where the blobs are. `snapshotter` is the one whose snapshots Docker counts; "" for a namespace that is not
    Docker's. `default` is the driver of an image that is in no snapshotter.
    """

    home: Tree
    namespace: str
    entry: NamespaceEntry
    blobs: BlobReader
    snapshots: Snapshots
    snapshotter: str = ""
    default: str = ""
    #: The lists of layers, lowest first, of the manifests that are there.
    stacks: set[tuple[str, ...]] = field(default_factory=set)
    #: The first image of which a document cannot be read, as its names are shown; "" for none.
    unread: str = ""
    _used: Counter[str] = field(default_factory=Counter)
    #: The snapshots that the image under work was asked for, there or not.
    _asked: set[StoreNode] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._used = Counter({name: len(entries) for name, entries in self.entry.snapshots.items() if entries})

    def read(self, reader: Reader) -> Iterator[Image]:
        """All images, by target. One with which that fails is not known whole.

        Docker lists no image without a name that another one was built on by its classic builder.
        """
        found = list(self._each(reader))
        parents = {one.parent for one in found}
        yield from (replace(one, listed=False) if one.dangling and one.id in parents else one for one in found)

    def _each(self, reader: Reader) -> Iterator[Image]:
        names: dict[str, list[str]] = defaultdict(list)
        for name, image in self.entry.images.items():
            names[image.target].append(name)
        last = reader.derived("images", (*self.home, self.namespace), _LastImages)
        blobs = changed_keys(self.entry.blobs, last.blobs) | changed_keys(self.blobs.files, last.files)
        snapshots = changed_keys(self.snapshots.by_node, last.snapshots)
        known, kept = last.made, dict[str, _Made]()
        last.made, last.blobs, last.snapshots = kept, self.entry.blobs, self.snapshots.by_node
        last.files = self.blobs.files
        ranked = self._ranked({*self._used})
        for target, found in names.items():
            of = (*((name, self.entry.images[name]) for name in found), self.snapshotter, self.default, *ranked)
            made = known.get(target)
            if made is not None and made.of == of and not made.has_one_of(blobs, snapshots):
                kept[target] = made
                self.stacks.update(made.stacks)
                yield made.image
                continue
            yield from self._anew(reader, target, found, of, kept)

    def _anew(
        self, reader: Reader, target: str, names: list[str], of: tuple[object, ...], kept: dict[str, _Made]
    ) -> Iterator[Image]:
        """One image, noted in `kept` where all of it could be read."""
        digest = parts(target)
        if digest is None:
            reader.problem(Reason.DECODE, self.home, "an image without a target")
            return
        driver, image_id = self.snapshotter or self.default, ImageId(digest[1])
        unknown = Image(driver, image_id, (), broken=True, digest=target, namespace=self.namespace)

        def make() -> Image:
            self._asked, before = set(), reader.noted
            content = self.blobs.content(target, self.entry.blobs)
            image = self._image(target, names, content)
            stacks = tuple(one.layers for one in content.manifests)
            self.stacks.update(stacks)
            if content.whole and reader.noted == before:  # a problem is to be noted again
                kept[target] = _Made(of, tuple(content.named), tuple(self._asked), image, stacks)
            if not content.whole:
                self.unread = self.unread or names[0]
            return image

        place = (*self.home, *digest)
        found = reader.attempt(place, make, unknown)
        yield found if found is not unknown else reader.attempt(place, lambda: self._named(unknown, names), unknown)

    def _chain(self, top: StoreNode) -> Chain | None:
        """The snapshots from this one on; None where it is not there."""
        self._asked.add(top)
        if top not in self.snapshots.by_node:
            return None
        chain = self.snapshots.chain(top)
        self._asked.update(one.node for one in chain.snapshots)
        if chain.missing:
            self._asked.add(StoreNode(top.namespace, top.snapshotter, chain.missing))
        return chain

    def _image(self, target: str, names: list[str], content: ImageContent) -> Image:
        """Make one image."""
        if not content.whole:
            return self._by_labels(target, names)
        unpacked = [(one, self._chains(one)) for one in content.manifests if not one.attestation]
        driver = self.snapshotter or self._driver(chains for _, chains in unpacked)
        own = [chains[driver] for _, chains in unpacked if driver in chains]
        layers = dict.fromkeys(one.layer.id for chain in own for one in chain.snapshots)
        further = dict.fromkeys(
            one.layer for _, chains in unpacked for name in chains if name != driver for one in chains[name].snapshots
        )
        shown = self._shown([one for one, _ in unpacked], unpacked, driver)
        known = target in self.entry.blobs
        image = Image(
            driver=driver,
            id=ImageId((parts(target) or ("", ""))[1]),
            layers=tuple(layers),
            created=shown.created,
            os=shown.os,
            architecture=shown.architecture,
            docker_version=shown.docker_version,
            broken=not known or any(chain.missing for chain in own),
            missing=tuple(dict.fromkeys(chain.missing for chain in own if chain.missing)),
            cut=any(chain.cut for chain in own),
            digest=target,
            namespace=self.namespace,
            blobs=tuple(content.blobs),
            content_size=self._content_size(content) if known else None,
            unpacked_size=_sum(chain.size for chain in own) if known else None,
            further=tuple(further),
            platforms=tuple(dict.fromkeys(filter(None, (self._platform(one) for one, _ in unpacked)))),
        )
        return self._named(image, names)

    def _by_labels(self, target: str, names: list[str]) -> Image:
        """An image of which a document cannot be read: what it keeps, by the labels for the garbage collector."""
        blobs: dict[str, None] = {}
        tops: dict[StoreNode, None] = {}
        pending = [target]
        while pending:
            digest = pending.pop()
            entry = self.entry.blobs.get(digest)
            if entry is None or digest in blobs:
                continue
            blobs[digest] = None
            pending += (value for label, value in entry.gc if label.startswith(_CONTENT))
            for label, value in entry.gc:
                if label.startswith(_REFERENCE):
                    tops[StoreNode(self.namespace, label.removeprefix(_REFERENCE).partition("/")[0], value)] = None
        chains = {top: chain for top in tops if (chain := self._chain(top)) is not None}
        driver = self.snapshotter or self._driver(iter([{top.snapshotter: chain for top, chain in chains.items()}]))
        layers = dict.fromkeys(one.layer for chain in chains.values() for one in chain.snapshots)
        image = Image(
            driver=driver,
            id=ImageId((parts(target) or ("", ""))[1]),
            layers=tuple(key.id for key in layers if key.driver == driver),
            broken=True,
            digest=target,
            namespace=self.namespace,
            blobs=tuple(blobs),
            further=tuple(key for key in layers if key.driver != driver),
        )
        return self._named(image, names)

    def _named(self, image: Image, names: list[str]) -> Image:
        """How Docker shows the names of an image. It is dangling only where it has no other name."""
        shown = [name for name in names if not name.startswith(DANGLING)]
        docker = bool(self.snapshotter)
        display = [familiar(name) if docker else name for name in shown if not _is_target(name)]
        tags = (tag for name in display if (tag := repository_and_tag(name)) is not None)
        others = (name for name in display if repository_and_tag(name) is None)
        return replace(
            image,
            references=tuple(sorted(tags)),
            digests=tuple(sorted(name for name in others if is_digest_name(name) or not docker)),
            dangling=docker and not shown,
            parent=self._parent(names),
        )

    def _parent(self, names: list[str]) -> ImageId | None:
        """The image that this one was built on, or committed from, where Docker has noted it."""
        given = (self.entry.images[name].labels.get(_PARENT, "") for name in names)
        digest = next((found for one in given if (found := parts(one)) is not None), None)
        return ImageId(digest[1]) if digest else None

    def _content_size(self, content: ImageContent) -> int | None:
        """The sum over the manifests, as they list their blobs: one that is listed twice counts twice."""
        listed = (digest for one in content.manifests for digest in one.listed)
        return _sum(self.entry.blobs[digest].size for digest in listed if digest in self.entry.blobs)

    def _chains(self, manifest: Manifest) -> dict[str, Chain]:
        """By snapshotter, the snapshots of a manifest that is unpacked there."""
        if manifest.config not in self.entry.blobs:
            return {}
        tops = {
            label.removeprefix(_REFERENCE).partition("/")[0]: key
            for label, key in self.entry.blobs[manifest.config].gc
            if label.startswith(_REFERENCE)
        }
        missing = [name for name in {self.snapshotter, *self._used} if name and name not in tops]
        if missing and (configuration := self.blobs.configuration(manifest.config)) is not None:
            tops.update(dict.fromkeys(missing, configuration.chain))
        nodes = (StoreNode(self.namespace, snapshotter, key) for snapshotter, key in tops.items() if key)
        chains = ((node.snapshotter, self._chain(node)) for node in nodes)
        return {name: chain for name, chain in chains if chain is not None}

    def _driver(self, found: Iterator[dict[str, Chain]]) -> str:
        """The snapshotter that an image is in; of several, the one with the most snapshots of the namespace."""
        return next(iter(self._ranked({name for chains in found for name in chains})), self.default)

    def _ranked(self, names: Iterable[str]) -> list[str]:
        """Some snapshotters, those with the most snapshots of the namespace first."""
        return sorted(names, key=lambda name: (-self._used[name], name))

    def _platform(self, manifest: Manifest) -> str:
        if manifest.platform:
            return manifest.platform
        configuration = self._configuration(manifest)
        return configuration.platform if configuration else ""

    def _configuration(self, manifest: Manifest) -> ImageConfiguration | None:
        return self.blobs.configuration(manifest.config) if manifest.config in self.entry.blobs else None

    def _shown(
        self, manifests: list[Manifest], unpacked: list[tuple[Manifest, dict[str, Chain]]], driver: str
    ) -> ImageConfiguration:
        """The configuration that stands for the image: of a platform that is unpacked, else of the first."""
        here = [one for one, chains in unpacked if driver in chains]
        found = (self._configuration(one) for one in (*here, *manifests))
        return next((one for one in found if one is not None), ImageConfiguration())


def _is_target(name: str) -> bool:
    """Whether a name is only a digest, as Kubernetes keeps one for each image."""
    return parts(name) is not None and "/" not in name


def _sum(sizes: Iterator[int | None]) -> int | None:
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total
