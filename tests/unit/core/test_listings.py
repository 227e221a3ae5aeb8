"""A directory is listed again only where it has changed since, or may have."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.listings import Listings, Names


def _settle(directory: Path, monkeypatch: pytest.MonkeyPatch, seconds: float = 10.0) -> None:
    """Let the time pass."""
    times = directory.stat()
    later = max(times.st_mtime_ns, times.st_ctime_ns) + int(seconds * 1e9)
    monkeypatch.setattr("exporter.core.listings.time.time_ns", lambda: later)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often something was listed."""
    count = 0
    real = os.listdir

    def listdir(descriptor: int) -> list[str]:
        nonlocal count
        count += 1
        return real(descriptor)

    monkeypatch.setattr("exporter.core.listings.os.listdir", listdir)
    return lambda: count


def _names(path: Path, listings: Listings) -> list[str]:
    with DataRoot(str(path)) as root:
        root.listings = listings
        return root.names(("store",))


def test_a_directory_without_a_change_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Callable[[], int]
) -> None:
    store, listings = tmp_path / "store", Listings()
    for name in ("b", "a"):
        (store / name).mkdir(parents=True)
    _settle(store, monkeypatch)
    first = _names(tmp_path, listings)
    assert first == ["a", "b"]
    assert _names(tmp_path, listings) is first
    assert listed() == 1
    (store / "c").mkdir()
    (store / "a").rmdir()
    assert _names(tmp_path, listings) == ["b", "c"]
    listings.clear()
    _names(tmp_path, listings)
    assert listed() == 3


def test_one_that_has_changed_just_now_is_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Callable[[], int]
) -> None:
    """The next change may leave its times as they are."""
    store, listings = tmp_path / "store", Listings()
    (store / "a").mkdir(parents=True)
    _settle(store, monkeypatch, 1.0)
    first = _names(tmp_path, listings)
    assert _names(tmp_path, listings) is first, "the same names"
    assert listed() == 2


def test_another_directory_is_listed_and_one_that_nobody_asks_for_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: Callable[[], int]
) -> None:
    store, listings = tmp_path / "store", Listings()
    (store / "a").mkdir(parents=True)
    _settle(store, monkeypatch)
    assert _names(tmp_path, listings) == ["a"]
    store.rename(tmp_path / "old")
    store.mkdir()
    assert _names(tmp_path, listings) == []
    assert listed() == 2
    listings.end()
    listings.end()
    _names(tmp_path, listings)
    assert listed() == 3


def test_whether_a_directory_has_an_entry(tmp_path: Path) -> None:
    (tmp_path / "store" / "a").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    with DataRoot(str(tmp_path)) as root:
        assert root.is_filled(("store",))
        assert root.names(("store",)) == ["a"], "it is listed whole after that"
        assert root.is_filled(("store",))
        assert not any(map(root.is_filled, (("empty",), ("missing",), ("store", "a", "x"))))


class _Followed:
    """A directory whose changes are told."""

    def __init__(self, path: Path) -> None:
        self.store, self.listings = path / "store", Listings()
        for name in ("a", "b", "c"):
            (self.store / name).mkdir(parents=True)
        self._path = path

    def names(self, *told: str) -> list[str]:
        self.listings.follow({("store",): {*told}} if told else {})
        return _names(self._path, self.listings)


def test_of_a_directory_whose_changes_are_told_only_these_are_looked_at(
    tmp_path: Path, listed: Callable[[], int]
) -> None:
    followed = _Followed(tmp_path)
    before = followed.names()
    (followed.store / "new").mkdir()
    (followed.store / "b").rmdir()
    found = followed.names("new", "b", "a", "never")
    assert found == ["a", "c", "new"]
    assert isinstance(found, Names)
    assert found.since(before) == {"new", "b"}
    assert followed.names("new") is found
    assert listed() == 1
    assert followed.names() is found
    assert listed() == 2
    assert not followed.listings.take_corrected()


def test_one_with_more_or_fewer_directories_than_were_told_is_listed(tmp_path: Path, listed: Callable[[], int]) -> None:
    followed = _Followed(tmp_path)
    followed.names()
    for name in ("told", "untold"):
        (followed.store / name).mkdir()
    assert followed.names("told") == ["a", "b", "c", "told", "untold"]
    (followed.store / "a").rmdir()
    (followed.store / "b").rmdir()
    assert followed.names("a") == ["c", "told", "untold"]
    (followed.store / "file").touch()
    assert followed.names("c") == ["c", "file", "told", "untold"], "nothing that was told has come or gone"
    assert listed() == 4


def test_what_was_not_told_is_found_when_it_is_listed(tmp_path: Path, listed: Callable[[], int]) -> None:
    followed = _Followed(tmp_path)
    followed.names()
    for name in ("file", "untold"):
        (followed.store / name).touch()
    assert followed.names("file") == ["a", "b", "c", "file"]
    assert followed.listings.followed == [("store",)]
    assert followed.names() == ["a", "b", "c", "file", "untold"]
    assert followed.listings.take_corrected() == {("store",)}
    assert not followed.listings.take_corrected()
    assert listed() == 2


def test_another_directory_in_its_place_is_listed(tmp_path: Path) -> None:
    followed = _Followed(tmp_path)
    followed.names()
    followed.store.rename(tmp_path / "old")
    for name in ("new", "other"):
        (followed.store / name).mkdir(parents=True)
    assert followed.names("new", "a", "b") == ["new", "other"]
