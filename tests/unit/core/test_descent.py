"""Opening directories below one that is open: what is kept open, and what is opened anew."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.descent import Descent
from tests.support.deep import count_opens

_PATHS = st.lists(st.sampled_from("abc"), max_size=12).map(tuple)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `a/b/c/a/b/c/...`, and with `b` and `c` that are no directories."""
    top = tmp_path_factory.mktemp("deep")
    at = top
    for _ in range(4):
        for name in "abc":
            at = at / name
            at.mkdir()
            (at / "x").symlink_to(top)
    return top


@pytest.fixture
def descent(deep: Path) -> Iterator[Descent]:
    before = len(os.listdir("/proc/self/fd"))
    top = os.open(deep, os.O_RDONLY)
    one = Descent(top)
    yield one
    one.close()
    os.close(top)
    assert len(os.listdir("/proc/self/fd")) == before


def test_directories_of_one_directory_are_opened_relative_to_it(
    descent: Descent, deep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    descent.to(("a", "b"))
    opened = count_opens(monkeypatch)
    os.close(descent.open(("a", "b", "c")))
    os.close(descent.open(("a", "b", "c")))
    descent.to(("a",))
    descent.to(("a", "b"))
    assert opened == ["c", "c", "b"]


def test_a_deep_path_keeps_a_bounded_number_open(descent: Descent) -> None:
    before = len(os.listdir("/proc/self/fd"))
    descent.to(("a", "b", "c") * 4)
    assert len(os.listdir("/proc/self/fd")) <= before + 9


@pytest.mark.parametrize("name", ["", ".", "..", "x", "a/b", "a\0b", "gone"])
def test_what_is_no_directory_of_that_name_is_an_error_and_the_way_to_it_stays(
    descent: Descent, deep: Path, name: str
) -> None:
    with pytest.raises(OSError, match=r".+"):
        descent.open(("a", name))
    with pytest.raises(OSError, match=r".+"):
        descent.to(("a", name, "b"))
    assert os.path.samestat(os.fstat(descent.to(("a",))), (deep / "a").stat())


@given(asked=st.lists(_PATHS, max_size=8))
def test_each_path_leads_to_its_directory_whatever_was_asked_before(deep: Path, asked: list[tuple[str, ...]]) -> None:
    top = os.open(deep, os.O_RDONLY)
    descent = Descent(top)
    try:
        for names in asked:
            path = deep.joinpath(*names)
            if path.is_dir():
                assert os.path.samestat(os.fstat(descent.to(names)), path.stat())
            else:
                with pytest.raises(FileNotFoundError):
                    descent.to(names)
    finally:
        descent.close()
        os.close(top)
