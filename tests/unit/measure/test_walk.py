import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.data_root import DataRoot
from exporter.core.links import NO_LINKS
from exporter.core.measured import Tree, Usage
from exporter.measure import walk as walking
from exporter.measure.exclusions import Exclusions
from exporter.measure.start import WHOLE, Start
from exporter.measure.total import Total
from exporter.measure.walk import Walk, measure
from tests.support.totals import sent
from tests.support.usage import allocated, inodes


def _no_error(error: OSError, tree: Tree) -> None:
    raise AssertionError((error, tree))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "root"
    (top / "a/b/c").mkdir(parents=True)
    (top / "a/file").write_bytes(b"x" * 10_000)
    os.link(top / "a/file", top / "a/b/link")
    (top / "a/link").symlink_to("/etc/passwd")
    with (top / "sparse").open("wb") as file:
        file.truncate(5_000_000)
    os.mkfifo(top / "a/fifo")
    return top


def test_a_tree_is_what_du_says(tree: Path) -> None:
    with DataRoot(str(tree)) as root:
        usage = measure(root, (), Exclusions(), _no_error).usage
    assert usage.allocated == allocated(tree)
    assert usage.inodes == inodes(tree)
    assert usage.size == 10_000 + 5_000_000 + len("/etc/passwd")


def test_a_file_alone_is_a_tree(tree: Path) -> None:
    with DataRoot(str(tree)) as root:
        assert measure(root, ("sparse",), Exclusions(), _no_error).usage.size == 5_000_000


def test_a_tree_within_is_left_out_and_measured_on_its_own(tree: Path) -> None:
    prune = Exclusions()
    prune.add(("a", "b"))
    with DataRoot(str(tree)) as root:
        outer = measure(root, (), prune, _no_error)
        inner = measure(root, ("a", "b"), prune.at(("a", "b")), _no_error)
    assert outer.links == inner.links
    ((_, shared),) = outer.links.items()
    assert outer.usage.allocated + inner.usage.allocated - shared[1] == allocated(tree)


def test_links_that_all_lie_within_are_no_business_of_other_trees(tree: Path) -> None:
    with DataRoot(str(tree)) as root:
        assert measure(root, (), Exclusions(), _no_error).links == NO_LINKS


def test_a_tree_deeper_than_descriptors_and_path_max(tmp_path: Path) -> None:
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(700):
        os.mkdir("deep-and-deeper", dir_fd=at)
        below = os.open("deep-and-deeper", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    before = len(os.listdir("/proc/self/fd"))
    with DataRoot(str(tmp_path)) as root:
        measured = measure(root, (), Exclusions(), _no_error)
    assert measured.usage.inodes == 701
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_vanishes_is_reported_and_the_rest_counted(tree: Path) -> None:
    errors: list[tuple[int | None, Tree]] = []
    (tree / "gone").mkdir()

    def vanish() -> None:
        if (tree / "gone").exists():
            (tree / "gone").rmdir()

    total = Total()
    with DataRoot(str(tree)) as root:
        walk = Walk(root, (), Exclusions(), lambda error, at: errors.append((error.errno, at)), total, vanish)
        measured = total.result(walk.run([WHOLE]))
    assert errors == [(2, ("gone",))]
    assert total.blocks * 512 == measured.usage.allocated == allocated(tree)


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is huge as far as the walk is concerned."""
    monkeypatch.setattr(walking, "_CHUNK", 16)
    monkeypatch.setattr(walking, "_GIVEN_FILES", 30)
    flat = tmp_path / "flat"
    flat.mkdir()
    for number in range(300):
        (flat / f"f{number}").write_bytes(b"x" * number)
        os.link(flat / f"f{number}", flat / f"l{number}")
    for number in range(20):
        (flat / f"d{number}").mkdir()
        (flat / f"d{number}/inner").write_bytes(b"y" * 5000)
    return flat


def _shared_out(root: DataRoot, meanwhile: Callable[[Start], None]) -> tuple[Total, list[int]]:
    """Walk the root, giving work away at every turn; each share is walked on its own, and the totals are joined."""
    whole, errors, waiting = Total(), [], [WHOLE]

    def share() -> None:
        waiting.extend(walk.give())

    while waiting:
        start = waiting.pop()
        meanwhile(start)
        total = Total()
        walk = Walk(root, (), Exclusions(), lambda error, _: errors.append(error.errno or 0), total, share)
        walk.run([start])
        whole.join(sent(total))
    return whole, errors


def test_a_huge_directory_is_shared_out_and_each_file_counted_once(flat: Path) -> None:
    handfuls = []
    with DataRoot(str(flat)) as root:
        whole, errors = _shared_out(root, lambda start: handfuls.append(len(start.files)))
    assert not errors
    assert sum(size > 0 for size in handfuls) > 5
    assert whole.result((0, 0, 0)).usage == Usage(sum(range(300)) + 20 * 5000, allocated(flat), inodes(flat))


def test_a_file_that_was_given_away_and_has_gone_has_vanished(flat: Path) -> None:
    def remove(start: Start) -> None:
        for name in start.files[:1]:
            (flat / name).unlink()
            (flat / name).mkdir()

    with DataRoot(str(flat)) as root:
        whole, errors = _shared_out(root, remove)
    assert errors
    assert {*errors} == {errno.ENOENT}
    assert whole.inodes < 321 + 300


@pytest.fixture(scope="module")
def wood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories beside and below huge ones, with links within, across and out of the tree."""
    top = tmp_path_factory.mktemp("wood")
    (top / "tree").mkdir()
    for number in range(3):
        huge = top / "tree" / f"huge{number}"
        for name in ("", "b", "b/c", "d"):
            (huge / name).mkdir()
            for file in range(12):
                (huge / name / f"f{file}").write_bytes(b"x" * (100 * number + file))
        os.link(huge / "f1", huge / "link")
        os.link(huge / "b/c/f2", top / "tree" / f"link{number}")
        os.link(huge / "d/f3", top / f"out{number}")
        for other in range(number):
            os.link(top / f"tree/huge{other}/f4", huge / f"many{other}")
    return top


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_a_tree_in_any_parts_is_the_whole(wood: Path, seed: int, chunk: int) -> None:
    """Whatever is given away when, and in whatever order the parts are walked and joined."""
    chance = random.Random(seed)
    prune = Exclusions()
    prune.add(("huge1", "d"))
    with pytest.MonkeyPatch.context() as patch, DataRoot(str(wood)) as root:
        patch.setattr(walking, "_CHUNK", chunk)
        patch.setattr(walking, "_GIVEN_FILES", chunk)
        whole = measure(root, ("tree",), prune, _no_error)
        waiting, totals = [WHOLE], []

        def share() -> None:
            if chance.random() < 0.3:
                waiting.extend(walk.give() if chance.random() < 0.8 else walk.give_all())

        while waiting:
            chance.shuffle(waiting)
            starts = [waiting.pop() for _ in range(chance.randint(1, len(waiting)))]
            totals.append(Total())
            walk = Walk(root, ("tree",), prune, _no_error, totals[-1], share)
            identity = walk.run(starts)
    chance.shuffle(totals)
    joined = sent(totals[0])
    for part in totals[1:]:
        joined.join(sent(part))
    assert joined.result(identity) == whole


def test_a_directory_that_is_moved_away_counts_nothing_twice(tmp_path: Path) -> None:
    """Deeper than descriptors are kept open; what is left beside it is begun again by its path, once."""
    for number in range(5):
        (tmp_path / f"tree/{number}").joinpath(*("d" * 60)).mkdir(parents=True)
        (tmp_path / f"tree/{number}/file").write_bytes(b"x" * 1000)
    errors: list[int | None] = []
    total = Total()

    def move() -> None:
        if total.inodes > 55 and not (tmp_path / "away0").exists():
            for number in range(5):
                (tmp_path / f"tree/{number}/d/d").rename(tmp_path / f"away{number}")

    with DataRoot(str(tmp_path)) as root:
        Walk(root, ("tree",), Exclusions(), lambda error, _: errors.append(error.errno), total, move).run([WHOLE])
    assert errors == [errno.ESTALE]
    assert total.size == 5 * 1000
