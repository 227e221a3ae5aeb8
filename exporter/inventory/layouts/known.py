"""The directories and files that each layout has below a root, and how it is known to be there.

Whoever asks for that does not load what reads a layout: no root has all, and each is some hundred kilobytes.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from exporter.core.area import DRIVER, FURTHER, Area, Signature
from exporter.core.data_root import DataRoot
from exporter.core.knowledge import Input
from exporter.core.measured import Tree
from exporter.core.model import Collector
from exporter.inventory.image_store.store import BLOBS, CONTENT, DAEMON, METADATA, SNAPSHOTS, SNAPSHOTTER, entries
from exporter.inventory.layouts import graph_store, layerdb_store
from exporter.inventory.layouts.buildkit_databases import HOME, OF_CONTAINERD
from exporter.inventory.layouts.graph_store import GRAPH, TAGS
from exporter.inventory.layouts.layerdb_store import IMAGE
from exporter.inventory.layouts.part import Part, Reading

#: The engine adds files to an entry after it was made (the time of a tag, the name of an init layer), and no event
#: of the store tells of that.
_FILLED_LATER = Signature(changes=True)
#: A layer is complete when its entry is renamed into place. A file that is lost in it later has no event.
_COMPLETE = Signature(changes=True, has_events=True)
#: An engine makes these at its first start, after the directory of its image store.
_ENGINE = ("engine-id", "buildkit", "containers")


class GraphLayout:
    """`graph/<id>/`, `repositories-<driver>`, and the directories of the drivers that Docker 1.0 to 1.9 had."""

    name = "graph"
    areas = (
        Area(
            GRAPH,
            "the images' descriptions (up to Docker 1.9)",
            store=True,
            watched=True,
            signature=Signature(changes=True, files=("json", "layersize"), has_events=True),
            immutable=True,  # renamed into place when it is complete; downloads in `_tmp` grow
            objects=Collector.IMAGES,
            divided=(),
            images=True,
            counted="graph",
            input=Input.IMAGE_CONFIGS,
        ),
        Area((TAGS + DRIVER,), "the images' tags (up to Docker 1.9)", images=True, input=Input.NAMES),
    )

    def detect(self, root: DataRoot) -> bool:
        """Say whether the root has a `graph` directory, or tags of a known driver."""
        return graph_store.detect(root)

    def read(self, reading: Reading) -> Part:
        """Read the graph without the images that a newer Docker has moved to its own layout."""
        from exporter.inventory.layouts.graph import read  # noqa: PLC0415 - see above

        return read(reading)


def _area(
    *below: str, source: Input, watched: bool = True, signature: Signature | None = None, counted: str = ""
) -> Area:
    """A directory of `image/<driver>`: small files that are renamed into place and written once."""
    return Area(
        (*IMAGE, DRIVER, *below),
        collector=Collector.IMAGES,
        store=True,
        watched=watched,
        signature=signature,
        audited=False,
        objects=Collector.IMAGES,
        divided=(),
        counted=counted,
        input=source,
    )


class LayerdbLayout:
    """`image/<driver>/{repositories.json,imagedb,layerdb}` beside the driver's directory."""

    name = "layerdb"
    areas = (
        Area(
            IMAGE,
            "the images' descriptions (from Docker 1.10 on)",
            Collector.IMAGES,
            watched=True,
            audited=False,
            objects=Collector.IMAGES,
            images=True,
            input=Input.IMAGE_CONFIGS,
        ),
        _area(source=Input.NAMES, signature=Signature()),
        _area("distribution", "diffid-by-digest", "sha256", source=Input.LAYER_STORES, watched=False),
        _area("distribution", "v2metadata-by-diffid", "sha256", source=Input.LAYER_STORES, watched=False),
        _area("layerdb", "sha256", source=Input.LAYER_STORES, signature=_COMPLETE, counted="layerdb"),
        _area("layerdb", "mounts", source=Input.LAYER_STORES, signature=_FILLED_LATER, counted="mounts"),
        _area("layerdb", "tmp", source=Input.LAYER_STORES),
        _area("imagedb", "content", "sha256", source=Input.IMAGE_CONFIGS, counted="imagedb"),
        _area("imagedb", "metadata", "sha256", source=Input.IMAGE_CONFIGS, signature=_FILLED_LATER),
    )

    def detect(self, root: DataRoot) -> bool:
        """Say whether any driver has images of this layout."""
        return layerdb_store.detect(root)

    def read(self, reading: Reading) -> Part:
        """Read `image/<driver>` of each driver."""
        from exporter.inventory.layouts.layerdb import read  # noqa: PLC0415 - see above

        return read(reading)


def _areas(home: Tree) -> Iterator[Area]:
    """The directories of one store."""

    def area(*below: str, source: Input) -> Area:
        path, images = (*home, *below), Collector.IMAGES
        return Area(path, collector=images, objects=images, store=True, watched=True, input=source)

    def databases(*below: str, source: Input) -> Area:
        return replace(area(*below, source=source), written=True, signature=Signature(), audited=False)

    yield databases(METADATA, source=Input.IMAGE_STORE)
    yield replace(area(*BLOBS, source=Input.IMAGE_CONFIGS), immutable=True)
    yield area(CONTENT, "ingest", source=Input.IMAGE_STORE)
    yield databases(SNAPSHOTTER + DRIVER, source=Input.LAYER_STORES)
    yield area(SNAPSHOTTER + DRIVER, SNAPSHOTS, source=Input.LAYER_STORES)


class ContainerdLayout:
    """The store of a containerd, and what Docker keeps in it."""

    name = "containerd"
    areas = (
        Area(DAEMON[:1], "containerd's files", input=Input.IMAGE_STORE),
        Area(("rootfs",), "mount points of running containers"),
        Area(
            (*HOME, OF_CONTAINERD + DRIVER),
            collector=Collector.BUILD_CACHE,
            store=True,
            signature=Signature(),
            input=Input.BUILD_CACHE,
        ),
        *(area for home in (DAEMON, (FURTHER,), ()) for area in _areas(home)),
    )

    def detect(self, root: DataRoot) -> bool:
        """Whether containerd keeps, or has kept, the images of this root, or is all that is in it."""
        if root.further or root.is_directory((METADATA,)):
            return True
        if any(map(root.is_filled, ((*DAEMON, *BLOBS), ("rootfs",), *_snapshots(root)))):
            return True
        if layerdb_store.detect(root) or graph_store.detect(root):
            return False
        there = entries(root, ())
        return root.is_directory(DAEMON) or all(name in there for name in _ENGINE[1:]) or _ENGINE[0] in there

    def read(self, reading: Reading) -> Part:
        """Read the store. Where there is none to be read, its objects are not known."""
        from exporter.inventory.layouts.containerd import read  # noqa: PLC0415 - see above

        return read(reading)


def _snapshots(root: DataRoot) -> Iterator[Tree]:
    for name in entries(root, DAEMON):
        if name.startswith(SNAPSHOTTER):
            yield (*DAEMON, name, SNAPSHOTS)
