"""What is nested deeply costs as many steps as it has directories, however the work is shared out."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.data_root import DataRoot
from exporter.core.framing import FrameReader
from exporter.core.measured import Changes, Reason, Tree
from exporter.core.model import Collector
from exporter.inventory.files.problems import Problems
from exporter.inventory.files.reader import Reader
from exporter.inventory.temporary import read_temporary
from exporter.measure import path as paths
from exporter.measure import walk as walking
from exporter.measure.cursor import Cursor
from exporter.measure.difference import difference
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.path import LEFT_OUT
from exporter.measure.path import Path as Names
from exporter.measure.pool.protocol import Errors, MeasureTree, SharedWork, decode_orders, encode_answers, encode_orders
from exporter.measure.pool.task import PROBLEMS_KEPT, Task
from exporter.measure.start import WHOLE, Start
from exporter.measure.total import Total
from exporter.measure.walk import Walk
from tests.support.deep import count_opens, nest

_DEPTH = 300


def _walk(top: Path, starts: list[Start], give: Callable[[Walk], list[Start]]) -> tuple[Total, list[Start], list[Tree]]:
    """Walk these parts and call `give` at every turn; return what was counted, what was given, and the errors."""
    total, given, errors = Total(), [], []
    with DataRoot(str(top)) as root:
        walk = Walk(root, (), NOTHING, lambda _, at: errors.append(at), total, lambda: given.extend(give(walk)))
        walk.run(starts)
    return total, given, errors


@pytest.mark.parametrize("beside", [(), ("a", "b")])
def test_whoever_shares_in_a_deep_tree_opens_each_directory_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: tuple[str, ...]
) -> None:
    os.close(nest(tmp_path, _DEPTH, beside))
    opened = count_opens(monkeypatch)
    whole, waiting, parts = Total(), [WHOLE], 0
    while waiting:
        total, given, errors = _walk(tmp_path, [waiting.pop()], Walk.give)
        assert not errors
        waiting += given
        parts += len(given)
        whole.join(total)
    directories = _DEPTH * (1 + len(beside)) + 1
    assert whole.inodes == directories
    assert len(opened) < 2 * directories + 70 * parts
    assert parts <= 70 * (1 + len(beside))


def test_the_only_directory_that_is_left_is_not_given_away(tmp_path: Path) -> None:
    os.close(nest(tmp_path, 40))
    assert _walk(tmp_path, [WHOLE], Walk.give)[1] == []


def test_files_far_down_are_not_given_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_CHUNK", 8)
    bottom = nest(tmp_path, _DEPTH)
    for number in range(100):
        os.mknod(f"f{number}", dir_fd=bottom)
    os.close(bottom)
    total, given, _ = _walk(tmp_path, [WHOLE], Walk.give)
    assert not given
    assert total.inodes == _DEPTH + 1 + 100


def test_many_directories_far_down_are_given_away_at_once_as_long_as_they_are_more_than_the_path_has(
    tmp_path: Path,
) -> None:
    bottom = nest(tmp_path, _DEPTH)
    for number in range(5 * _DEPTH):
        os.mkdir(f"s{number}", dir_fd=bottom)
    os.close(bottom)
    total, given, _ = _walk(tmp_path, [WHOLE], Walk.give)
    assert [len(level.names) for one in given for level in one.levels] == [5 * _DEPTH // 2, 5 * _DEPTH // 4]
    for start in given:
        part, more, errors = _walk(tmp_path, [start], lambda _: [])
        assert not more
        assert not errors
        total.join(part)
    assert total.inodes == 6 * _DEPTH + 1


def test_the_rest_of_a_walk_names_its_path_once_and_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(nest(tmp_path, _DEPTH, ("a", "b"), name="x" * 100))
    turns: list[int] = []

    def all_at_last(walk: Walk) -> list[Start]:
        turns.append(1)
        return walk.give_all() if len(turns) == 3 * _DEPTH - 100 else []

    total, given, _ = _walk(tmp_path, [WHOLE], all_at_last)
    assert len(given) == 1
    assert len(encode_answers([SharedWork([], 1, given, paced=True)])) < _DEPTH * 150
    opened = count_opens(monkeypatch)
    rest, _, errors = _walk(tmp_path, given, lambda _: [])
    assert not errors
    assert total.inodes + rest.inodes == 3 * _DEPTH + 1
    assert len(opened) < 4 * _DEPTH


def test_a_share_has_no_more_names_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_CHUNK", 50)
    monkeypatch.setattr(walking, "_GIVEN_CHARACTERS", 1000)
    for number in range(200):
        (tmp_path / f"{number:0100}").mkdir()
        (tmp_path / f"{number:0100}f").touch()
    whole, waiting = Total(), [WHOLE]
    while waiting:
        total, given, _ = _walk(tmp_path, [waiting.pop()], Walk.give)
        assert all(len(one.files) + sum(len(level.names) for level in one.levels) <= 10 for one in given)
        waiting += given
        whole.join(total)
    assert whole.inodes == 401


@pytest.mark.parametrize("listings", [0, 1, 16])
def test_a_directory_of_many_directories_is_listed_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listings: int
) -> None:
    """Below each other, with files between, and excluded ones; shared out or not."""
    monkeypatch.setattr(walking, "_CHUNK", 5)
    monkeypatch.setattr(walking, "_MOST_NAMES", 10)
    monkeypatch.setattr(walking, "_MOST_LISTINGS", listings)
    at = tmp_path
    for _ in range(4):
        for number in range(40):
            (at / f"d{number}/inner").mkdir(parents=True)
            (at / f"f{number}").touch()
        at /= "d7"
    most: list[int] = []
    before = len(os.listdir("/proc/self/fd"))

    def look(walk: Walk) -> list[Start]:
        most.append(sum(len(level.names) for level in walk._levels))
        return walk.give() if len(most) % 7 == 0 else walk.give_all() if len(most) % 11 == 0 else []

    whole, waiting = Total(), [WHOLE]
    while waiting:
        total, given, errors = _walk(tmp_path, [waiting.pop()], look)
        assert not errors
        waiting += given
        whole.join(total)
    assert whole.inodes == 1 + 4 * 40 * 3
    assert len(os.listdir("/proc/self/fd")) == before
    if listings == 16:
        assert max(most) <= 4 * (10 + 5)


def test_an_error_far_down_has_a_path_that_can_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Cursor):
        def enter(self, name: str) -> os.stat_result:
            if name.startswith("shut"):
                raise PermissionError(errno.EACCES, "")
            return super().enter(name)

    monkeypatch.setattr(walking, "Cursor", Refusing)
    bottom = nest(tmp_path, _DEPTH)
    for number in range(50):
        os.mkdir(f"shut{number}", dir_fd=bottom)
    os.close(bottom)
    opened = count_opens(monkeypatch)
    total, _, errors = _walk(tmp_path, [WHOLE], lambda _: [])
    assert len(opened) <= _DEPTH + 1, "each is counted from where the walk stands"
    assert total.inodes == _DEPTH + 1 + 50
    assert {one[-1] for one in errors} == {f"shut{number}" for number in range(50)}
    assert {(len(one), one.count(LEFT_OUT)) for one in errors} == {(34, 1)}


def test_of_a_task_in_many_parts_so_many_problems_are_kept_as_of_one() -> None:
    task = Task(("a",))
    for _ in range(5):
        task.note(Errors({}, [(Reason.IO, ("a", "f"), "")] * 60))
    assert task.trouble is not None
    assert len(task.trouble.kept) == PROBLEMS_KEPT


def test_a_tree_whose_directories_are_moved_away_again_and_again_is_given_up_as_an_error(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    os.close(nest(tmp_path / "tree", _DEPTH, ("a",)))
    errors: list[int | None] = []

    class Moving(Cursor):
        def leave(self) -> None:
            raise OSError(errno.ESTALE, "moved")

    with pytest.MonkeyPatch.context() as patch, DataRoot(str(tmp_path)) as root:
        patch.setattr(walking, "Cursor", Moving)
        opened = count_opens(patch)
        Walk(root, ("tree",), NOTHING, lambda error, _: errors.append(error.errno), Total()).run([WHOLE])
    assert errors[-1] == errno.EBUSY
    assert 1 < errors.count(errno.ESTALE) < 20
    assert len(opened) < 20 * _DEPTH


def test_what_lies_deep_is_left_out_and_sent_without_recursion() -> None:
    exclusions = Exclusions()
    tree = ("d",) * 5000
    exclusions.add(tree, mount=True)
    exclusions.add(("d", "store"), store=True)
    (order,) = decode_orders(
        FrameReader().feed(encode_orders([MeasureTree(1, 1.0, ("a",), None, exclusions.listed(), 0)]))
    )
    assert isinstance(order, MeasureTree)
    there = Exclusions.of(order.exclusions)
    assert there.at(tree).mount
    assert there.at(tree).leaf
    assert there.at(("d", "store")).store


def test_a_comparison_opens_each_directory_once_on_each_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for side in ("new", "old"):
        (tmp_path / side).mkdir()
        bottom = nest(tmp_path / side, _DEPTH, ("a", "b"))
        content = os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=bottom)
        os.write(content, side.encode() * len(side))
        os.close(content)
        os.utime("f", (5, 5 + (side == "new")), dir_fd=bottom)
        os.close(bottom)
    opened = count_opens(monkeypatch)
    with DataRoot(str(tmp_path)) as root:
        compared = difference(root, Changes(("new",), (("old",),)), lambda error, at: pytest.fail(f"{error} {at}"))
    assert compared == (9, 3 * _DEPTH + 1)
    assert len(opened) < 2 * (4 * _DEPTH)


def test_old_temporary_files_far_down_are_found_step_by_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    bottom = nest(tmp_path / "tmp", _DEPTH, ("a",))
    os.mknod("f", dir_fd=bottom)
    os.close(bottom)
    opened = count_opens(monkeypatch)
    with DataRoot(str(tmp_path)) as root:
        (found,) = read_temporary(Reader(root, Collector.DIRECTORIES, Problems()), 2**40)
    assert found.files == 1
    assert len(opened) < 4 * _DEPTH


_MOVES = st.lists(st.one_of(st.text(min_size=1, max_size=3), st.just("\udcff\udc80"), st.none()), max_size=60)


@given(_MOVES, st.integers(4, 7))
def test_a_path_is_the_names_that_were_gone_down_and_not_up_again(moves: list[str | None], top: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "_TOP", top)
        patch.setattr(paths, "_SHOWN", 2)
        path, names = Names(), []
        for name in moves:
            if name is not None:
                path.push(name)
                names.append(name)
            elif names:
                path.pop()
                names.pop()
        assert len(path) == len(names)
        assert all(path.names(depth) == tuple(names[:depth]) for depth in range(len(names) + 1))
        shown = names if len(names) <= 4 else [*names[:2], LEFT_OUT, *names[-2:]]
        assert path.shown("more") == (*shown, "more")
