"""The filter `label` of listings. Few labels are in a document: the others are read from the disk, when it is asked."""

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

import click

from exporter.cli.commands.columns import Filter, Test
from exporter.cli.commands.disk import open_disk
from exporter.cli.commands.index import Index
from exporter.core.data_root import DataRoot
from exporter.core.measured import Tree
from exporter.expose.snapshot_api.rows import ContainerRow, Document, ImageRow, VolumeRow
from exporter.inventory import labels
from exporter.inventory.labels import Labels

Row = TypeVar("Row")
#: Reads the labels of all rows of a document by what tells the rows apart; what is not there is not known.
Read = Callable[[DataRoot, Document], Mapping[Hashable, Labels | None]]


def labelled(read: Read, key: Callable[[Row], Hashable], told: Callable[[Row], dict[str, str]]) -> Filter[Row]:
    """A filter for labels, KEY or KEY=VALUE. `told` are those that a document has, "" for a row without one."""

    def test(index: Index, value: str) -> Test[Row]:
        name, given, wanted = value.partition("=")

        def has(found: Labels | None) -> bool | None:
            if found is None:
                return None
            return found.get(name) == wanted if given else name in found

        if index.disk is None:
            return lambda row: has(_told(told(row), name))
        with open_disk(index.disk) as root:
            known = read(root, index.document)
        return lambda row: has(known.get(key(row)))

    return Filter(test, every=True)


def _told(labels_told: dict[str, str], name: str) -> Labels:
    if name not in labels_told:
        words = ", ".join(labels_told) or "none"
        raise click.UsageError(f"--filter label={name}: an exporter tells of these labels only: {words}; read the disk")
    return {key: value for key, value in labels_told.items() if value}


def of_containers(root: DataRoot, document: Document) -> Mapping[Hashable, Labels | None]:
    """The labels of Docker's containers by id. Of those of others, only what runs them knows."""
    docker = (one for one in document.containers if one.namespace in ("", document.engine))
    return {one.id: labels.of_container(root, one.id) for one in docker}


def of_images(root: DataRoot, document: Document) -> Mapping[Hashable, Labels | None]:
    """The labels of images by namespace, driver and id."""
    path = document.store or ""
    # That of a further root is absolute, and the name of that root.
    store: Tree = (path,) if path.startswith("/") else tuple(filter(None, path.split("/")))

    def read(one: ImageRow) -> Labels | None:
        if one.namespace:
            return labels.of_stored_image(root, store, one.id)
        return labels.of_image(root, one.driver, one.id)

    return {(one.namespace, one.driver, one.id): read(one) for one in document.images}


def of_volumes(root: DataRoot, document: Document) -> Mapping[Hashable, Labels | None]:
    """The labels of volumes by name. One that the engine has written nothing of has none."""
    known = labels.of_volumes(root)
    return {one.name: None if known is None else known.get(one.name, {}) for one in document.volumes}


def container_key(one: ContainerRow) -> Hashable:
    """What tells a container from others."""
    return one.id


def image_key(one: ImageRow) -> Hashable:
    """What tells an image from others."""
    return one.namespace, one.driver, one.id


def volume_key(one: VolumeRow) -> Hashable:
    """What tells a volume from others."""
    return one.name
