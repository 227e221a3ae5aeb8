"""Data roots that cannot be opened, and whose fault that is."""

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.model import Inventory
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.inventory import opening
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.problems import Problems
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.opening import RootError, for_shortage, open_root
from exporter.inventory.read import read_inventory
from tests.support.roots import graph_root
from tests.support.roots.layerdb import DbRoot


@pytest.mark.parametrize(
    ("number", "shortage"),
    [(errno.EMFILE, True), (errno.ENFILE, True), (errno.ENOMEM, True), (errno.EACCES, False), (errno.EIO, False)],
)
@pytest.mark.parametrize("listing", [False, True])
def test_a_lack_of_descriptors_or_memory_says_nothing_of_the_root(
    tmp_path: Path, number: int, shortage: bool, listing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = DbRoot(tmp_path).layer("base", 10).image("base", "base", ["base:1"])

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    if listing:
        monkeypatch.setattr(DataRoot, "names", fail)
    else:
        monkeypatch.setattr(opening, "open_mounted", fail)
    with pytest.raises(RootError, match=os.strerror(number)) as raised:
        open_root(str(root.path))
    assert raised.value.shortage == for_shortage(raised.value) == shortage


def test_a_root_that_is_not_there_is_no_shortage(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="does not exist") as raised:
        open_root(str(tmp_path / "none"))
    assert not for_shortage(raised.value)
    assert not for_shortage(ValueError())


def _graph(path: Path) -> Path:
    return graph_root(path).image("base", size=3, files={"a": 3}, tag="base:1").container("web", image="base").path


def _containerd(path: Path) -> Path:
    writer = ContainerdWriter(path)
    writer.image("docker.io/library/base:1", [oci.layer({"bin/sh": b"#"})])
    writer.container("web", "base:1", writer.target("docker.io/library/base:1"))
    writer.history("first", {"log": b"step 1"})
    writer.write()
    return path


def _layerdb(path: Path) -> Path:
    return DbRoot(path).layer("base", 10).image("base", "base", ["base:1"]).volume("data", 9).path


def _counted(root: DataRoot) -> tuple[int, ...]:
    found, _ = read_inventory(root, Inventory(), Grace(600), problems := Problems(), Memo())
    objects = (found.layers, found.images, found.containers, found.volumes, found.knowledge.gaps)
    return (*map(len, objects), len(problems.kept))


@pytest.mark.parametrize("build", [_graph, _layerdb, _containerd])
def test_with_few_descriptors_a_root_is_read_whole_or_not_at_all(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    path = str(build(tmp_path / "root"))
    with open_root(path) as root:
        whole = _counted(root)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    found: list[tuple[int, ...] | None] = []
    for spare in range(16):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, limits[1]))
        try:
            with open_root(path) as root:
                found.append(_counted(root))
        except RootError as error:
            found.append(None if for_shortage(error) else ())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert found == [*[None] * found.index(whole), *[whole] * (len(found) - found.index(whole))]
