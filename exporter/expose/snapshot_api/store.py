"""The rows of a containerd image store: its blobs by use, its namespaces, and what keeps each blob."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from exporter.core.content import ContentStore, Hold, Holder
from exporter.core.measured import Tree
from exporter.core.model import Snapshot
from exporter.core.text import escape
from exporter.expose.snapshot_api.rows import BlobRow, BuildRow, ContentRow, IngestRow, NamespaceRow
from exporter.figures.figures import Figures

#: How many owners of a blob are named: a base layer may have as many as there are images.
_OWNERS = 5
_KINDS: Mapping[Holder, str] = {
    Holder.IMAGE: "image",
    Holder.CONTAINER: "container",
    Holder.BUILD: "build record",
    Holder.HISTORY: "build",
    Holder.PULL: "pull",
    Holder.TEMPORARY: "work under way",
    Holder.OTHER: "lease",
}
_ORDER = {holder: at for at, holder in enumerate(_KINDS)}
#: The namespaces that programs take by default.
_KNOWN = {
    "moby": "Docker",
    "moby_history": "Docker's build history",
    "k8s.io": "Kubernetes",
    "default": "ctr, nerdctl",
    "buildkit": "BuildKit",
    "buildkit_history": "BuildKit's build history",
}


def content(figures: Figures) -> Iterator[ContentRow]:
    """The blobs by use."""
    for use, found in figures.blobs.items():
        yield ContentRow(use, found.count, found.allocated)


def namespaces(figures: Figures) -> Iterator[NamespaceRow]:
    """The namespaces with what each has."""
    snapshot = figures.snapshot
    store = snapshot.inventory.content
    if store is None:
        return
    inventory = snapshot.inventory
    counts = {
        kind: Counter(one.namespace for one in objects)
        for kind, objects in (
            ("images", inventory.images),
            ("containers", inventory.containers),
            ("layers", inventory.layers),
        )
    }
    layers: dict[str, list[Tree | None]] = defaultdict(list)
    for layer in inventory.layers:
        layers[layer.namespace] += layer.trees or (None,)
    blobs: dict[str, list[Tree | None]] = defaultdict(list)
    own: dict[str, list[Tree | None]] = defaultdict(list)
    for blob in store.blobs.values():
        for namespace in blob.namespaces:
            blobs[namespace].append(blob.tree)
            if len(blob.namespaces) == 1:
                own[namespace].append(blob.tree)
    for name in store.namespaces:
        yield NamespaceRow(
            namespace=escape(name),
            what=_what(store, name),
            images=counts["images"][name],
            containers=counts["containers"][name],
            layers=counts["layers"][name],
            blobs=len(blobs[name]),
            layers_allocated=_allocated(snapshot, layers[name]),
            blobs_allocated=_allocated(snapshot, blobs[name]),
            own_blobs_allocated=_allocated(snapshot, own[name]),
        )


def _what(store: ContentStore, name: str) -> str:
    """Whose a namespace is, for people."""
    if store.engine and name == store.engine:
        return _KNOWN["moby"]
    if store.history and name == store.history:
        return _KNOWN["moby_history"]
    return _KNOWN.get(name, "")


def _allocated(snapshot: Snapshot, trees: list[Tree | None]) -> int | None:
    """The disk blocks of trees in bytes; None where those of one are not known."""
    total = 0
    for tree in trees:
        measured = snapshot.whole(tree)
        if measured is None:
            return None
        total += measured.usage.allocated
    return total


def blobs(figures: Figures) -> Iterator[BlobRow]:
    """The blobs with what keeps each."""
    store = figures.snapshot.inventory.content
    if store is None:
        return
    uses = figures.uses_of_blobs
    owners: dict[str, list[Hold]] = defaultdict(list)
    for hold in store.holds:
        for node in store.marked([hold]):
            if not node.snapshotter:
                owners[node.name].append(hold)
    for digest, blob in store.blobs.items():
        held = owners.get(digest, [])
        yield BlobRow(
            digest=escape(digest),
            use=uses.get(digest, ""),
            size=blob.size,
            namespaces=tuple(map(escape, blob.namespaces)),
            owners=tuple(_owner(store, one) for one in sorted(held, key=_rank)[:_OWNERS]),
            owner_count=len(held),
        )


def _rank(hold: Hold) -> tuple[int, bool, str, str]:
    """Images first, and those with a name before those with a digest alone."""
    return (_ORDER[hold.holder], hold.name.startswith("sha256:"), hold.namespace, hold.name)


def _owner(store: ContentStore, hold: Hold) -> str:
    own = hold.namespace in (store.engine, store.history)
    return escape(f"{_KINDS[hold.holder]} {hold.name}" + ("" if own else f" of {hold.namespace}"))


def ingests(figures: Figures) -> Iterator[IngestRow]:
    """The blobs that are being written."""
    snapshot = figures.snapshot
    store = snapshot.inventory.content
    for one in store.ingests if store is not None else ():
        usage = measured.usage if (measured := snapshot.whole(one.tree)) is not None else None
        yield IngestRow(
            directory=escape("/".join(one.tree)),
            reference=escape(one.reference),
            size=usage.size if usage else None,
            allocated=usage.allocated if usage else None,
            total=one.total,
        )


def builds(figures: Figures) -> Iterator[BuildRow]:
    """The entries of the build history, where that is known."""
    store = figures.snapshot.inventory.content
    entries = store.entries if store is not None and figures.history is not None else None
    for one in entries or ():
        yield BuildRow(escape(one.id), one.created)


def home(snapshot: Snapshot) -> str | None:
    """Where the store is; None where there is none."""
    store = snapshot.inventory.content
    return None if store is None else escape("/".join(store.home))
