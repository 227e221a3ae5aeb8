"""`du` beside du(1), on real trees."""

import json
import os
import random
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import run
from tests.support.mounts import mounted
from tests.support.rights import without_rights
from tests.support.roots.layerdb import DbRoot
from tests.support.waiting import DEADLINE


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("base", 5000).image("app", "base", ["app:1"])
    return built.container("web", "app", "base", log=20_000).volume("data", 9000)


def measured(built: DbRoot, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = run("du", "--root", str(built.path), "--containerd.root", "none", "--json", *arguments)
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of_du(top: Path, depth: int, *options: str) -> dict[str, int]:
    """What du(1) says of a directory and of those below it, by path."""
    command = ["du", "-0x", f"--max-depth={depth}", *options, "."]
    done = subprocess.run(command, cwd=top, capture_output=True, check=True, timeout=DEADLINE)
    rows = (line.split(b"\t", 1) for line in done.stdout.split(b"\0") if line)
    return {os.fsdecode(path).removeprefix(".").removeprefix("/"): int(size) for size, path in rows}


def strange_tree(top: Path) -> None:
    chosen = random.Random(7)
    directories = [top]
    for number in range(80):
        name = chosen.choice(["new\nline", "\x1b[31m", "-rf", " ", "ü", "plain"]) + str(number)
        at = chosen.choice(directories)
        if number % 3 == 0:
            (at / name).mkdir()
            directories.append(at / name)
        elif number % 10 == 1:
            (at / name).symlink_to("/")
        elif number % 10 == 2:
            with (at / name).open("wb") as file:
                file.truncate(1 << 32)
                file.write(b"x" * 9000)
        else:
            (at / name).write_bytes(b"x" * chosen.randrange(100_000))
            os.link(at / name, at / f"{name} again")
    deep = os.open(top, os.O_RDONLY)
    for _ in range(40):
        os.mkdir("d" * 200, dir_fd=deep)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = below
    os.close(deep)


def test_every_directory_is_what_du_says(built: DbRoot) -> None:
    top = built.path / "volumes/data/_data"
    strange_tree(top)
    (place,) = measured(built, "data", "--depth", "4")["places"]
    blocks, counts = of_du(top, 4, "--block-size=1"), of_du(top, 4, "--inodes")
    assert (place["allocated"], place["inodes"]) == (blocks.pop(""), counts.pop(""))
    rows = {one["path"].rstrip("/"): one for one in place["entries"] if one["kind"] == "directory"}
    assert {path: one["allocated"] for path, one in rows.items()} == blocks
    assert {path: one["inodes"] for path, one in rows.items()} == counts
    shown = run("du", "--root", str(built.path), "data", "--depth", "4").stdout
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == len(place["entries"]) + 3


def test_what_is_mounted_below_is_not_entered_and_named(built: DbRoot) -> None:
    top = built.path / "volumes/data/_data"
    (top / "on/it").mkdir(parents=True)
    with mounted(top / "on/it", "-t", "tmpfs", "none"):
        (top / "on/it/file").write_bytes(b"x" * 90_000)
        (place,) = measured(built, "data")["places"]
        assert place["allocated"] == of_du(top, 0, "--block-size=1")[""]
        assert place["mounts"] == ["on/it"]


def test_whiteouts_and_opaque_directories_of_overlay(built: DbRoot) -> None:
    top = built.writable("web")
    (top / "etc").mkdir()
    (top / "var").mkdir()
    try:
        os.mknod(top / "etc/passwd", stat.S_IFCHR, 0)
        os.setxattr(top / "var", "trusted.overlay.opaque", b"y")
    except OSError as error:
        pytest.skip(f"not here: {error}")
    os.link(top / "etc/passwd", top / "etc/group")  # as the kernel does
    (place, _) = measured(built, "web", "--depth", "2")["places"]
    rows = {one["path"]: one for one in place["entries"]}
    assert [path for path, one in rows.items() if one["kind"] == "deleted"] == ["etc/group", "etc/passwd"]
    assert (place["deleted"], rows["etc/"]["deleted"], rows["var/"]["opaque"]) == (2, 2, True)
    assert place["inodes"] == of_du(top, 0, "--inodes")[""]
    shown = run("du", "--root", str(built.path), "web", "--depth", "2").stdout
    assert "etc/passwd (deleted)" in shown
    assert "var/ (opaque)" in shown


def test_what_may_not_be_read_is_said(built: DbRoot) -> None:
    top = built.path / "volumes/data/_data"
    (top / "secret/in").mkdir(parents=True)
    (top / "secret").chmod(0)
    command = [*without_rights(), sys.executable, "-m", "exporter", "du", "--root", str(built.path), "data"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    (top / "secret").chmod(0o700)
    assert done.returncode == 1
    assert "secret: Permission denied" in done.stderr
    assert "CAP_DAC_READ_SEARCH" in done.stderr
    marked = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("\u2265")]
    assert marked == ["secret/", "all"]


def test_usage_errors(built: DbRoot) -> None:
    for arguments, said in (
        (("data", "--from", "http://127.0.0.1:1"), "No such option"),
        (("data", "../.."), "stay in the object"),
        (("-i", "data"), "needs a terminal"),
        ((), "Missing argument"),
    ):
        done = run("du", "--root", str(built.path), *arguments)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    missing = run("du", "--root", str(built.path / "nowhere"), "data")
    assert (missing.returncode, "does not exist" in missing.stderr) == (1, True)
    assert "Traceback" not in missing.stderr
