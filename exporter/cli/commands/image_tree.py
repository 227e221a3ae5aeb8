"""`images --tree`: a tree like that of `docker images -tree` in Docker 1.x."""

from collections import defaultdict
from collections.abc import Iterator

from msgspec import Struct, field

from exporter.cli.commands.index import NONE, Index
from exporter.cli.commands.missing import missing_data, missing_of_images
from exporter.cli.commands.tables import Answer, Lines, size
from exporter.expose.snapshot_api.rows import ImageRow

#: Go's time zero in Unix seconds: what Docker takes for the creation of an image that does not say it.
_TIME_ZERO = -62135596800.0


class Node(Struct):
    """A line of the tree: in the graph layout an image, otherwise a layer with the images whose last layer it is.

    An image without a layer of its own, built on another image, has a line of its own below that image. `created` is
    the creation of its newest image in Unix seconds; without one, of the newest image that stands on the layer.
    """

    id: str
    layer: str
    driver: str
    virtual: int | None
    created: float = _TIME_ZERO
    images: list[ImageRow] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)

    @property
    def tags(self) -> list[str]:
        """The references of its images."""
        return [name for image in self.images for name in image.references]


def tree(index: Index, *, full: bool) -> Answer:
    """Draw the images of each driver as Docker 1.x did (api/client/commands.go, WalkTree)."""
    spaces = {(one.driver, one.namespace): None for one in index.document.images}
    order = list(dict.fromkeys((*index.document.drivers, *(driver for driver, _ in spaces))))
    forests = {
        space: roots
        for space in sorted(spaces, key=lambda one: (order.index(one[0]), one[1]))
        if (roots := _forest(index, *space))
    }
    missing = missing_of_images(index)
    parts = [
        Lines(_title(*space) if len(forests) > 1 else "", list(_draw(index, roots, full)))
        for space, roots in forests.items()
    ]
    data = [
        {"driver": driver, "namespace": namespace, "nodes": [row for root in roots for row in _data(root)]}
        for (driver, namespace), roots in forests.items()
    ]
    return Answer({"trees": data, "missing": missing_data(index)}, [*parts, *missing], failed=bool(missing))


def _title(driver: str, namespace: str) -> str:
    return f"driver {driver}, namespace {namespace}" if namespace else f"driver {driver}"


def _forest(index: Index, driver: str, namespace: str) -> list[Node]:
    """The root nodes of one driver and namespace. Each node is in one place only."""
    nodes: dict[str, Node] = {}
    parents: dict[str, str] = {}
    lost: list[Node] = []
    images = [one for one in index.document.images if (one.driver, one.namespace) == (driver, namespace)]
    for image in images:
        chain = index.chain(image)
        sizes: dict[str, int | None] = {}
        for layer in reversed(chain):
            below = sizes.get(layer.parent, 0)
            sizes[layer.id] = _plus(below, layer.size)
            node = nodes.setdefault(layer.id, Node(layer.id, layer.id, driver, sizes[layer.id]))
            node.created = max(node.created, created_of(image))
            if layer.parent:
                parents[layer.id] = layer.parent
        if not chain:
            lost.append(Node(image.id, "", driver, image.virtual, created_of(image), [image]))
    _place(nodes, parents, [one for one in images if one.layer in nodes])
    return _roots(nodes, parents) + lost


def _place(nodes: dict[str, Node], parents: dict[str, str], images: list[ImageRow]) -> None:
    """Add each image to the node of its last layer, or to a new node below the image that it was built on."""
    by_id, below = {one.id: one for one in images}, dict(parents)
    lines: dict[str, str] = {}
    for image in images:
        built_on = by_id.get(image.parent)
        own = built_on is not None and built_on.layer == image.layer and built_on.id != image.id
        lines[image.id] = f"image {image.id}" if own else image.layer
        if own:
            stands_on = nodes[image.layer]
            nodes[lines[image.id]] = Node(lines[image.id], image.layer, image.driver, stands_on.virtual)
        node = nodes[lines[image.id]]
        node.created = max(node.created, created_of(image)) if node.images else created_of(image)
        node.images.append(image)
    for image in sorted(images, key=lambda one: (created_of(one), one.id), reverse=True):
        built_on = by_id.get(image.parent)
        if built_on is not None and built_on.layer in (image.layer, below.get(image.layer)):
            parents[lines[image.id]] = lines[built_on.id]


def _roots(nodes: dict[str, Node], parents: dict[str, str]) -> list[Node]:
    children: dict[str, list[Node]] = defaultdict(list)
    for node in nodes.values():
        if parents.get(node.id) in nodes:
            children[parents[node.id]].append(node)
    roots = [node for node in nodes.values() if parents.get(node.id) not in nodes]
    seen: set[str] = set()
    for root in roots:
        _attach_children(root, children, seen)
    for node in nodes.values():  # a cycle of parents has no root: the first node found becomes one
        if node.id not in seen:
            roots.append(node)
            _attach_children(node, children, seen)
    return sorted(roots, key=_order)


def _attach_children(root: Node, children: dict[str, list[Node]], seen: set[str]) -> None:
    waiting = [root]
    seen.add(root.id)
    while waiting:
        node = waiting.pop()
        node.children = sorted((one for one in children[node.id] if one.id not in seen), key=_order)
        seen.update(one.id for one in node.children)
        waiting += node.children


def created_of(image: ImageRow) -> float:
    """When an image was made, in Unix seconds, as Docker sorts it: without a time it is the oldest."""
    return _TIME_ZERO if image.created is None else image.created


def _order(node: Node) -> tuple[float, str]:
    """Sort key: newest first, as in `docker images`; by id within one second.

    Docker 1.x sorts all images by their own creation in whole seconds (graph/list.go, Images), and draws those of one
    second in no fixed order.
    """
    return -int(node.created), node.id


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _draw(index: Index, roots: list[Node], full: bool) -> Iterator[str]:
    """The lines of the tree. No recursion: a chain may be longer than Python's stack allows."""
    waiting = [(node, "", node is roots[-1]) for node in reversed(roots)]
    while waiting:
        node, prefix, last = waiting.pop()
        yield f"{prefix}{'└─' if last else '├─'}{_label(index, node, full)}"
        below = prefix + ("  " if last else "│ ")
        waiting += [(one, below, one is node.children[-1]) for one in reversed(node.children)]


def _label(index: Index, node: Node, full: bool) -> str:
    """The text of a line: the ids of its images, or `<none>` and the id of the layer without one."""
    ids = [one.id if full else index.short(one.id) for one in node.images]
    layer = index.layers.get((node.driver, node.layer))
    if not ids and layer is not None:
        name = (layer.chain or layer.name or layer.id) if full else index.layer_name(layer)
        ids = [f"{NONE} (layer {name})"]
    contents = [size(image.content) for image in node.images if image.namespace]
    content = f" Content: {', '.join(contents)}" if contents else ""
    tags = f" Tags: {', '.join(node.tags)}" if node.tags else ""
    platforms = dict.fromkeys(one for image in node.images for one in image.platforms)
    several = f" Platforms: {', '.join(platforms)}" if len(platforms) > 1 else ""
    return f"{', '.join(ids)} Virtual Size: {size(node.virtual)}{content}{tags}{several}"


def _data(root: Node) -> list[dict[str, object]]:
    """The nodes for --json, in the order of the lines, with their depth. Nested, they would be as deep as a chain."""
    rows: list[dict[str, object]] = []
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        rows.append(
            {
                "depth": depth,
                "layer": node.layer,
                "images": [one.id for one in node.images],
                "references": node.tags,
                "virtual": node.virtual,
            }
        )
        waiting += [(one, depth + 1) for one in reversed(node.children)]
    return rows
