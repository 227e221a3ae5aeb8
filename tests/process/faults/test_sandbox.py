"""What the kernel keeps the processes of `run` from, and what is said of it; and attempts to break out."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.core.landlock import version
from tests.support.exporter import Exporter, exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.product import descendants, is_launcher, needs, scanning, workers
from tests.support.roots import GraphRoot, change, graph_root
from tests.support.waiting import DEADLINE, eventually

_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
_landlock = pytest.mark.skipif(version() < 4, reason="this kernel has no landlock, or an old one")
_READ_SEARCH = 1 << 2
_OTHER_USER = ("setpriv", "--reuid", "61235", "--regid", "61235", "--clear-groups")

# Every attempt in a process that has confined itself as the scanning process does. Each prints what came of it.
_ATTEMPTS = """
import fcntl, json, os, signal, socket, subprocess, sys
from exporter.config.settings import Config, ScanSettings
from exporter.core.privileges import READ_SEARCH, keep_only, no_new_privileges
from exporter.service.confinement import confine_scanning

root, state, outside = sys.argv[1:]
confine_scanning(Config(root=root, scan=ScanSettings(cache_file=f"{state}/cache")))
below = f"{root}/graph"

def become_root_of_all():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))
    sets = (ctypes.c_uint32 * 6)(0xFFFFFFFF, 0xFFFFFFFF, 0, 0, 0, 0)
    if libc.capset(ctypes.byref(Header(0x20080522, 0)), sets):
        raise OSError(ctypes.get_errno(), "capset")

def connect(kind, address):
    with socket.socket(kind, socket.SOCK_STREAM) as one:
        one.settimeout(5)
        one.connect(address)

def bind():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))

attempts = {
    "write": lambda: open(f"{root}/file", "a"),
    "create": lambda: open(f"{root}/new", "x"),
    "truncate": lambda: os.truncate(f"{root}/file", 0),
    "mkdir": lambda: os.mkdir(f"{root}/made"),
    "unlink": lambda: os.unlink(f"{root}/file"),
    "rmdir": lambda: os.rmdir(f"{root}/empty"),
    "rename": lambda: os.rename(f"{root}/file", f"{root}/other"),
    "link": lambda: os.link(f"{root}/file", f"{root}/linked"),
    "symlink": lambda: os.symlink("x", f"{root}/symlink"),
    "fifo": lambda: os.mkfifo(f"{root}/fifo"),
    "socket": lambda: socket.socket(socket.AF_UNIX).bind(f"{root}/socket"),
    "move out": lambda: os.rename(f"{root}/file", f"{state}/file"),
    "move in": lambda: os.rename(f"{state}/mine", f"{root}/mine"),
    "by descriptor": lambda: os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=os.open(root, os.O_RDONLY)),
    "by proc": lambda: open(f"/proc/self/fd/{os.open(f'{root}/file', os.O_RDONLY)}", "a"),
    "write outside": lambda: open(f"{outside}/new", "x"),
    "chmod": lambda: os.chmod(f"{root}/file", 0o777),
    "fchmod": lambda: os.fchmod(os.open(f"{root}/file", os.O_RDONLY), 0o777),
    "chown": lambda: os.chown(f"{root}/file", os.geteuid(), os.getegid()),
    "lchown": lambda: os.lchown(f"{root}/link", os.geteuid(), os.getegid()),
    "utime": lambda: os.utime(f"{root}/file"),
    "setxattr": lambda: os.setxattr(f"{root}/file", "user.x", b"x"),
    "removexattr": lambda: os.removexattr(f"{root}/file", "user.x"),
    "chattr": lambda: fcntl.ioctl(os.open(f"{root}/file", os.O_RDONLY), 0x40086602, bytes(8)),
    "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "read outside": lambda: open(f"{outside}/secret"),
    "list outside": lambda: os.listdir(outside),
    "read through a link": lambda: open(f"{root}/link"),
    "read by proc": lambda: open(f"/proc/self/root{outside}/secret"),
    "write to proc": lambda: open("/proc/self/oom_score_adj", "w"),
    "connect": lambda: connect(socket.AF_INET, ("127.0.0.1", 1)),
    "bind": bind,
    "signal": lambda: os.kill(os.getppid(), 0),
    "capabilities": become_root_of_all,
    "another program": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
    "read": lambda: open(f"{root}/file").read(),
    "keep": lambda: open(f"{state}/cache", "w").write("x"),
    "replace": lambda: os.replace(f"{state}/mine", f"{state}/yours"),
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError as error:
        found[name] = error.errno
    else:
        found[name] = 0
print(json.dumps(found))
"""
_ALLOWED = {"read", "keep", "replace"}
#: Old landlock versions know neither; new ones do.
_NEEDS_VERSION = {"signal": 6}


def _status(process: int) -> dict[str, str]:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return dict(re.split(r":\s*", line, maxsplit=1) for line in lines)


def _sets(process: int) -> dict[str, int]:
    status = _status(process)
    return {name: int(status[f"Cap{name}"], 16) for name in ("Eff", "Prm", "Inh", "Amb", "Bnd")}


def _launchers(process: int) -> list[int]:
    return [one for one in descendants(process) if is_launcher(one)]


def _info(running: Exporter) -> dict[str, Mapping[str, str]]:
    return {has["process"]: has for has, _ in running.figures().all("sandbox_info")}


@_root
def test_started_as_root_it_gives_up_what_it_does_not_need(tmp_path: Path) -> None:
    built = graph_root(tmp_path / "root").image("app", size=7, files={"a": 1})
    with exporter(built.path, "--cache.file", str(tmp_path / "state/cache")) as running:
        serving = running.process.pid
        eventually(lambda: workers(serving))
        assert _sets(serving) == {"Eff": 0, "Prm": 0, "Inh": 0, "Amb": 0, "Bnd": 0}
        assert _status(serving)["NoNewPrivs"] == "1"
        others = [*scanning(serving), *workers(serving), *eventually(lambda: _launchers(serving))]
        for one in others:
            only = {"Eff": _READ_SEARCH, "Prm": _READ_SEARCH, "Inh": 0, "Amb": 0, "Bnd": _READ_SEARCH}
            assert _sets(one) == only, Path(f"/proc/{one}/cmdline").read_bytes()
            assert _status(one)["NoNewPrivs"] == "1"
        becomes_as_fresh(running, built.path)
        info = _info(running)
        assert info["serving"]["capabilities"] == "none"
        assert info["scanning"]["capabilities"] == "dac_read_search"
        assert {has["no_new_privs"] for has in info.values()} == {"1"}
        assert {has["landlock"] for has in info.values()} == {str(version() or "none")}


@_root
def test_a_scanning_process_that_is_started_again_has_the_same_rights(built: GraphRoot) -> None:
    """The files are those of another user, and closed to all others."""
    for directory, _, files in os.walk(built.path):
        for name in (directory, *(os.path.join(directory, file) for file in files)):
            os.chown(name, 61234, 61234, follow_symlinks=False)
            if not os.path.islink(name):
                os.chmod(name, 0o700)
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        for number in range(3):
            (before,) = scanning(running.process.pid)
            os.kill(before, signal.SIGKILL)
            change(built, f"more{number}")
            becomes_as_fresh(running, built.path)
            (now,) = scanning(running.process.pid)
            assert now != before
            assert _sets(now)["Eff"] == _READ_SEARCH
            assert _status(now)["NoNewPrivs"] == "1"


@_root
def test_a_launcher_that_dies_is_replaced(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        serving = running.process.pid
        for number in range(4):
            launchers = eventually(lambda: found if len(found := _launchers(serving)) == 2 else None)
            os.kill(launchers[number % 2], (signal.SIGKILL, signal.SIGSTOP)[number // 2])
            os.kill(scanning(serving)[0], signal.SIGKILL)
            change(built, f"more{number}")
            becomes_as_fresh(running, built.path)
            assert _sets(scanning(serving)[0])["Eff"] == _READ_SEARCH
        assert running.get("/-/healthy")[0] == 200


@_root
def test_without_launchers_it_goes_on_and_says_so(built: GraphRoot) -> None:
    with exporter(built.path) as running:
        serving = running.process.pid
        eventually(lambda: len(_launchers(serving)) == 2)
        os.kill(serving, signal.SIGSTOP)  # else it has one that is left start another one meanwhile
        for one in descendants(serving):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        os.kill(serving, signal.SIGCONT)
        running.log_line("event=launcher.lost why=.*restart the exporter")
        change(built)
        becomes_as_fresh(running, built.path)
        assert _sets(scanning(serving)[0])["Eff"] == 0
        status, _, body = running.get("/-/healthy")
        assert status == 503
        assert b"restart the exporter" in body
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(DEADLINE) == 1


@_root
def test_switched_off_it_gives_up_nothing(built: GraphRoot) -> None:
    with exporter(built.path, "--sandbox", "off") as running:
        becomes_as_fresh(running, built.path)
        serving = running.process.pid
        assert _launchers(serving) == []
        for one in (serving, *scanning(serving)):
            assert _sets(one)["Eff"] == _sets(os.getpid())["Eff"]
        info = _info(running)
        assert {(has["no_new_privs"], has["landlock"]) for has in info.values()} == {("0", "none")}


@_root
@needs("setpriv")
def test_another_user_needs_no_launcher_and_one_with_the_capability_does(built: GraphRoot) -> None:
    own = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    built.path.parent.chmod(0o700)  # so the serving process does not reach the data root, not even for statvfs
    with exporter(built.path, under=(*_OTHER_USER, *own)) as running:
        becomes_as_fresh(running, built.path)
        serving = running.process.pid
        assert _sets(serving)["Eff"] == _sets(serving)["Prm"] == _sets(serving)["Amb"] == 0
        os.kill(scanning(serving)[0], signal.SIGKILL)
        change(built)
        becomes_as_fresh(running, built.path)
        running.becomes("filesystem_size_bytes", 1)
        assert _sets(scanning(serving)[0])["Eff"] == _READ_SEARCH


@_landlock
def test_nothing_breaks_out(tmp_path: Path) -> None:
    root, state, outside = (tmp_path / name for name in ("root", "state", "outside"))
    for one in (root, root / "graph", root / "empty", state, outside):
        one.mkdir()
    (root / "file").write_text("data")
    (root / "link").symlink_to(outside / "secret")
    (outside / "secret").write_text("secret")
    (state / "mine").write_text("mine")
    command = [sys.executable, "-c", _ATTEMPTS, str(root), str(state), str(outside)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = {name for name in found if version() >= _NEEDS_VERSION.get(name, 0)} - _ALLOWED
    assert {name for name in expected if found[name] not in (1, 13, 18)} == set(), found
    assert {name: found[name] for name in _ALLOWED} == dict.fromkeys(_ALLOWED, 0)
    assert sorted(os.listdir(root)) == ["empty", "file", "graph", "link"]
    assert (root / "file").read_text() == "data"
    assert os.listdir(outside) == ["secret"]


@_landlock
def test_a_cache_beside_the_data_root_opens_no_way_into_it(tmp_path: Path) -> None:
    """Its directory holds the data root as well: only the file itself may be written."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for one in (root, root / "graph", root / "empty", outside):
        one.mkdir()
    (root / "file").write_text("data")
    command = [sys.executable, "-c", _ATTEMPTS, str(root), str(tmp_path), str(outside)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["keep"] == 0
    assert all(found[name] for name in ("write", "create", "unlink", "rename", "move out", "write outside")), found


@_landlock
def test_a_cache_beside_the_data_root_is_kept(tmp_path: Path) -> None:
    built = graph_root(tmp_path / "docker").image("app", size=7, files={"a": 1})
    cache = tmp_path / "cache"
    flags = ("--cache.file", str(cache))
    with exporter(built.path, *flags, program=("-c", _SAVES_AT_ITS_END)) as running:
        becomes_as_fresh(running, built.path)
        assert cache.read_bytes() == b""
        running.stop()
    first = cache.read_bytes()
    assert first.startswith(b'{"version"')
    built.image("more", size=8, files={"b": 2})
    with exporter(built.path, *flags, program=("-c", _SAVES_AT_ITS_END)) as running:
        becomes_as_fresh(running, built.path)
        running.stop()
    assert len(cache.read_bytes()) > len(first)


#: It saves the cache at its end alone, for which it may take as long as it likes.
_SAVES_AT_ITS_END = """
import exporter.service.scan_loop as loop
import exporter.service.scan_supervisor as supervisor
from exporter.__main__ import main
loop._SAVE_SECONDS = 3600
supervisor._END_SECONDS = 240
main()
"""


@_landlock
def test_a_data_root_that_comes_later_or_is_replaced_is_read(tmp_path: Path) -> None:
    """It is another directory, which the scanning process may not read: another one is started at once."""
    path = tmp_path / "docker"
    with exporter(path) as running:
        assert running.figures()("up") == 0
        for number in range(3):
            built = graph_root(path).image(f"app{number}", size=7 + number, tag="app:1")
            running.wait_for("image_virtual_size_bytes", 7 + number)
            assert becomes_as_fresh(running, built.path)("up") == 1
            path.rename(tmp_path / f"away{number}")
        running.stop()
        assert not any("scanner.died" in line for line in running.lines)


@needs("strace")
@_root
def test_it_works_under_strace_and_opens_nothing_below_the_root_for_writing(built: GraphRoot, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    under = ("strace", "-f", "-qq", "-e", "trace=%file,capset", "-o", str(trace))
    with exporter(built.path, under=under) as running:
        change(built)
        becomes_as_fresh(running, built.path)
        assert {has["no_new_privs"] for has in _info(running).values()} == {"1"}
        os.kill(descendants(running.process.pid)[0], signal.SIGTERM)  # strace does not end what it traces
        assert running.process.wait(DEADLINE) == 0
    lines = [line for line in trace.read_text(errors="replace").splitlines() if str(built.path) in line]
    assert lines
    assert not [line for line in lines if re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", line)]
    changing = r" (unlink|rename|mkdir|rmdir|link|symlink|chmod|fchmod|chown|lchown|truncate|utime|mknod|setxattr)\w*\("
    assert not [line for line in lines if re.search(changing, line)]


def test_a_sandbox_that_must_be_there_and_is_not_is_an_error(built: GraphRoot) -> None:
    code = "import exporter.core.landlock as l; l.version = lambda: 0; from exporter.__main__ import main; main()"
    flags = ["--sandbox", "required", "--web.listen-address", "127.0.0.1:0", "--cache.file", "none"]
    command = [sys.executable, "-c", code, "run", "--root", str(built.path), *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 1
    assert "--sandbox=required: this kernel has no landlock" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_landlock_it_says_none(built: GraphRoot) -> None:
    """As in a container whose seccomp profile refuses the calls."""
    code = "import exporter.core.landlock as l; l.version = lambda: 0; from exporter.__main__ import main; main()"
    with exporter(built.path, program=("-c", code)) as running:
        becomes_as_fresh(running, built.path)
        assert _info(running)["serving"]["landlock"] == "none"
        assert _info(running)["serving"]["no_new_privs"] == "1"


def test_a_state_directory_that_is_removed_or_replaced_is_written_to_again(tmp_path: Path) -> None:
    """It is another directory, in which the scanning process may not write: another one is started at once."""
    built = graph_root(tmp_path / "root").image("app", size=7, files={"a": 1})
    state = tmp_path / "state"
    cache = state / "cache"
    with exporter(built.path, "--cache.file", str(cache)) as running:
        eventually(cache.exists)
        state.rename(tmp_path / "removed")
        built.image("more", size=3, files={"b": 1})
        eventually(cache.exists)
        state.rename(tmp_path / "removed too")
        state.mkdir(exist_ok=True)  # one that has just been started may have made it
        built.image("yet-more", size=5, files={"c": 1})
        eventually(cache.exists)
        becomes_as_fresh(running, built.path)
        assert running.get("/-/healthy")[0] == 200
