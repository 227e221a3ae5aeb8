"""Finds the directories and files of an object that is given by name or by the beginning of an id.

Only the metadata of the root is read for that; nothing is measured.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from exporter.cli.commands.disk import open_disk
from exporter.cli.commands.du_entries import Whiteouts
from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.source import parse
from exporter.config.settings import Config
from exporter.core.clock import SYSTEM_CLOCK
from exporter.core.data_root import DataRoot
from exporter.core.dirty import Dirty
from exporter.core.measured import Tree, mount_around
from exporter.core.model import ContainerId, Snapshot, Volume
from exporter.core.text import escape
from exporter.expose.snapshot_api import objects
from exporter.expose.snapshot_api.pieces import ending, unread_document
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, LayerRow
from exporter.figures.figures import Figures
from exporter.inventory.areas import CONTAINERS
from exporter.inventory.drivers import INIT
from exporter.inventory.layouts.claims import Grace
from exporter.scan.disks import further_roots
from exporter.scan.metadata import Metadata
from exporter.scan.scan_run import ScanStats

_WHITEOUTS = {
    "aufs": Whiteouts.NAMES,
    "overlay": Whiteouts.DEVICES,
    "overlay2": Whiteouts.DEVICES,
    "overlayfs": Whiteouts.DEVICES,
    "fuse-overlayfs": Whiteouts.NAMES | Whiteouts.DEVICES,
}
#: What an object may be; also what may stand before its name, as in `volume:data`.
KINDS = ("container", "image", "layer", "volume", "log", "part")
_ROOT = "."
_NO_DIRECTORY = "its files are not in a directory of their own"


class DuPlace(Struct, frozen=True):
    """A directory, or `files`, of an object. `name` says what it is; `why` says why it cannot be read, "" if it can.

    `directory` is its path where the name does not say it. `key` tells it from the other places of the object, such as
    the id of a layer.
    """

    name: str
    key: str
    tree: Tree | None = None
    files: tuple[Tree, ...] = ()
    whiteouts: Whiteouts = Whiteouts.NONE
    why: str = ""
    directory: str = ""

    @property
    def title(self) -> str:
        """What it is, and where."""
        return f"{self.name}, {self.directory}" if self.directory else self.name


class Target(Struct, frozen=True):
    """An object that may be meant. `kind:name` means it and no other one; `about` is what people call it.

    `identity` is the same for what is one, `exact` is whether its whole id or name was given.
    """

    kind: str
    name: str
    about: str
    identity: str
    exact: bool
    places: Callable[[], list[DuPlace]]


class KnownRoot:
    """An open root, and what is known of it without measuring anything."""

    def __init__(self, root: DataRoot, config: Config) -> None:
        metadata = Metadata(Grace(config.scan.orphaned_after, SYSTEM_CLOCK))
        metadata.read(root, Dirty(everything=True), ScanStats())
        self.root = root
        self.inventory = inventory = metadata.inventory
        snapshot = Snapshot(
            root.path,
            time.time(),
            inventory=inventory,
            device=root.device,
            mounts=root.mounts,
            further=further_roots(root),
            problems=tuple(metadata.problems),
        )
        figures = Figures(snapshot)
        empty = parse(unread_document(config.root, "").finish(ending(None, ())))
        self.document = replace(
            empty,
            layers=tuple(objects.layers(figures)),
            images=tuple(objects.images(figures)),
            containers=tuple(objects.containers(figures)),
            gaps=tuple(objects.gaps(inventory.knowledge)),
            problems=tuple(objects.problems(figures)),
            unmeasured=inventory.unmeasured,
            taken=snapshot.taken,
        )
        self.index = Index(self.document)
        self._trees = {(escape(one.driver), escape(one.id)): one.content for one in inventory.layers}
        self._containers = {one.id: one for one in inventory.containers}

    # -- what a name means -------------------------------------------------------------------------------------------

    def meant(self, given: str) -> list[Target]:
        """The objects that a name or the beginning of an id can mean; one, if that is clear."""
        kind, colon, rest = given.partition(":")
        named = self._named(rest, (kind,)) if colon and rest and kind in KINDS else []
        found = named or self._named(given, KINDS)
        exact = [one for one in found if one.exact] or found
        kinds = {one.identity: one.kind for one in reversed(exact)}  # up to Docker 1.9, a container before its image
        return [one for one in exact if kinds[one.identity] == one.kind]

    def _named(self, given: str, kinds: Collection[str]) -> list[Target]:
        found = [*self._objects(escape(given), kinds)]
        if "volume" in kinds:
            found += [
                Target(
                    "volume", escape(one.name), "", f"volume {one.name}", one.name == given, partial(self._volume, one)
                )
                for one in self.inventory.volumes
                if one.name == given or (one.anonymous and one.name.startswith(given))
            ]
        return [*found, *self._parts(given)] if "part" in kinds else found

    def _objects(self, given: str, kinds: Collection[str]) -> Iterator[Target]:
        """Containers, images and layers, as `Index.meant` finds them."""
        wanted = given.removeprefix("sha256:")
        rows = [*self.index.meant(given)] if wanted else []
        found = {row.id for row in rows if not isinstance(row, LayerRow)}
        for row in rows:
            if isinstance(row, ContainerRow):
                exact = wanted == row.id or given.removeprefix("/") in (row.name, row.called)
                for kind, places in (("container", self._container), ("log", self._log)):
                    if kind in kinds and (kind == "container" or "container" not in kinds):
                        yield Target(kind, row.id, container_name(row), row.id, exact, partial(places, row))
            elif isinstance(row, ImageRow):
                exact = wanted == row.id or not row.id.startswith(wanted)
                if "image" in kinds:
                    yield Target("image", row.id, self.index.image_name(row), row.id, exact, partial(self._image, row))
            elif "layer" in kinds and not self._is_part(row, found, wanted, kinds):
                exact = wanted in (row.id, row.chain, row.name.removeprefix("sha256:"))
                owner, identity = self.index.owner(row), f"layer {row.driver} {row.id}"
                yield Target("layer", row.id, owner, identity, exact, partial(self._layer, row))

    def _is_part(self, row: LayerRow, found: Collection[str], wanted: str, kinds: Collection[str]) -> bool:
        """Whether a layer is what a container or image of the same name is asked for, or the init layer of one."""
        if wanted not in (row.id, row.name) and (row.id.endswith(INIT) or row.name.endswith(INIT)):
            return True
        owner = self.index.container_of(row)
        return "container" in kinds and (row.id in found or (owner is not None and owner.id in found))

    def _parts(self, given: str) -> Iterator[Target]:
        tops = [(tree, "/".join(tree)) for tree in (*self.inventory.top_level, *self.root.tops[1:])]
        paths = {self.root.absolute(tree): (tree, name) for tree, name in [((), _ROOT), *tops]}
        for path, (tree, name) in paths.items():
            if given.rstrip("/") in (name, path) or (len(tree) > 1 and given == tree[-1]):
                title = f"the data root {escape(path)}" if not tree else f"part {escape(path)}"
                place = DuPlace(title, "part", tree)
                yield Target("part", escape(name), "", f"part {path}", exact=True, places=partial(list, [place]))

    # -- where it lies -----------------------------------------------------------------------------------------------

    def _titled(self, title: str, key: str, tree: Tree | None, driver: str = "", why: str = "") -> DuPlace:
        if tree is None:
            return DuPlace(title, key, why=why or _NO_DIRECTORY)
        whiteouts = _WHITEOUTS.get(driver, Whiteouts.NONE)
        directory = escape(self.root.absolute(tree))
        return DuPlace(title, key, tree, whiteouts=whiteouts, why=why, directory=directory)

    def _of_layer(self, title: str, row: LayerRow) -> DuPlace:
        return self._titled(title, row.id, self._trees.get((row.driver, row.id)), row.driver)

    def _container(self, row: ContainerRow) -> list[DuPlace]:
        title = f"container {container_name(row)}"
        layer = self.index.layers.get((row.driver, row.layer))
        if layer is None:
            places = [DuPlace(f"{title}: writable layer", row.layer, why="the layer is not known, or not on disk")]
        else:
            places = [self._of_layer(f"{title}: writable layer", layer)]
        home: Tree = (*CONTAINERS.path, row.id)
        if self.root.is_directory(home):
            places.append(self._titled(f"{title}: log and settings", "home", home))
        files = self._files(row)
        if beside := tuple(one for one in files or () if one[: len(home)] != home):
            places.append(DuPlace(f"{title}: log", "log", files=beside))
        return places

    def _files(self, row: ContainerRow) -> tuple[Tree, ...] | None:
        container = self._containers.get(ContainerId(row.id))
        return container.log.files if container is not None else None

    def _log(self, row: ContainerRow) -> list[DuPlace]:
        files, title = self._files(row), f"log of container {container_name(row)}"
        why = "" if files is not None else "where its files are is not known"
        return [DuPlace(title, "log", files=files or (), why=why)]

    def _image(self, row: ImageRow) -> list[DuPlace]:
        chain, name = self.index.chain(row), self.index.image_name(row)
        places = [
            self._of_layer(f"image {name}: layer {len(chain) - at} of {len(chain)}, {self.index.layer_name(one)}", one)
            for at, one in enumerate(chain)
        ]
        gone = "the layer is not on disk"
        return [*places, *(DuPlace(f"image {name}: layer {one[:12]}", one, why=gone) for one in row.missing)]

    def _layer(self, row: LayerRow) -> list[DuPlace]:
        return [self._of_layer(f"layer {self.index.layer_name(row)}: {self.index.owner(row)}", row)]

    def _volume(self, volume: Volume) -> list[DuPlace]:
        title, tree = f"volume {escape(volume.name)}", volume.directory
        why = ""
        if volume.link:
            why = "a symbolic link leads there, and is not followed"
        elif tree is not None and (kind := self.root.unwalked.get(mount_around(tree, self.root.mounts))):
            why = f"it is on a filesystem of type {escape(kind)}: give --collector.volumes.network to read it"
        return [self._titled(title, "volume", tree, why=why)]


@contextmanager
def known(config: Config) -> Iterator[KnownRoot]:
    """Open the root and read its metadata; raises click.ClickException where that is not possible."""
    with open_disk(config) as root:
        yield KnownRoot(root, config)
