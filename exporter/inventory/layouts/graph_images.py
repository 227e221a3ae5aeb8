"""The images of one graph driver in the graph layout, from one reading to the next."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import is_

from msgspec import Struct, field

from exporter.core.knowledge import Input
from exporter.core.measured import Reason
from exporter.core.model import Container, Image, Layer, LayerId
from exporter.core.splices import change
from exporter.inventory.drivers import INIT, MOST_LAYERS
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.files.reader import MISSING, Reader
from exporter.inventory.layouts.graph_store import GRAPH, TAGS, GraphEntry, References, nothing


class _ImagesBefore(Struct):
    """The images of the last reading, and what they were made of.

    `asked`: the ids that something was asked of the driver for. `settled`: nothing was to be noted on the way, and no
    image was moved, so the same has the same result.
    """

    entries: dict[str, GraphEntry] = field(default_factory=dict)
    references: References | None = None
    names: frozenset[LayerId] = frozenset()
    turn: int = -1
    listed: bool = True
    asked: frozenset[str] = frozenset()
    settled: bool = False
    images: list[Image] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    #: By image, what it was made of, and itself.
    made: dict[str, tuple[object, Image]] = field(default_factory=dict)
    #: The layers of these images, each as the driver keeps it; None where one of them is not kept.
    layers: dict[LayerId, Layer] | None = None

    def holds(self, entries: Mapping[str, GraphEntry], references: References, store: LayerStore) -> bool:
        """Whether all that these were made of is as it was."""
        renewed = store.renewed_since(self.turn)
        return (
            self.settled
            and self.listed == store.listed
            and len(self.entries) == len(entries)
            and all(map(is_, self.entries.values(), entries.values()))
            and self.references == references
            and self.asked.isdisjoint(self.names ^ store.names if renewed is None else renewed)
        )


class OwnLayers(Struct):
    """The layers of containers in the last reading, of which `turn` is the number; see `LayerStore`.

    `layers`: by name. `passing`: the ids of containers of whose layers one has to be described each time.
    """

    turn: int = -2
    containers: Sequence[Container] = ()
    layers: dict[LayerId, Layer] = field(default_factory=dict)
    passing: set[str] = field(default_factory=set)

    def come_to(self, store: LayerStore, containers: Sequence[Container]) -> Iterable[Container]:
        """Come to other containers; return those of whose layers something else may be known."""
        renewed, self.turn = store.renewed_since(self.turn), -2
        before, self.containers = self.containers, containers
        if renewed is None or not (store.listed and store.driver.sums_files):
            self.layers, self.passing = {}, set()
            return containers
        changed = change(before, containers)
        for one in changed.removed:
            for name in (one.id, one.id + INIT):
                self.layers.pop(LayerId(name), None)
        again = {name.removesuffix(INIT) for name in renewed} | self.passing
        self.passing, come = set(), {one.id for one in changed.added}
        if again <= come:  # most often: a layer comes with its container, and nothing of it depends on other layers
            return changed.added
        return [one for one in containers if one.id in again or one.id in come]


class GraphStore:
    """The images of one driver: those of the graph whose layer it has, with their chains.

    Docker keeps only the ids that its driver has (graph.go, restore). An id whose layer no driver has is a
    missing layer of the drivers that refer to it, by a tag or a child; of `default` when none does.
    """

    def __init__(self, store: LayerStore, references: References, moved: Callable[[str], bool] = nothing) -> None:
        """`moved` says which ids a newer Docker has made images of its own: their layers may be gone again."""
        self._moved = moved
        self.store = store
        self.references = references
        self.entries: dict[str, GraphEntry] = {}
        self.missing: set[str] = set()
        self._last = _ImagesBefore()
        self._holds_layers = False
        #: What was made of containers' layers in the last reading, after `images`.
        self.own_layers = OwnLayers()

    @property
    def driver(self) -> str:
        """The driver's name."""
        return self.store.driver.name

    def claim(self, graph: Mapping[str, GraphEntry], homeless: frozenset[str]) -> frozenset[str]:
        """Add the images whose layers this driver has, and those of `homeless` that it refers to; return the latter."""
        names = self.store.names
        if not homeless and graph.keys() <= names:
            self.entries.update(graph)  # all of it, which is in order
            return frozenset()
        mine = graph.keys() & names
        claimed = frozenset[str]()
        if homeless:
            wanted: set[str] = {parent for image in mine if (parent := graph[image].parent)}
            wanted.update(image for image in homeless if self.references.names(image))
            claimed = frozenset(wanted & homeless)
        self.adopt(graph, mine | claimed)
        return claimed

    def adopt(self, graph: Mapping[str, GraphEntry], images: set[str] | frozenset[str]) -> None:
        """Add these entries of the graph to this driver."""
        if len(images) == len(graph):  # all of it, which is in order
            self.entries.update(graph)
        else:
            self.entries.update((image, graph[image]) for image in sorted(images))

    def images(self, reader: Reader) -> list[Image]:
        """List the images with their chains, and note what is missing on the way."""
        if self.entries:
            reader.expect((TAGS + self.driver,))
            self.store.expect()
        last = self._last = reader.derived("images", (TAGS + self.driver,), _ImagesBefore)
        self.own_layers = reader.derived("own layers", (TAGS + self.driver,), OwnLayers)
        if self._moved is nothing and last.holds(self.entries, self.references, self.store):
            self.missing.update(last.missing)
            self.entries = last.entries
            layers, renewed = last.layers, self.store.renewed_since(last.turn)
            self._holds_layers = layers is not None and renewed is not None and layers.keys().isdisjoint(renewed)
            last.names, last.turn = self.store.names, self.store.turn
            return last.images
        last.settled, before = False, reader.noted  # where this fails, the next reading makes them again
        images = self._images(reader, last)
        parents = (entry.parent for entry in self.entries.values())
        named = (self.references.tags, self.references.digests, self.missing, self.entries)
        last.asked = frozenset().union(filter(None, parents), *named)
        last.entries, last.references = self.entries, self.references
        last.names, last.turn, last.listed = self.store.names, self.store.turn, self.store.listed
        last.images, last.missing, last.layers = images, frozenset(self.missing), None
        last.settled = reader.noted == before
        return images

    def image_layers(self) -> dict[LayerId, Layer] | None:
        """The layers of the images, where all of them are as they were in the last reading; after `images`."""
        return self._last.layers if self._holds_layers else None

    def note_image_layers(self, layers: Mapping[LayerId, Layer]) -> None:
        """Note the layers of the images for the next reading."""
        kept = all(self.store.keeps(name, layer) for name, layer in layers.items())
        self._last.layers = {**layers} if kept else None

    def _images(self, reader: Reader, last: _ImagesBefore) -> list[Image]:
        parents = {entry.parent for entry in self.entries.values()}
        self.missing.update(image for image in self.references.tags if image not in self.entries)
        chains = self._chains(reader)
        for image in sorted(self.missing & self.store.names):  # its layer is there, so its description is lost
            self.missing.discard(image)
            reader.gap(Input.IMAGE_CONFIGS, (*GRAPH, image), MISSING, driver=self.driver, object_id=image)
        listed = {image for image in self.entries if self.references.names(image) or image not in parents}
        covered = self._covered(listed)
        # A cycle of parents has no topmost image: without this, no figure would include its layers.
        listed.update(image for image in self.entries if chains[image] and image not in covered)
        kept: dict[str, tuple[object, Image]] = {}
        for image, entry in self.entries.items():
            chain = chains[image]
            of = (
                entry,
                chain,
                image in listed,
                self.references.tags.get(image),
                self.references.digests.get(image),
                self._is_cut(chain),
                self._missing_of(entry, chain),
            )
            before = last.made.get(image)
            kept[image] = (
                before
                if before is not None and before[0] == of
                else (of, self._image(entry, chain, listed=image in listed))
            )
        last.made = kept
        return [image for _, image in kept.values()]

    def _chains(self, reader: Reader) -> dict[str, tuple[LayerId, ...]]:
        """The chain of each image. Most stand on one whose chain is known, and ends where an image has no parent."""
        found: dict[str, tuple[LayerId, ...]] = {}
        whole: set[str] = set()
        for image, entry in self.entries.items():
            below = found[entry.parent] if entry.parent in whole else None
            if not self.store.has(image) or (entry.parent is not None and below is None):
                found[image] = self._chain(reader, image)
                last = self.entries[found[image][-1]] if found[image] else entry
                if found[image] and last.parent is None:
                    whole.add(image)
            elif below is None:
                found[image] = (LayerId(image),)
                whole.add(image)
            elif len(below) < MOST_LAYERS:
                found[image] = (LayerId(image), *below)
                whole.add(image)
            else:
                found[image] = self._chain(reader, image)
        return found

    def _covered(self, images: Iterable[str]) -> set[str]:
        """The layers of these images' chains, whole; each layer is come to once."""
        covered: set[str] = set()
        for image in images:
            at: str | None = image
            while at is not None and at not in covered and at in self.entries and self.store.has(at):
                covered.add(at)
                at = self.entries[at].parent
        return covered

    def _chain(self, reader: Reader, image: str) -> tuple[LayerId, ...]:
        """The layers from an image's own upwards, to the first that is not on disk: Docker counts no further.

        A chain that is longer than engines make is cut: what is above is not known.
        """
        chain: dict[LayerId, None] = {}
        at: str | None = image
        while at is not None:
            entry = self.entries.get(at)
            if len(chain) == MOST_LAYERS and entry is not None and at not in chain:
                reader.problem(Reason.TOO_LARGE, (*GRAPH, image, "json"), "stands on too many images", harmless=True)
                break
            if entry is None or not self.store.has(at):
                self.missing.update(() if self._moved(at) else {at})
                break
            if at in chain:
                if at == image:  # once for each member of the ring, not for all that lead into it
                    reader.problem(Reason.LOOP, (*GRAPH, image, "json"), "is its own ancestor", harmless=True)
                break
            chain[LayerId(at)] = None
            at = entry.parent
        return tuple(chain)

    def _is_cut(self, chain: tuple[LayerId, ...]) -> bool:
        """Whether a description in a chain is damaged, or it ends at an image whose layer is there without one."""
        if not all(self.entries[layer].sound for layer in chain):
            return True
        parent = self.entries[chain[-1]].parent if chain else None
        if self._is_too_long(chain):
            return True
        lost = parent is not None and parent not in self.entries and not self._moved(parent)
        return lost and self.store.has(parent or "")

    def _is_too_long(self, chain: tuple[LayerId, ...]) -> bool:
        """Whether a chain was cut although it goes on."""
        parent = self.entries[chain[-1]].parent if len(chain) == MOST_LAYERS else None
        return parent is not None and parent in self.entries and LayerId(parent) not in chain

    def _missing_of(self, entry: GraphEntry, chain: tuple[LayerId, ...]) -> tuple[str, ...]:
        """The layer of an image's chain that is not on disk: what is above that is not known."""
        end: str | None = self.entries[chain[-1]].parent if chain else entry.id
        if self._is_too_long(chain):
            return ()
        return () if end is None or end in chain or self._moved(end) else (end,)

    def _image(self, entry: GraphEntry, chain: tuple[LayerId, ...], *, listed: bool) -> Image:
        return Image(
            driver=self.driver,
            id=entry.id,
            layers=chain,
            references=tuple(sorted(self.references.tags.get(entry.id, ()))),
            digests=tuple(sorted(self.references.digests.get(entry.id, ()))),
            listed=listed,
            dangling=listed and not self.references.names(entry.id),
            broken=not chain,
            cut=self._is_cut(chain),
            missing=self._missing_of(entry, chain),
            parent=entry.parent,
            metadata=((*GRAPH, entry.id),),
            created=entry.created,
            os=entry.os,
            architecture=entry.architecture,
            docker_version=entry.docker_version,
        )


def share_out(stores: list[GraphStore], graph: Mapping[str, GraphEntry]) -> None:
    """Give each entry of the graph to the drivers that have its layer, else to those that refer to it."""
    homeless = frozenset(graph.keys()).difference(*(store.store.names for store in stores))
    claimed: frozenset[str] = frozenset()
    for store in stores:
        claimed |= store.claim(graph, homeless)
    rest = homeless - claimed
    if stores and rest:
        default = max(stores, key=lambda store: (not store.store.listed, len(store.entries), store.driver))
        default.adopt(graph, rest)
