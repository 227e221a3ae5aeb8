import contextlib
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.core.atomic_write import atomic_write, require_replaceable


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"before")
    return file


def test_the_file_is_replaced_with_its_mode_whatever_the_umask_is(file: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic_write(str(file), b"after", mode=0o644)
    finally:
        os.umask(before)
    assert file.read_bytes() == b"after"
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_who_has_the_old_file_open_reads_all_of_it(file: Path) -> None:
    with file.open("rb") as opened:
        atomic_write(str(file), b"after", mode=0o600)
        assert opened.read() == b"before"


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_file_and_nothing_else(
    file: Path, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="no space"):
        atomic_write(str(file), b"after", mode=0o600)
    assert file.read_bytes() == b"before"
    assert list(file.parent.iterdir()) == [file]


def _device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("making a device needs root")
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError as error:
        pytest.skip(f"no device can be made here: {error}")


_OTHERS: dict[str, Callable[[Path], object]] = {
    "a directory": Path.mkdir,
    "a FIFO": os.mkfifo,
    "a socket": lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK),
    "a device": _device,
    "a symbolic link": lambda path: path.symlink_to("file"),
    "a symbolic link to nothing": lambda path: path.symlink_to("nothing"),
    "a symbolic link in a ring": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", _OTHERS)
def test_only_a_regular_file_is_replaced(file: Path, kind: str) -> None:
    other = file.parent / "other"
    _OTHERS[kind](other)
    before = other.lstat()
    said = kind.removesuffix(" to nothing").removesuffix(" in a ring")
    with pytest.raises(OSError, match=f"{said} stands there"):
        require_replaceable(str(other))
    with pytest.raises(OSError, match=f"{said} stands there"):
        atomic_write(str(other), b"after", mode=0o600)
    after = other.lstat()
    assert (after.st_mode, after.st_ino, after.st_rdev) == (before.st_mode, before.st_ino, before.st_rdev)
    assert sorted(one.name for one in file.parent.iterdir()) == ["file", "other"]
    assert file.read_bytes() == b"before"


def test_what_takes_the_place_of_the_file_while_it_is_written_stays(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = os.fsync

    def swap(descriptor: int) -> None:
        file.unlink()
        os.mkfifo(file)
        monkeypatch.setattr(os, "fsync", sync)

    monkeypatch.setattr(os, "fsync", swap)
    with pytest.raises(OSError, match="a FIFO stands there"):
        atomic_write(str(file), b"after", mode=0o600)
    assert file.is_fifo()
    assert list(file.parent.iterdir()) == [file]


def test_a_directory_that_is_moved_meanwhile_is_written_to_and_no_other(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    directory.mkdir()
    elsewhere.mkdir()
    sync = os.fsync

    def swap(descriptor: int) -> None:
        directory.rename(tmp_path / "moved")
        directory.symlink_to(elsewhere)
        monkeypatch.setattr(os, "fsync", sync)

    monkeypatch.setattr(os, "fsync", swap)
    atomic_write(str(directory / "file"), b"after", mode=0o600)
    assert list(elsewhere.iterdir()) == []
    assert (tmp_path / "moved/file").read_bytes() == b"after"


def test_nothing_is_written_where_that_is_forbidden_also_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "link").symlink_to("root")
    for directory in ("root", "link"):
        with pytest.raises(PermissionError, match="data root"):
            atomic_write(
                str(tmp_path / directory / "file"), b"x", mode=0o600, forbidden=lambda path: path.endswith("/root")
            )
    assert list((tmp_path / "root").iterdir()) == []


def test_permissions_are_kept_where_that_is_asked_for(file: Path) -> None:
    file.chmod(0o640)
    atomic_write(str(file), b"after", mode=0o644, keep=True)
    assert file.stat().st_mode & 0o7777 == 0o640
    file.chmod(0o4755)
    atomic_write(str(file), b"after", mode=0o644, keep=True)
    assert file.stat().st_mode & 0o7777 == 0o755
    atomic_write(str(file), b"after", mode=0o644)
    assert file.stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize(
    ("directory", "expected"), [(1234, (1234, 4321, 0o660)), (0, (os.geteuid(), os.getegid(), 0o644))]
)
def test_the_owner_is_kept_who_could_have_the_file_anyway(
    file: Path, directory: int, expected: tuple[int, int, int]
) -> None:
    """In a directory that all may write to, anybody can make a file before the exporter does."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    os.chown(file.parent, directory, 0)
    os.chown(file, 1234, 4321)
    file.chmod(0o660)
    atomic_write(str(file), b"after", mode=0o644, keep=True)
    status = file.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == expected


def test_a_group_that_cannot_be_kept_gets_no_more_than_all_have(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refuse)
    for before, after in ((0o660, 0o600), (0o664, 0o644), (0o646, 0o646)):
        file.chmod(before)
        atomic_write(str(file), b"after", mode=0o600, keep=True)
        assert file.stat().st_mode & 0o777 == after


def test_other_names_of_the_file_keep_the_old_content(file: Path) -> None:
    other = file.parent / "other"
    other.hardlink_to(file)
    atomic_write(str(file), b"after", mode=0o600)
    assert (file.read_bytes(), other.read_bytes()) == (b"after", b"before")


def test_what_a_killed_writer_left_is_removed_and_what_one_writes_is_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", end)  # as if it were killed
        patch.setattr(os, "replace", end)
        with pytest.raises(KeyboardInterrupt):
            atomic_write(str(file), b"half", mode=0o600)
    (left,) = (one for one in file.parent.iterdir() if one != file)
    with left.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        atomic_write(str(file.parent / "another"), b"", mode=0o600)
        atomic_write(str(file), b"after", mode=0o600)
        assert left.exists()
    left.with_name(left.name + "x").touch()
    atomic_write(str(file), b"after", mode=0o600)
    assert sorted(one.name for one in file.parent.iterdir()) == sorted(["another", "file", left.name + "x"])


def test_the_directory_is_synced_after_the_file_was_renamed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{descriptor}"), file.read_bytes()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    atomic_write(str(file), b"after", mode=0o600)
    (_, before), (directory, after) = synced
    assert (before, directory, after) == (b"before", str(file.parent), b"after")


@pytest.mark.parametrize(("number", "good"), [(22, True), (95, True), (5, False)])
def test_a_directory_that_cannot_be_synced_is_an_error_where_the_disk_is_broken(
    file: Path, number: int, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with contextlib.nullcontext() if good else pytest.raises(OSError, match="Input/output"):
        atomic_write(str(file), b"after", mode=0o600)
    assert file.read_bytes() == b"after"


def test_what_is_not_there_may_be_made(tmp_path: Path) -> None:
    require_replaceable(str(tmp_path / "none"))
    require_replaceable(str(tmp_path / "none/none"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        require_replaceable(str(tmp_path / "file/none"))
