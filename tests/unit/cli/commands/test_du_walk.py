import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.cli.commands import du_entries, du_inodes
from exporter.cli.commands.du_entries import DiskEntry, Whiteouts, deleted_name
from exporter.cli.commands.du_inodes import Inodes, Seen
from exporter.cli.commands.du_measure import rows_of
from exporter.cli.commands.du_walk import DirectoryWalk
from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason
from exporter.measure.exclusions import Exclusions
from exporter.measure.walk import measure
from tests.support.deep import nest
from tests.support.usage import allocated, inodes


def walked(path: Path, *, depth: int = 1, files: int = 10, whiteouts: Whiteouts = Whiteouts.NONE) -> DirectoryWalk:
    with DataRoot(str(path)) as root:
        walk = DirectoryWalk(root, (), depth=depth, files=files, whiteouts=whiteouts)
        walk.measure()
        return walk


def rows(top: DiskEntry) -> dict[str, DiskEntry]:
    return {one.path: one.entry for one in rows_of(top)}


def random_tree(top: Path, seed: int) -> None:
    """Directories in each other, with small, sparse and linked files, and names that nobody expects."""
    chosen = random.Random(seed)
    directories, files = [top], list[Path]()
    top.mkdir()
    for number in range(60):
        parent = chosen.choice(directories)
        name = chosen.choice(["a\nb", "\x1b[2J", "-x", "d", "ü"]) + str(number)
        if number % 3 == 0:
            (parent / name).mkdir()
            directories.append(parent / name)
        elif number % 7 == 0 and files:
            os.link(chosen.choice(files), parent / name)
        elif number % 5 == 0:
            (parent / name).symlink_to(top)
        elif number % 11 == 0:
            os.truncate(os.open(parent / name, os.O_CREAT | os.O_WRONLY), 1 << 30)
        else:
            (parent / name).write_bytes(b"x" * chosen.choice([0, 10, 5000, 70_000]))
            files.append(parent / name)
    raw = os.fsencode(top) + b"/\xff\xfe"
    os.mkdir(raw)
    with open(raw + b"/f", "wb") as file:
        file.write(b"y" * 9000)


@pytest.mark.parametrize("seed", range(6))
def test_the_sum_is_that_of_du_and_of_the_exporter(tmp_path: Path, seed: int) -> None:
    top = tmp_path / "top"
    random_tree(top, seed)
    walk = walked(top, depth=seed, files=2)
    with DataRoot(str(top)) as root:
        usage = measure(root, (), Exclusions(), lambda *_: None).usage
    assert (walk.top.size, walk.top.allocated, walk.top.inodes) == (usage.size, usage.allocated, usage.inodes)
    assert (walk.top.allocated, walk.top.inodes) == (allocated(top), inodes(top))
    assert walk.top.whole


@pytest.mark.parametrize("files", [0, 1, 1000])
def test_a_directory_is_the_sum_of_what_is_shown_in_it(tmp_path: Path, files: int) -> None:
    top = tmp_path / "top"
    random_tree(top, 1)
    found = walked(top, depth=100, files=files).top

    def check(entry: DiskEntry, path: Path) -> None:
        inside = [*entry.children()]
        more = (entry.more_files, entry.more_directories)
        assert entry.inodes == 1 + sum(one.inodes for one in inside) + sum(one.inodes for one in more)
        own = path.lstat().st_blocks * 512
        assert entry.allocated == own + sum(one.allocated for one in inside) + sum(one.allocated for one in more)
        assert entry.size == sum(one.size for one in inside) + sum(one.size for one in more)
        assert len(entry.files) <= files
        for one in entry.directories.values():
            check(one, path / one.name)

    check(found, top)


def test_directories_without_links_are_what_du_says_of_each(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for number in range(30):
        at = top / f"d{number % 4}" / f"s{number % 5}" / f"t{number}"
        at.mkdir(parents=True)
        (at / "file").write_bytes(b"x" * number * 3000)
    found = rows(walked(top, depth=2).top)
    expected = [*top.glob("*"), *top.glob("*/*")]
    assert {*found} == {f"{path.relative_to(top)}/" for path in expected}
    for path in expected:
        entry = found[f"{path.relative_to(top)}/"]
        assert (entry.allocated, entry.inodes) == (allocated(path), inodes(path))


def test_a_tree_that_is_deeper_than_a_path_may_be_long(tmp_path: Path) -> None:
    name = "d" * 200
    lowest = nest(tmp_path, 60, name=name)
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=lowest))
    os.close(lowest)
    found = walked(tmp_path, depth=2).top
    assert found.inodes == inodes(tmp_path) == 62
    assert {path: one.inodes for path, one in rows(found).items()} == {f"{name}/": 61, f"{name}/{name}/": 60}


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_tree_that_changes_while_it_is_read(tmp_path: Path, depth: int) -> None:
    top = tmp_path / "top"
    for number in range(12):
        at = top / f"d{number}/e/f"
        at.mkdir(parents=True)
        (at / "file").write_bytes(b"x" * 5000)
    (tmp_path / "away").mkdir()
    steps = 0

    def on_step() -> None:
        nonlocal steps
        steps += 1
        for name in sorted(os.listdir(top))[:1] if steps % 4 == 0 else ():
            os.rename(top / name, tmp_path / "away" / f"{name}{steps}")
            if steps % 8 == 0:
                (top / name).symlink_to("/")

    with DataRoot(str(top)) as root:
        walk = DirectoryWalk(root, (), depth=depth, files=10)
        walk.on_step = on_step
        found = walk.measure()
    assert steps > 8
    assert found.whole
    assert walk.problems == []
    assert found.inodes <= 12 * 4 + 1

    def check(entry: DiskEntry, left: int) -> None:
        inside = [*entry.children()] if left else []
        assert sum(one.inodes for one in inside) <= entry.inodes
        for one in entry.directories.values():
            check(one, left - 1)

    check(found, depth)


def test_what_may_not_be_listed_is_said_and_what_is_above_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/secret/in", "a/open", "b"):
        (tmp_path / name).mkdir(parents=True)
    real = os.scandir
    secret = (tmp_path / "a/secret").stat().st_ino

    def scandir(at: int) -> object:
        if os.fstat(at).st_ino == secret:
            raise PermissionError(13, "Permission denied")
        return real(at)

    monkeypatch.setattr("exporter.measure.walk.os.scandir", scandir)
    walk = walked(tmp_path, depth=2)
    found = rows(walk.top)
    assert {path: one.whole for path, one in found.items()} == {
        "a/": False,
        "a/secret/": False,
        "a/open/": True,
        "b/": True,
    }
    assert not walk.top.whole
    assert [(reason, path) for reason, path, _ in walk.problems] == [(Reason.PERMISSION, ("a", "secret"))]
    assert found["a/secret/"].inodes == 1


def test_only_the_largest_directories_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(du_entries, "MOST_DIRECTORIES", 3)
    for number in range(20):
        (tmp_path / f"d{number:02}").mkdir()
        (tmp_path / f"d{number:02}" / "file").write_bytes(b"x" * 5000 * number)
    top = walked(tmp_path).top
    assert {"d17", "d18", "d19"} <= {*top.directories}
    assert len(top.directories) <= 6
    assert len(top.directories) + top.more_directories.entries == 20
    assert f"({top.more_directories.entries} more directories)" in rows(top)


def test_whiteouts_are_names_that_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/.wh.passwd").touch()
    (tmp_path / "etc/.wh..wh..opq").touch()
    (tmp_path / ".wh..wh.plnk").mkdir()
    found = walked(tmp_path, depth=2, whiteouts=Whiteouts.NAMES).top
    etc = rows(found)["etc/"]
    assert (etc.deleted, etc.gone, etc.opaque, found.opaque) == (1, ["passwd"], True, False)
    assert rows(found)["etc/passwd"].kind == "deleted"
    assert found.inodes == inodes(tmp_path)
    plain = walked(tmp_path, depth=2).top
    assert (plain.deleted, "etc/.wh.passwd" in rows(plain)) == (0, True)


def test_a_character_device_0_0_is_a_whiteout_of_overlay() -> None:
    whiteout = os.stat_result((0o020000, 1, 1, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": 0})
    console = os.stat_result((0o020600, 1, 1, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": 0x501})
    assert deleted_name(Whiteouts.DEVICES, "x", whiteout) == "x"
    assert deleted_name(Whiteouts.DEVICES, "x", console) is None
    assert deleted_name(Whiteouts.NAMES, "x", whiteout) is None


def test_trees_of_one_object_count_what_they_share_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one/file").write_bytes(b"x" * 50_000)
    os.link(tmp_path / "one/file", tmp_path / "two/link")
    seen = Seen()
    with DataRoot(str(tmp_path)) as root:
        found = [DirectoryWalk(root, (name,), depth=1, files=5, seen=seen).measure() for name in ("one", "two")]
    assert sum(one.allocated for one in found) == allocated(tmp_path) - tmp_path.lstat().st_blocks * 512
    assert [one.size for one in found] == [50_000, 0]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 50)), st.integers(1, 5))
def test_a_set_of_inodes_is_a_set(numbers: list[int], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(du_inodes, "_RECENT", most)
        found, known = Inodes(), set[int]()
        for number in numbers:
            assert found.add(number) == (number not in known)
            known.add(number)
        assert all(number in found for number in known)
