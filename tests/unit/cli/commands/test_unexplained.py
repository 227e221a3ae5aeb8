"""The used space that no file explains."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.cli.commands.unexplained import said_of, unexplained
from exporter.core.mountinfo import MountPoint, filesystems
from exporter.expose.snapshot_api.rows import DirectoryRow, Document, FilesystemRow, ProblemRow
from tests.support.product import document_of
from tests.support.roots import graph_root

_MIB = 1024 * 1024
_GIB = 1024 * _MIB


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return document_of(graph_root(tmp_path).image("app").path)


def _on(document: Document, *, size: int, used: int, files: int, **changes: object) -> Document:
    own = FilesystemRow("/r", "/dev/sdb", "/r", "ext4", size, size - used, size - used, own=True)
    rows = (DirectoryRow("aufs", 1, files, 1), DirectoryRow("graph", 1, 0, 1))
    return replace(document, filesystems=(own,), directories=rows, **changes)


def test_a_deleted_file_that_is_open_is_space_without_a_file(document: Document) -> None:
    found = unexplained(_on(document, size=100 * _GIB, used=50 * _GIB, files=40 * _GIB))
    assert found == 10 * _GIB
    (lines,) = said_of(found)
    assert "10.74 GB of the used space belong to no file" in lines.lines[0]
    assert "reflinks" in lines.lines[0]


def test_shared_extents_count_again(document: Document) -> None:
    found = unexplained(_on(document, size=100 * _GIB, used=40 * _GIB, files=50 * _GIB))
    assert found == -10 * _GIB
    assert "10.74 GB less are used than the files add up to" in said_of(found)[0].lines[0]


@pytest.mark.parametrize(("size", "used"), [(448 * _MIB, 29 * _MIB), (960 * _MIB, 39 * _MIB), (10 * _GIB, 228 * _MIB)])
def test_what_an_empty_filesystem_uses_is_explained(document: Document, size: int, used: int) -> None:
    """As df shows new filesystems of mkfs.xfs 6."""
    found = unexplained(_on(document, size=size, used=used, files=0))
    assert (found, said_of(found)) == (0, [])


@given(size=st.integers(0, 2**50), used=st.integers(0, 2**50), files=st.integers(0, 2**50))
def test_either_it_is_small_or_it_is_the_difference(size: int, used: int, files: int) -> None:
    document = Document(1, "", "/r", "", (), (), (), 0, (), (), (), (), (), (), (), (), (), 1.0)
    found = unexplained(_on(document, size=size, used=used, files=files))
    assert found in (0, used - files)
    assert found or abs(used - files) <= 32 * _MIB + size // 40


def test_it_is_not_known_where_something_is_not(document: Document) -> None:
    whole = _on(document, size=_GIB, used=_GIB, files=0)
    assert unexplained(whole) == _GIB
    (own,) = whole.filesystems
    assert unexplained(replace(whole, filesystems=())) is None
    assert unexplained(replace(whole, filesystems=(replace(own, own=False),))) is None
    assert unexplained(replace(whole, filesystems=(replace(own, size=None, free=None),))) is None
    assert unexplained(replace(whole, directories=())) is None
    assert unexplained(replace(whole, taken=None)) is None
    problem = ProblemRow("directories", "permission", "tmp", "")
    assert unexplained(replace(whole, problems=(problem,))) is None
    assert unexplained(replace(whole, problems=(replace(problem, reason="vanished"),))) == _GIB


@pytest.mark.parametrize(
    ("path", "inside", "device", "fstype", "own"),
    [
        ("/r", "/", "/dev/sdb1", "ext4", True),
        ("/r", "/", "tmpfs", "tmpfs", True),
        ("/r", "/", "pool/docker", "zfs", True),
        ("/r", "/@docker", "/dev/sdb1", "btrfs", False),
        ("/r", "/docker", "/dev/sdb1", "ext4", False),
        ("/", "/", "/dev/sda1", "ext4", False),
        ("/r", "/", "host:/export", "nfs4", False),
        ("/r", "/", "overlay", "overlay", False),
    ],
)
def test_a_filesystem_of_its_own(path: str, inside: str, device: str, fstype: str, own: bool) -> None:
    top = MountPoint("1", "0", "/", "/", "8:0", "/dev/sda1", "ext4")
    mount = MountPoint("2", "1", path, inside, "8:17", device, fstype)
    below = MountPoint("3", "2", "/r/volumes", "/", "8:33", "/dev/sdc", "ext4")
    (found, volumes) = filesystems("/r", [("volumes",)], [], [top, mount, below], 1)
    assert (found.own, found.directory) == (own, "")
    assert (volumes.own, volumes.directory) == (False, "volumes")
