"""Filesystems in a data root that do not answer."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.exporter import exporter
from tests.support.fresh import becomes_as_fresh
from tests.support.hanging import hanging as _hanging
from tests.support.recorded import unpack_case
from tests.support.roots import GraphRoot, change, graph_root
from tests.support.waiting import DEADLINE

_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@_root
def test_a_volume_that_hangs(built: GraphRoot) -> None:
    """A FUSE filesystem whose server never answers, mounted on a volume, and one below the data of another."""
    for name in ("dead", "deep"):
        (built.path / "volumes" / name / "_data" / "inside").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_hanging(built.path / "volumes/dead/_data"))
        stack.enter_context(_hanging(built.path / "volumes/deep/_data/inside"))
        running = stack.enter_context(exporter(built.path))
        running.wait_for("up", 1)
        figures = running.becomes("skipped_mounts", 2)
        assert figures.sum("volumes") == 2
        assert [labels["volume"] for labels, _ in figures.all("volume_size_bytes")] == ["deep"]
        change(built)
        running.becomes("layers", 4)


@_root
def test_a_store_that_hangs(built: GraphRoot) -> None:
    """A filesystem mounted on `volumes` itself stops answering, and does so again later."""
    (built.path / "volumes/data/_data").mkdir(parents=True)
    with exporter(built.path) as running:
        becomes_as_fresh(running, built.path)
        with _hanging(built.path / "volumes"):
            figures = running.becomes("scan_errors_total", 1, collector="volumes", reason="timeout")
            assert figures("up") == 1
            change(built)
            running.becomes("layers", 4)
            # A scan may have met the container before its configuration was written.
            figures = running.becomes("scan_success", 1, collector="containers")
            assert figures("scan_success", collector="volumes") == 0
            assert not figures.all("volume_size_bytes")
            with exporter(built.path) as another:  # one that has never seen it answer
                figures = another.becomes("scan_errors_total", 1, collector="volumes", reason="timeout")
                assert figures.sum("containers") == 2
        figures = becomes_as_fresh(running, built.path)
        assert figures("scan_success", collector="volumes") == 1


@_root
def test_a_root_that_hangs(built: GraphRoot) -> None:
    """What looks at it may be stuck in the kernel: then it is ended, and the next one goes round what hangs."""
    with exporter(built.path, "--scan.tree-timeout", "2") as running:
        becomes_as_fresh(running, built.path)
        with _hanging(built.path):
            assert not running.wait_for("up", 0).all("layers")
        becomes_as_fresh(running, built.path)


@_root
def test_a_root_that_hangs_from_the_start(built: GraphRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is open and says so, also where the default place of the cache has to be found first."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    with _hanging(built.path), exporter(built.path, "--cache.file", "") as running:
        assert running.figures()("up") == 0
    with exporter(built.path, "--cache.file", "") as running:
        becomes_as_fresh(running, built.path)


_COMMANDS = (
    "once",
    "df",
    "images",
    "images --tree",
    "containers",
    "layers",
    "whose volumes/inside",
    "backup",
    "backup --no-docker --measure-binds",
)


@_root
@pytest.mark.parametrize("command", _COMMANDS)
def test_a_command_ends_and_prints_the_rest(tmp_path: Path, command: str) -> None:
    """On one filesystem the question can be killed, on the other it cannot: its process does not end."""
    built = graph_root(tmp_path / "docker").image("base", size=10, tag="app:1")
    built.container("web", image="base", writable={"w": 3}, volumes={"/srv": str(tmp_path / "host/inside")})
    hung = [built.path / "volumes", built.path / "containers", built.path / "more", tmp_path / "host"]
    for one in hung:
        one.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        for one in hung:
            stack.enter_context(_hanging(one, deadly=one.name in ("containers", "host")))
        done = run(*command.split(), "--root", str(built.path))
    assert done.returncode == 1
    for name in ("volumes", "containers", "more"):
        assert f"{built.path}/{name}: timeout" in done.stderr
    expected = {
        "once": "docker_storage_images{",
        "df": "aufs",
        "images": "app",
        "layers": "app:1",
        "whose": "volumes",
        "backup": "app:1",
    }
    assert expected.get(command.partition(" ")[0], "") in done.stdout


@_root
def test_df_names_what_does_not_answer(built: GraphRoot) -> None:
    with _hanging(built.path / "containers", deadly=True):
        table = run("df", "--root", str(built.path)).stdout
        rows = json.loads(run("df", "--json", "--root", str(built.path)).stdout)
    assert any(line.split() == ["?", "?", "?", "containers"] for line in table.splitlines())
    assert any(line.split()[:3] == ["?", "?", "fuse"] for line in table.splitlines())
    assert {one["size"] for one in rows["filesystems"] if one["fstype"] == "fuse"} == {None}


@_root
def test_a_bind_mount_is_measured_without_what_hangs_in_it(tmp_path: Path) -> None:
    """It is left out, as by du -x."""
    source = tmp_path / "host"
    (source / "inside").mkdir(parents=True)
    (source / "file").write_bytes(b"x" * 7)
    built = graph_root(tmp_path / "docker").image("base", size=10, tag="app:1")
    built.container("web", image="base", volumes={"/srv": str(source)})
    with _hanging(source / "inside", deadly=True):
        rows = json.loads(run("backup", "--json", "--measure-binds", "--root", str(built.path)).stdout)
    assert rows["totals"]["binds"] == 7


@_root
def test_a_root_that_hangs_and_cannot_be_killed(tmp_path: Path) -> None:
    built = graph_root(tmp_path / "docker").image("base", size=10, tag="app:1")
    with _hanging(built.path, deadly=True):
        for command in ("once", "df", "whose volumes"):
            done = run(*command.split(), "--root", str(built.path))
            assert done.returncode == 1
            assert "does not answer" in done.stderr


@_root
def test_a_single_scan_of_what_hangs_ends(built: GraphRoot) -> None:
    """The filesystem stops answering after it was asked whether it does."""
    unasked = (
        "from exporter.cli.main import main; from exporter.inventory import opening\nopening.read_mounts = list\nmain()"
    )
    command = [sys.executable, "-c", unasked, "once", "--root", str(built.path), "--scan.tree-timeout", "1"]
    with _hanging(built.path / "containers"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "docker_storage_up 0" in done.stdout


@_root
@pytest.mark.parametrize("place", ["volumes", "containers", "image/overlay2/imagedb", "overlay2"])
def test_case_25(tmp_path: Path, place: str) -> None:
    root = unpack_case(25, tmp_path)
    with _hanging(root / place):
        for command in ("once", "df", "backup"):
            done = run(command, "--root", str(root))
            assert done.returncode == 1
            assert f"{root}/{place}: timeout" in done.stderr
            assert "app:1" in done.stdout or command != "backup" or "imagedb" in place
