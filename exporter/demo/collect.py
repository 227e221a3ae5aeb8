"""Removes what nothing keeps from a root of containerd, as its garbage collection does.

Facts: containerd 2.1 core/metadata/gc.go (roots, references, flat leases), core/metadata/db.go (GarbageCollect).
A node is (namespace, kind, name): kind is `content`, or the name of a snapshotter.
"""

from collections.abc import Iterator

from exporter.demo.containerd import Bucket, ContainerdStore, Namespace

_CONTENT = "content"
_FLAT, _ROOT = "containerd.io/gc.flat", "containerd.io/gc.root"
_REFERENCE = "containerd.io/gc.ref."

Node = tuple[str, str, str]


def collect(store: ContainerdStore) -> None:
    """Remove blobs and snapshots that no namespace keeps. Leases that have expired keep what they hold, too."""
    kept: set[Node] = set()
    waiting = [(node, flat) for one in store.namespaces.values() for node, flat in _roots(one)]
    followed: set[Node] = set()
    while waiting:
        node, flat = waiting.pop()
        if node in followed or (flat and node in kept):
            continue
        kept.add(node)
        if not flat:
            followed.add(node)
        waiting += [(below, flat) for below in _below(store.namespaces[node[0]], node, flat)]
    for one in store.namespaces.values():
        _sweep(one, kept)
    _remove_files(store)


def _roots(one: Namespace) -> Iterator[tuple[Node, bool]]:
    """What is kept without a reason in this namespace; with true if only parents of it are kept as well."""
    for image in one.bucket("images").values():
        yield (one.name, _CONTENT, image["target"]["digest"].decode()), False
    for container in one.bucket("containers").values():
        if key := container["snapshotKey"].decode():
            yield (one.name, container["snapshotter"].decode(), key), False
    for lease in one.bucket("leases").values():
        flat = _FLAT in lease.get("labels", {})
        for digest in lease.get("content", {}):
            yield (one.name, _CONTENT, digest), flat
        for snapshotter, keys in lease.get("snapshots", {}).items():
            for key in keys:
                yield (one.name, snapshotter, key), flat
    for node, row in _nodes(one):
        if _ROOT in row.get("labels", {}):
            yield node, False


def _nodes(one: Namespace) -> Iterator[tuple[Node, Bucket]]:
    for digest, row in one.bucket("content", "blob").items():
        yield (one.name, _CONTENT, digest), row
    for snapshotter, keys in one.bucket("snapshots").items():
        for key, row in keys.items():
            yield (one.name, snapshotter, key), row


def _below(one: Namespace, node: Node, flat: bool) -> Iterator[Node]:
    namespace, kind, name = node
    rows = one.bucket("content", "blob") if kind == _CONTENT else one.bucket("snapshots", kind)
    row = rows.get(name, {})
    if parent := row.get("parent", b"").decode():
        yield namespace, kind, parent
    for label, value in {} if flat else row.get("labels", {}).items():
        what, _, rest = label.removeprefix(_REFERENCE).partition(".")
        if label.startswith(_REFERENCE) and what in ("content", "snapshot"):
            yield namespace, _CONTENT if what == "content" else rest.partition("/")[0], value.decode()


def _sweep(one: Namespace, kept: set[Node]) -> None:
    for (namespace, kind, name), _ in list(_nodes(one)):
        if (namespace, kind, name) in kept:
            continue
        if kind == _CONTENT:
            del one.bucket("content", "blob")[name]
        else:
            row = one.bucket("snapshots", kind).pop(name)
            one.store.snapshotters[kind].remove(row["name"].decode())


def _remove_files(store: ContainerdStore) -> None:
    listed = {digest for one in store.namespaces.values() for digest in one.bucket("content", "blob")}
    for path in list(store.blobs.glob("*")):
        if f"sha256:{path.name}" not in listed:
            path.unlink()
