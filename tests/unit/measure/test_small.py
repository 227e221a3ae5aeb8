"""A small tree is measured in few steps: the figures are those of the walk, or there are none."""

import os
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.data_root import DataRoot
from exporter.core.links import NO_LINKS
from exporter.core.measured import Measured, Usage
from exporter.measure import small
from exporter.measure.exclusions import NOTHING, Exclusions
from exporter.measure.small import measure_small
from exporter.measure.walk import measure

_KINDS = ("file", "sparse", "link", "fifo", "empty", "hard", "directory")
#: The entries of a directory in the tree, by number.
_INNER = st.lists(st.sampled_from(_KINDS), max_size=3)
_numbers = count()


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flat")


def _make(at: Path, kind: str) -> None:
    match kind:
        case "file":
            at.write_bytes(b"x" * 5000)
        case "sparse":
            with at.open("wb") as file:
                file.truncate(1 << 40)
        case "link":
            at.symlink_to("anywhere")
        case "fifo":
            os.mkfifo(at)
        case "empty":
            at.touch()
        case "hard":
            at.touch()
            at.with_name(f"{at.name}-2").hardlink_to(at)
        case _:
            at.mkdir()


def _as_measured(root: DataRoot, name: str, exclusions: Exclusions) -> Measured | None:
    found = measure_small(root, (name,), exclusions)
    if found is None:
        return None
    identity, (size, blocks, inodes, entries, skipped) = found
    return Measured(Usage(size, 512 * blocks, inodes), identity, NO_LINKS, entries, skipped)


@given(
    kinds=st.lists(st.sampled_from(_KINDS), max_size=6),
    out=st.sets(st.integers(0, 5)),
    inner=_INNER,
    inner_out=st.sets(st.integers(0, 2)),
    mounts=st.booleans(),
)
def test_the_figures_are_those_of_the_walk(  # noqa: PLR0913 - what is in the tree, and what is left out
    top: Path, kinds: list[str], out: set[int], inner: list[str], inner_out: set[int], mounts: bool
) -> None:
    home = top / str(next(_numbers))
    home.mkdir()
    exclusions = Exclusions()
    for number, kind in enumerate(kinds):
        _make(home / f"e{number}", kind)
        if kind == "directory":
            for at, one in enumerate(inner):
                _make(home / f"e{number}" / f"i{at}", one)
                if at in inner_out:
                    exclusions.add((f"e{number}", f"i{at}"), mount=mounts)
        if number in out:
            exclusions.add((f"e{number}",), mount=mounts)
    errors: list[object] = []
    with DataRoot(str(top)) as root:
        found = _as_measured(root, home.name, exclusions)
        walked = measure(root, (home.name,), exclusions, lambda *error: errors.append(error))
    entered = any(kind == "directory" and number not in out for number, kind in enumerate(kinds))
    assert (found is None) == ("hard" in kinds or (entered and "hard" in inner))
    assert found in (None, walked)
    assert not errors


def test_what_is_not_small_is_left_to_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hard").touch()
    (tmp_path / "hard-2").hardlink_to(tmp_path / "hard")
    (tmp_path / "large").mkdir()
    for number in range(3):
        (tmp_path / "large" / str(number)).touch()
    monkeypatch.setattr(small, "MOST_ENTRIES", 3)
    with DataRoot(str(tmp_path)) as root:
        for name in ("hard", "gone", "large"):
            assert measure_small(root, (name,), NOTHING) is None


@pytest.mark.parametrize(("files", "deep", "is_small"), [(60, 1, True), (63, 1, False), (1, 8, True), (1, 9, False)])
def test_with_subdirectories_it_has_few_entries(tmp_path: Path, files: int, deep: int, is_small: bool) -> None:
    bottom = tmp_path.joinpath("tree", *["d"] * deep)
    bottom.mkdir(parents=True)
    for number in range(files):
        (bottom / str(number)).touch()
    with DataRoot(str(tmp_path)) as root:
        found = _as_measured(root, "tree", NOTHING)
        assert (found is not None) == is_small
        assert found in (None, measure(root, ("tree",), NOTHING, lambda *_: None))


def test_of_many_subdirectories_none_is_entered(tmp_path: Path) -> None:
    for number in range(64):
        (tmp_path / "tree" / str(number)).mkdir(parents=True)
    with DataRoot(str(tmp_path)) as root:
        assert measure_small(root, ("tree",), NOTHING) is None


@pytest.mark.parametrize("at", [(), ("store",)])
def test_of_a_store_the_directory_alone_counts(tmp_path: Path, at: tuple[str, ...]) -> None:
    for number in range(600):
        (tmp_path.joinpath("tree", *at, str(number)) / "inside").mkdir(parents=True)
    (tmp_path / "tree/file").write_bytes(b"x" * 5000)
    exclusions = Exclusions()
    exclusions.add(at, store=True)
    with DataRoot(str(tmp_path)) as root:
        found = _as_measured(root, "tree", exclusions)
        assert found is not None
        assert found == measure(root, ("tree",), exclusions, lambda *_: None)
        exclusions.add((*at, "7"), mount=True)
        assert measure_small(root, ("tree",), exclusions) is None, "the walk counts what is mounted there"


@pytest.mark.parametrize("kind", ["file", "sparse", "link", "fifo", "empty"])
def test_a_tree_that_is_one_file_is_measured_as_by_the_walk(tmp_path: Path, kind: str) -> None:
    _make(tmp_path / "one", kind)
    with DataRoot(str(tmp_path)) as root:
        found = _as_measured(root, "one", NOTHING)
        assert found is not None
        assert found == measure(root, ("one",), NOTHING, lambda *_: None)
