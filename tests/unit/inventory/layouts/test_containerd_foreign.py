"""Containers of namespaces that are not Docker's: what they stand on tells their image, not where a name leads now."""

import pytest

from exporter.core.content import StoreNode
from exporter.core.model import Container, Image, ImageId, LayerId, LayerKey
from exporter.inventory.image_store.meta import (
    ContainerEntry,
    ImageEntry,
    LeaseEntry,
    NamespaceEntry,
    SnapshotEntry,
    SnapshotKey,
)
from exporter.inventory.layouts.containerd_foreign import ForeignContainers
from exporter.inventory.layouts.containerd_snapshots import Snapshots, StoredSnapshot

_SN, _OLD, _NEW, _BASE = "overlayfs", "0" * 64, "1" * 64, "b" * 64
_DOCKER = "c" * 64


def _read(
    *,
    names: dict[str, str] | None = None,
    snapshots: dict[str, str],
    images: dict[str, tuple[str, ...]],
    containers: dict[str, ContainerEntry] | None = None,
    leases: tuple[str, ...] = (),
) -> list[Container]:
    """Read one namespace, `ns`. `snapshots` are keys by parent, `images` the keys of the snapshots of each."""
    stored = [
        StoredSnapshot(StoreNode("ns", _SN, key), SnapshotEntry(key, parent), None, LayerKey(_SN, LayerId(f"#{key}")))
        for key, parent in snapshots.items()
    ]
    made = Snapshots({one.node: one for one in stored}, {_SN: {one.layer.id: one for one in stored}})
    space = NamespaceEntry(
        {name: ImageEntry(f"sha256:{image}") for name, image in (names or {}).items()},
        {},
        {_SN: {key: SnapshotEntry(key, parent) for key, parent in snapshots.items()}},
        containers or {},
        {name: LeaseEntry() for name in leases},
        {},
        {},
    )
    known = [
        Image(_SN, ImageId(name), tuple(LayerId(f"#{key}") for key in keys), namespace="ns")
        for name, keys in images.items()
    ]
    return list(ForeignContainers({"ns": space, "moby": space}, made, known, _SN).read("moby"))


_STORE = {"base": "", "old": "base", "new": "base", "own": "old"}
_IMAGES = {_OLD: ("old", "base"), _NEW: ("new", "base"), _BASE: ("base",)}


def _one(image: str, *, key: str = "own", names: dict[str, str]) -> ImageId | None:
    entry = ContainerEntry(image=image, snapshot=SnapshotKey(_SN, key))
    (found,) = _read(names=names, snapshots=_STORE, images=_IMAGES, containers={"one": entry})
    assert (found.namespace, found.foreign) == ("ns", True)
    return found.image_id


@pytest.mark.parametrize("names", [{"app": _OLD}, {"app": _NEW}, {"app": _BASE}, {}])
def test_a_container_has_the_image_that_it_stands_on_wherever_its_name_leads(names: dict[str, str]) -> None:
    assert _one("app", names=names) == _OLD


def test_a_container_on_more_layers_than_its_image_has_still_has_it() -> None:
    store = {**_STORE, "remapped": "old", "own": "remapped"}
    entry = ContainerEntry(image="app", snapshot=SnapshotKey(_SN, "own"))
    (found,) = _read(names={"app": _OLD}, snapshots=store, images=_IMAGES, containers={"one": entry})
    assert found.image_id == _OLD


def test_without_snapshots_below_the_name_tells() -> None:
    assert _one("app", key="base", names={"app": _NEW}) == _NEW
    images = {_OLD: _IMAGES[_OLD], _NEW: ()}
    entry = ContainerEntry(image="app", snapshot=SnapshotKey(_SN, "new"))
    (found,) = _read(names={"app": _NEW}, snapshots=_STORE, images=images, containers={"one": entry})
    assert found.image_id == _NEW, "that image is not unpacked, so its snapshots tell nothing"


def test_of_a_container_whose_image_is_gone_there_is_no_image() -> None:
    images = {_NEW: _IMAGES[_NEW]}
    entry = ContainerEntry(image="app", snapshot=SnapshotKey(_SN, "own"))
    (found,) = _read(names={"app": _NEW}, snapshots=_STORE, images=images, containers={"one": entry})
    assert (found.image_id, found.layer, found.chain) == (None, "#own", ("#old", "#base"))


def test_containers_of_a_docker_elsewhere_are_told_by_their_snapshots_and_leases() -> None:
    stopped = "d" * 64
    store = {**_STORE, _DOCKER: f"{_DOCKER}-init", f"{_DOCKER}-init": "old", stopped: "new"}
    found = _read(
        snapshots=store,
        images=_IMAGES,
        containers={_DOCKER: ContainerEntry(image="")},
        leases=(_DOCKER, stopped, "e" * 64, "other"),
    )
    assert [(one.id, one.layer, one.init, one.chain, one.image_id) for one in found] == [
        (_DOCKER, f"#{_DOCKER}", f"#{_DOCKER}-init", ("#old", "#base"), _OLD),
        (stopped, f"#{stopped}", None, ("#new", "#base"), _NEW),
    ]


def test_a_container_whose_snapshot_is_not_there_has_no_layer() -> None:
    entry = ContainerEntry(image="app", snapshot=SnapshotKey("zfs", "lost"))
    (found,) = _read(names={"app": _OLD}, snapshots=_STORE, images=_IMAGES, containers={"one": entry})
    assert (found.driver, found.layer, found.missing, found.image_id) == ("zfs", None, ("lost",), _OLD)
