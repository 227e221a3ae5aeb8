"""Data roots that cannot be opened, and whose fault that is."""

import contextlib
import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.model import Inventory
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.inventory import opening
from exporter.inventory.containerd_root import ContainerdRoot
from exporter.inventory.files.memo import Memo
from exporter.inventory.files.problems import Problems
from exporter.inventory.layouts.claims import Grace
from exporter.inventory.opening import RootError, for_shortage, open_root
from exporter.inventory.read import read_inventory
from tests.support.roots import graph_root
from tests.support.roots.layerdb import DbRoot
from tests.support.roots.two import two_roots


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


def _both(path: Path) -> Path:
    """The image store of today in a root of its own, beside one with the layers of before."""
    path.mkdir()
    built = two_roots(path, "web")
    DbRoot(path).layer("base", 10).image("base", "base", ["base:1"])
    return built.root


def _counted(path: Path) -> tuple[int, ...] | None:
    """How much is read; None where there are too few descriptors for it."""
    problems = Problems()
    try:
        with open_root(str(path)) as root:
            ContainerdRoot("auto").attach(root)
            found, _ = read_inventory(root, Inventory(), Grace(600), problems, Memo())
    except (RootError, OSError) as error:
        return None if for_shortage(error) else ()
    objects = (found.layers, found.images, found.containers, found.volumes, found.knowledge.gaps)
    return (*map(len, objects), len(problems.kept))


@contextlib.contextmanager
def _spare(number: int) -> Iterator[None]:
    """This process can open so many files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(int, os.listdir("/proc/self/fd")))
    with contextlib.ExitStack() as stack:
        while (one := os.dup(0)) < most:
            stack.callback(os.close, one)
        os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (one + number, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("build", [_graph, _layerdb, _containerd, _both])
def test_with_few_descriptors_a_root_is_read_whole_or_not_at_all(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    path = build(tmp_path / "root")
    whole = _counted(path)
    found = []
    for number in range(24):
        with _spare(number):
            found.append(_counted(path))
    enough = found.index(whole)
    assert found == [*[None] * enough, *[whole] * (len(found) - enough)]
