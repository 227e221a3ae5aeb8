"""A data root with further roots: which paths lead where, and that none leads out."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.data_root import MAX_FILE_BYTES, DataRoot, UnreadableError
from exporter.core.measured import Tree, root_of


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    data, further = tmp_path / "docker", tmp_path / "containerd"
    for place in (data, further):
        (place / "store").mkdir(parents=True)
        (place / "store" / "file").write_text(place.name)
    (tmp_path / "outside").mkdir()
    (further / "out").symlink_to(tmp_path / "outside")
    return data, further


_READ: list[Callable[[DataRoot, Tree], object]] = [
    DataRoot.lstat,
    DataRoot.read,
    DataRoot.names,
    lambda root, tree: os.close(root.open(tree)),
]


def test_a_path_leads_into_the_root_that_its_first_component_names(places: tuple[Path, Path]) -> None:
    data, further = places
    with DataRoot(str(data), [str(further)]) as root:
        assert root.tops == ((), (str(further),))
        assert root.further == (str(further),)
        assert root.read(("store", "file")) == b"docker"
        assert root.read((str(further), "store", "file")) == b"containerd"
        assert root.names((str(further),)) == ["out", "store"]
        assert root.lstat((str(further),)).st_ino == further.stat().st_ino
        assert root.absolute((str(further), "store")) == str(further / "store")
        assert root.absolute(("store",)) == str(data / "store")


def test_each_root_has_an_identity(places: tuple[Path, Path]) -> None:
    data, further = places
    with DataRoot(str(data)) as root:
        top = root.add(str(further))
        assert root.identities == {
            (): (data.stat().st_dev, data.stat().st_ino),
            top: (further.stat().st_dev, further.stat().st_ino),
        }
        assert root.device_of((*top, "store")) == further.stat().st_dev
        assert (root.device, root.inode) == root.identities[()]


def test_the_path_of_a_further_root_is_its_real_one(places: tuple[Path, Path], tmp_path: Path) -> None:
    data, further = places
    (tmp_path / "link").symlink_to(further)
    with DataRoot(str(data), [str(tmp_path / "link"), str(further)]) as root:
        assert root.further == (str(further),)


@pytest.mark.parametrize("read", _READ)
@pytest.mark.parametrize(
    "tail",
    [("..", "outside"), ("store/file",), ("/etc",), ("store", "/etc", "passwd"), ("",), ("out",), ("out", "x")],
)
def test_no_path_leads_out_of_a_further_root(
    places: tuple[Path, Path], read: Callable[[DataRoot, Tree], object], tail: Tree
) -> None:
    data, further = places
    with DataRoot(str(data), [str(further)]) as root:
        if read is DataRoot.lstat and tail == ("out",):
            assert root.link((str(further), *tail))  # the link itself, and not what it leads to
            return
        with pytest.raises((OSError, UnreadableError)):
            read(root, (str(further), *tail))


@pytest.mark.parametrize("read", _READ)
@pytest.mark.parametrize("way", ["/etc", "/", "//", "{further}/", "{further}/store", "{data}", "/../etc"])
def test_a_root_that_is_not_open_is_no_root(
    places: tuple[Path, Path], read: Callable[[DataRoot, Tree], object], way: str
) -> None:
    data, further = places
    top = way.format(data=data, further=further)
    with DataRoot(str(data), [str(further)]) as root:
        for tree in ((top,), (top, "store"), (top, "store", "file")):
            with pytest.raises(FileNotFoundError):
                read(root, tree)
        assert root.link((top,)) is None
        assert not root.is_directory((top,))


def test_a_path_without_a_further_root_is_refused_as_ever(places: tuple[Path, Path]) -> None:
    data, further = places
    with DataRoot(str(data)) as root, pytest.raises(FileNotFoundError):
        root.names((str(further),))


def test_a_further_root_that_is_not_there_leaves_no_descriptor_open(places: tuple[Path, Path]) -> None:
    data, further = places
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        DataRoot(str(data), [str(further), str(further / "none")])
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_mount_in_a_further_root_that_does_not_answer_is_not_touched(places: tuple[Path, Path]) -> None:
    data, further = places
    asked: list[str] = []

    def answers(path: str) -> bool:
        asked.append(path)
        return False

    with DataRoot(str(data), [str(further)]) as root:
        mount = (str(further), "store")
        root.mounts = frozenset([mount])
        root.answers = answers
        for tree in (mount, (*mount, "file")):
            with pytest.raises(TimeoutError):
                root.lstat(tree)
        assert root.silent == {mount}
    assert asked == [str(further / "store")]


@given(st.lists(st.text(alphabet="a/.", max_size=3), max_size=4).map(tuple))
def test_the_root_of_a_path_is_its_first_component_if_that_is_absolute(tree: Tree) -> None:
    assert root_of(tree) == (tree[:1] if tree and tree[0][:1] == "/" else ())


def test_directories_are_those_that_are_none_of_another_kind(tmp_path: Path) -> None:
    for name in ("one", "two", "mounted"):
        (tmp_path / "store" / name).mkdir(parents=True)
    os.utime(tmp_path / "store" / "two", (5, 7))
    (tmp_path / "store" / "file").touch()
    (tmp_path / "store" / "link").symlink_to("one")
    with DataRoot(str(tmp_path)) as root:
        root.mounts = frozenset([("store", "mounted")])
        found = root.directories(("store",), ["one", "two", "mounted", "file", "link", "gone"])
        assert found == {"one": (tmp_path / "store" / "one").stat().st_mtime, "two": 7.0}
        assert root.directories(("gone",), ["one"]) == root.directories(("store", "link"), ["one"]) == {}
        assert root.listed_directories(("store",), ["one", "mounted", "file", "link", "gone"]) == {"one"}
        assert (
            root.listed_directories(("gone",), ["one"]) == root.listed_directories(("store", "link"), ["one"]) == set()
        )


def test_modes_of_entries_are_those_of_lstat(tmp_path: Path) -> None:
    (tmp_path / "a/directory").mkdir(parents=True)
    (tmp_path / "a/link").symlink_to("directory")
    with DataRoot(str(tmp_path)) as root:
        directory, link, missing = root.modes(("a",), ("directory", "link", "missing"))
        assert stat.S_ISDIR(directory)
        assert stat.S_ISLNK(link)
        assert missing == 0
        with pytest.raises(OSError, match="link"):
            root.modes(("a", "link"), ("x",))
        with pytest.raises(FileNotFoundError):
            root.modes(("b",), ("x",))


def test_holders_are_directories_with_a_directory_in_them(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for name in ("one", "two", "unnamed", "piped", "large", "itself", "around"):
        (store / name / "diff").mkdir(parents=True)
        (store / name / "link").write_text(name)
    (store / "unnamed/link").unlink()
    (store / "piped/link").unlink()
    os.mkfifo(store / "piped/link")
    os.truncate(store / "large/link", MAX_FILE_BYTES + 1)
    (store / "bare").mkdir()
    (store / "file").touch()
    (store / "elsewhere").symlink_to("one")
    (store / "led").mkdir()
    (store / "led/diff").symlink_to("../one/diff")
    names = sorted(os.listdir(store))
    with DataRoot(str(tmp_path)) as root:
        root.mounts = frozenset([("store", "itself"), ("store", "around", "diff", "x"), ("store",)])
        found = root.holders(("store",), [*names, "gone"], "diff", "link")
        assert found == {"one": b"one", "two": b"two", "unnamed": None, "piped": None, "large": None}
        assert root.holders(("store",), ["one", "bare"], "diff") == {"one": None}
        assert root.holders(("store",), ["one", "unnamed", "bare"], "diff", without="link") == {"unnamed": None}
        assert root.holders(("gone",), ["one"], "diff") == root.holders(("store", "elsewhere"), ["one"], "diff") == {}
    assert root.silent == set()
