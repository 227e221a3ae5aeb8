import os
import shutil
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.measured import Changes, Tree
from exporter.measure.difference import difference


def _no_error(error: OSError, tree: Tree) -> None:
    raise AssertionError((error, tree))


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    old = tmp_path / "old"
    (old / "etc").mkdir(parents=True)
    (old / "etc/hosts").write_bytes(b"h" * 100)
    (old / "etc/passwd").write_bytes(b"p" * 200)
    shutil.copytree(old, tmp_path / "new", symlinks=True)
    return tmp_path


def _size(top: Path) -> int:
    with DataRoot(str(top)) as root:
        return difference(root, Changes(("new",), (("old",),)), _no_error)[0]


def test_a_copy_is_no_change(layers: Path) -> None:
    assert _size(layers) == 0


def test_what_is_added_or_altered_counts_with_its_whole_size_and_what_is_removed_does_not(layers: Path) -> None:
    (layers / "new/etc/hosts").write_bytes(b"h" * 101)
    (layers / "new/etc/passwd").unlink()
    (layers / "new/var").mkdir()
    (layers / "new/var/log").write_bytes(b"l" * 7)
    assert _size(layers) == 108


@pytest.mark.parametrize("change", ["mode", "owner", "time"])
def test_metadata_that_docker_compares_makes_a_change(layers: Path, change: str) -> None:
    path = layers / "new/etc/hosts"
    if change == "mode":
        path.chmod(0o600)
    elif change == "time":
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000_000))
    elif os.getuid() == 0:
        os.chown(path, 1234, -1)
    else:
        pytest.skip("only root can give files away")
    assert _size(layers) == 100


def test_a_time_without_nanoseconds_is_compared_by_seconds(layers: Path) -> None:
    path = layers / "new/etc/hosts"
    os.utime(layers / "old/etc/hosts", ns=(5, 5_123_456_789))
    os.utime(path, ns=(5, 5_000_000_000))
    assert _size(layers) == 0


def test_a_link_within_counts_once_and_a_directories_time_never(layers: Path) -> None:
    (layers / "new/a").write_bytes(b"a" * 50)
    os.link(layers / "new/a", layers / "new/b")
    os.utime(layers / "new/etc", (1, 1))
    assert _size(layers) == 50


def test_a_file_in_place_of_a_directory_and_the_other_way_round(layers: Path) -> None:
    shutil.rmtree(layers / "new/etc")
    (layers / "new/etc").write_bytes(b"e" * 9)
    assert _size(layers) == 9
    (layers / "new/etc").unlink()
    (layers / "new/etc/hosts").mkdir(parents=True)
    (layers / "new/etc/hosts/x").write_bytes(b"x" * 3)
    assert _size(layers) == 3


def test_without_an_older_tree_everything_is_new(layers: Path) -> None:
    with DataRoot(str(layers)) as root:
        assert difference(root, Changes(("new",), (("none",),)), _no_error)[0] == 300
