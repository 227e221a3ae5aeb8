"""Roots that change at random, as snapshots: what did not change between two of them is the same Python object."""

import random
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from exporter.core.content import Blob, ContentStore, Hold, Holder, StoreNode
from exporter.core.engine_version import PRUNES, EngineVersion
from exporter.core.knowledge import Gap, Input, Knowledge
from exporter.core.marks import Closures
from exporter.core.measured import Measured, Tree
from exporter.core.model import (
    BuildCache,
    BuildRecord,
    Container,
    ContainerState,
    Filesystem,
    Image,
    Layer,
    LayerId,
    Log,
    Snapshot,
    Use,
    Volume,
)
from tests.support.snapshots import ELSEWHERE, HERE, container, image, layer, shared, snapshot, tree, volume

_DRIVERS = ("overlay2", "vfs")
_STORE = "overlayfs"
_MOBY, _OTHER = "moby", "k8s.io"
_SPACES = ((), (_MOBY,), (_MOBY,), (_OTHER, _MOBY))
_MOUNTS: frozenset[Tree] = frozenset([("mounted",)])
_PLACES: dict[Tree, Filesystem] = {
    (): Filesystem("/", "a", "/", "ext4"),
    ("mounted",): Filesystem("/mounted", "b", "/mounted", "xfs"),
}


class History:
    """One root of two graph drivers and a store of containerd, and what happens to it."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._made = 0
        self._layers: dict[str, Layer] = {}
        self._images: dict[str, Image] = {}
        self._containers: dict[str, Container] = {}
        self._volumes: dict[str, Volume] = {}
        self._records: dict[str, BuildRecord] = {}
        self._blobs: dict[str, Blob] = {}
        self._holds: dict[str, Hold] = {}
        self._measured: dict[Tree, Measured] = {}
        self._logs: dict[Any, int] = {}
        self._incomplete: frozenset[Tree] = frozenset()
        self._knowledge = Knowledge()
        self._mounts = _MOUNTS
        #: With containers of several drivers nobody is told to prune.
        self._used = self._chance.choice(((*_DRIVERS, _STORE), ("overlay2",), (_STORE,)))
        self._engine = self._chance.choice((EngineVersion(PRUNES), EngineVersion(before=PRUNES)))
        self._nodes = set[StoreNode]()
        self._closures = Closures()
        self._content: tuple[Tree, ...] = ()
        for name in (
            "overlay2",
            "vfs",
            "containers",
            "image",
            "volumes",
            "content",
            "snapshots",
            "loose",
            "mounted",
            "buildkit",
        ):
            self._measured[name,] = tree(1)

    def snapshots(self, count: int) -> Iterator[Snapshot]:
        """One after each change; some changes are several at once."""
        for _ in range(count):
            for _ in range(self._chance.choice((1, 1, 1, 2, 8))):
                self._change()
            yield self._snapshot()

    def _change(self) -> None:
        changes = (
            *(self._add_layer, self._add_layer, self._add_image, self._add_image, self._add_container),
            *(self._add_container, self._add_volume, self._add_record, self._add_blob, self._add_snapshot),
            *(self._measure, self._measure, self._measure, self._lose, self._find, self._start, self._start),
            *(
                self._mount,
                self._tag,
                self._use,
                self._remove,
                self._remove,
                self._remove,
                self._gap,
                self._build,
                self._share,
                self._log,
                self._hold,
            ),
        )
        self._chance.choice(changes)()

    def _name(self) -> str:
        self._made += 1
        return f"{self._chance.randrange(16):x}{self._made}"

    def _any(self, among: Any) -> Any:
        return self._chance.choice(list(among)) if among else None

    def _tree(self) -> Measured:
        """What was measured: with inodes that other trees may have, too, and on another filesystem at times."""
        numbers = self._chance.sample(range(6), self._chance.choice((0, 0, 1, 2)))
        size = 100 * len(numbers) + self._chance.randrange(50)
        where = self._chance.choice((HERE, HERE, HERE, HERE, ELSEWHERE))
        return tree(size, {one: shared(100) for one in numbers}, device=where, inodes=1 + len(numbers))

    def _add_layer(self) -> None:
        name, driver = self._name(), self._any(_DRIVERS)
        recorded = self._chance.choice((None, self._chance.randrange(1000)))
        extra: dict[str, Any] = {"recorded_size": recorded, "size_known": self._chance.random() > 0.1}
        if self._chance.random() < 0.3:
            extra["metadata"] = (("image", driver, name),)
        if self._chance.random() < 0.1:
            extra["home"] = (driver, name, "home")
        if self._chance.random() < 0.1:
            extra["shares"] = True
        if self._chance.random() < 0.1:
            extra["held"] = name
        self._layers[name] = layer(name, self._any(Use), driver=driver, **extra)

    def _add_snapshot(self) -> None:
        name = self._name()
        place = ("snapshots", name)
        self._layers[name] = layer(
            name,
            self._any(Use),
            driver=_STORE,
            content=(*place, "fs"),
            home=place,
            namespace=self._any((_MOBY, _MOBY, _OTHER, "")),
            by_blocks=True,
        )
        self._layers[name] = replace(self._layers[name], name=name)

    def _add_image(self) -> None:
        name, driver = self._name(), self._any((*_DRIVERS, _STORE))
        layers = [one.id for one in self._layers.values() if one.driver == driver]
        chosen = self._chance.sample(layers, min(len(layers), self._chance.randrange(4)))
        fields: dict[str, Any] = {"dangling": self._chance.random() < 0.3, "listed": self._chance.random() < 0.8}
        if driver == _STORE:
            blobs = self._chance.sample(sorted(self._blobs), min(len(self._blobs), self._chance.randrange(3)))
            fields |= {"namespace": self._any((_MOBY, _OTHER)), "blobs": tuple(blobs), "metadata": ()}
            fields |= {"digest": f"sha256:{name}", "content_size": 5, "unpacked_size": self._any((None, 7))}
        elif self._images and self._chance.random() < 0.6:
            fields["parent"] = self._any(self._images.values()).id
        self._images[name] = image(name, *chosen, driver=driver, **fields)

    def _add_container(self) -> None:
        name, driver = self._name(), self._any(self._used)
        taken = {one.layer for one in self._containers.values()}
        layers = [one.id for one in self._layers.values() if one.driver == driver and one.id not in taken]
        fields: dict[str, Any] = {"state": self._any(ContainerState), "log": Log("json-file")}
        fields["namespace"] = self._any((_MOBY, _OTHER)) if driver == _STORE else ""
        if layers:
            fields["layer"] = self._any(layers)
            fields["chain"] = tuple(self._chance.sample(layers, min(len(layers), self._chance.randrange(3))))
        if self._images:
            fields["image_id"] = self._any(self._images.values()).id
        volumes = self._chance.sample(sorted(self._volumes), min(len(self._volumes), self._chance.randrange(2)))
        if self._chance.random() < 0.3:
            fields["checkpoints"] = ("containers", name, "checkpoints")
        made = container(name, driver=driver, volumes=tuple(volumes), **fields)
        self._containers[name] = replace(made, name=name)

    def _add_volume(self) -> None:
        name = self._name()
        home = (self._any(("volumes", "mounted")), name)
        options = {"optioned": self._chance.random() < 0.2, "driver": self._any(("local", "nfs"))}
        self._volumes[name] = volume(name, home=home, tree=(*home, "_data"), **options)

    def _add_record(self) -> None:
        name = self._name()
        key = self._any([None, *(one.key for one in self._layers.values())])
        self._records[name] = BuildRecord(
            name,
            size=self._any((None, None, 5)),
            shared=self._any((True, False)),
            layer=key,
            content=("buildkit", "content", name) if key is None else None,
        )

    def _add_blob(self) -> None:
        name = f"sha256:{self._name()}"
        place = ("content", name)
        self._blobs[name] = Blob(name, self._any((place, place, None)), self._any((None, 9)), self._any(_SPACES))

    def _share(self) -> None:
        """Another namespace knows a blob, or its file has come or gone."""
        name = self._any(self._blobs)
        if name is not None:
            tree = self._any((("content", name), ("content", name), None))
            self._blobs[name] = replace(self._blobs[name], tree=tree, namespaces=self._any(_SPACES))

    def _hold(self) -> None:
        nodes = [StoreNode(_MOBY, "", one) for one in self._blobs]
        nodes += [StoreNode(_MOBY, _STORE, one.name) for one in self._layers.values() if one.namespace == _MOBY]
        chosen = tuple(self._chance.sample(nodes, min(len(nodes), 2)))
        name = self._name()
        self._holds[name] = Hold(
            self._any((_MOBY, _OTHER)), self._any(Holder), name, chosen, flat=self._any((True, False))
        )

    def _measure(self) -> None:
        """Measure a tree of an object, or one below or beside it."""
        trees: list[Tree] = [one for each in self._layers.values() for one in (*each.trees, *each.metadata)]
        trees += [(*one, "below") for one in trees]
        trees += [one.tree for one in self._volumes.values() if one.tree]
        trees += [("containers", one) for one in self._containers]
        trees += [("containers", one, "checkpoints") for one in self._containers]
        trees += [one.tree for one in self._blobs.values() if one.tree]
        trees += [one.content for one in self._records.values() if one.content]
        trees += [("buildkit", self._name()), ("loose", self._name())]
        for one in self._chance.sample(trees, min(len(trees), 3)):
            self._measured[one] = self._tree()

    def _lose(self) -> None:
        several = [one for one in self._measured if len(one) > 1]
        if several:
            lost = self._any(several)
            del self._measured[lost]
            self._incomplete = self._incomplete - {lost}

    def _find(self) -> None:
        """At times a tree is not read whole."""
        several = [one for one in self._measured if len(one) > 1]
        whole = not several or self._chance.random() < 0.7
        self._incomplete = frozenset() if whole else frozenset((self._any(several),))

    def _start(self) -> None:
        name = self._any(self._containers)
        if name is not None:
            self._containers[name] = replace(self._containers[name], state=self._any(ContainerState))

    def _mount(self) -> None:
        """Something is mounted in the root, or is no more."""
        several = [one for one in self._measured if one]
        self._mounts = self._mounts ^ {self._any(several)} | _MOUNTS

    def _tag(self) -> None:
        name = self._any(self._images)
        if name is not None:
            references = self._any(((), (("app", name),), (("app", name), ("more", "1"))))
            self._images[name] = replace(self._images[name], references=references)

    def _use(self) -> None:
        name = self._any(self._layers)
        if name is not None:
            self._layers[name] = replace(self._layers[name], use=self._any(Use))

    def _log(self) -> None:
        name = self._any(self._containers)
        if name is not None:
            self._logs[self._containers[name].id] = self._chance.randrange(100)

    def _remove(self) -> None:
        several = (self._layers, self._images, self._containers, self._volumes, self._records, self._holds)
        among: dict[str, Any] = self._any((*several, self._blobs))
        if among:
            del among[self._any(among)]

    def _build(self) -> None:
        """BuildKit has a directory of blobs, or has none."""
        self._content = () if self._content else (("buildkit", "content"),)

    def _gap(self) -> None:
        """At times something cannot be read."""
        whole = self._chance.random() < 0.7
        gap = Gap(self._any(Input), "path", "is damaged", self._any(("", "overlay2")))
        self._knowledge = Knowledge() if whole else Knowledge((gap,))

    def _snapshot(self) -> Snapshot:
        snapshots = [one for one in self._layers.values() if one.namespace]
        nodes = {StoreNode(one.namespace, _STORE, one.name): one for one in snapshots}
        blobs = [StoreNode(_MOBY, "", one) for one in self._blobs]
        references = dict(zip(blobs, ((one,) for one in blobs[1:]), strict=False))
        parents = dict(zip(nodes, [*nodes][1:], strict=False))
        nodes_before, self._nodes = self._nodes, {*blobs, *nodes}
        kept = self._closures.update([*self._holds.values()], references, parents, nodes_before)
        content = ContentStore(
            home=("content",),
            engine=_MOBY,
            namespaces=(_OTHER, _MOBY),
            blobs=dict(self._blobs),
            holds=tuple(self._holds.values()),
            references=references,
            parents=parents,
            kept=tuple(kept) if self._chance.random() < 0.9 else (),
            layers={node: one.key for node, one in nodes.items()},
            trees={
                **{node: one.trees for node, one in nodes.items()},
                **{
                    StoreNode(space, "", one.digest): (one.tree,)
                    for one in self._blobs.values()
                    for space in one.namespaces
                    if one.tree
                },
            },
            orphaned=frozenset(sorted(self._blobs)[:1]),
            files=(("content", "meta.db"),),
        )
        holds = {driver: frozenset(LayerId(one.id) for one in self._of(driver)[:2]) for driver in _DRIVERS}
        kept_layers = {driver: frozenset(LayerId(one.id) for one in self._of(driver)[-1:]) for driver in _DRIVERS[:1]}
        made = snapshot(
            dict(self._measured),
            drivers=(*_DRIVERS, _STORE),
            layouts=("layerdb", "containerd"),
            layers=tuple(self._layers.values()),
            images=tuple(self._images.values()),
            containers=tuple(self._containers.values()),
            volumes=tuple(self._volumes.values()),
            build_cache=BuildCache(
                tuple(self._records.values()),
                holds=holds,
                kept=kept_layers,
                files=(("buildkit",),),
                content=self._content,
            ),
            engine=self._engine,
            directories=tuple(name for (name, *more) in self._measured if not more),
            knowledge=self._knowledge,
            content=content,
        )
        return replace(made, logs=dict(self._logs), incomplete=self._incomplete, mounts=self._mounts, places=_PLACES)

    def _of(self, driver: str) -> list[Layer]:
        return [one for one in self._layers.values() if one.driver == driver]
