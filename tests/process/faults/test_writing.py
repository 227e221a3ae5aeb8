"""Where the exporter writes: only regular files are replaced, a full disk is no end, and nothing is left behind."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.exporter import exporter
from tests.support.mounts import mounted
from tests.support.roots import GraphRoot
from tests.support.waiting import eventually

_KINDS: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "socket": lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK),
    "symbolic link": lambda path: path.symlink_to("there"),
    "directory": Path.mkdir,
}


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", [*_KINDS, "device"])
def test_what_is_no_regular_file_is_an_error_and_stays(built: GraphRoot, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    (tmp_path / "there").write_text("before")
    if kind in _KINDS:
        _KINDS[kind](place)
    else:
        try:
            os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except OSError:
            pytest.skip("no device can be made here")
    before = place.lstat()
    for command in (("once", "--output"), ("run", "--cache.file")):
        done = _run(command[0], "--root", str(built.path), command[1], str(place))
        assert done.returncode in (1, 2)
        assert kind in done.stderr or "is a directory" in done.stderr
        assert "Traceback" not in done.stderr
        assert (place.lstat().st_mode, place.lstat().st_ino) == (before.st_mode, before.st_ino)
    assert (tmp_path / "there").read_text() == "before"
    assert sorted(one.name for one in tmp_path.iterdir() if one != built.path) == ["place", "there"]


def test_once_keeps_the_permissions_of_the_file_that_it_replaces(built: GraphRoot, tmp_path: Path) -> None:
    output = tmp_path / "out.prom"
    output.touch(mode=0o600)
    assert _run("once", "--root", str(built.path), "--output", str(output)).returncode == 0
    assert output.stat().st_mode & 0o777 == 0o600


def test_once_leaves_the_file_as_it_was_where_the_disk_is_full(built: GraphRoot, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        (disk / "out.prom").write_bytes(b"before")
        (disk / "full").write_bytes(b"x" * (65536 - 4096))
        done = _run("once", "--root", str(built.path), "--output", str(disk / "out.prom"))
        assert (done.returncode, "No space left on device" in done.stderr) == (1, True)
        assert (disk / "out.prom").read_bytes() == b"before"
        assert sorted(os.listdir(disk)) == ["full", "out.prom"]


def test_a_cache_on_a_full_disk_is_written_when_there_is_room(built: GraphRoot, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    cache = state / "cache"
    with mounted(state, "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        (state / "full").write_bytes(b"x" * 65536)
        with exporter(built.path, "--cache.file", str(cache)) as running:
            running.log_line("event=cache.off .*No space left on device")
            built.container("another", image="base", writable={"w": 1})
            running.becomes("containers", 2)
            (state / "full").unlink()
            running.log_line("event=cache.on")
            assert cache.stat().st_size
            assert os.listdir(state) == ["cache"]
            assert len([line for line in running.lines if "event=cache" in line]) == 2


def test_what_a_scanning_process_that_was_killed_left_is_removed(built: GraphRoot, tmp_path: Path) -> None:
    """A file with the name that a writer gives it, and no writer."""
    cache = tmp_path / "state/cache"
    with exporter(built.path, "--cache.file", str(cache)) as running:
        eventually(cache.exists)
        running.stop()
    _fail_to_rename(cache)
    assert len(os.listdir(cache.parent)) == 2
    cache.unlink()
    with exporter(built.path, "--cache.file", str(cache)):
        eventually(cache.exists)
        assert os.listdir(cache.parent) == ["cache"]


def _fail_to_rename(file: Path) -> None:
    """Write the file with a process that is killed when it is about to rename it."""
    program = (
        "import os, signal, sys\n"
        "from exporter.core.atomic_write import atomic_write\n"
        "os.replace = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "atomic_write(sys.argv[1], b'half', mode=0o600)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], check=False)
    assert done.returncode == -signal.SIGKILL
