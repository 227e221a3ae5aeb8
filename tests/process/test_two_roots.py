"""Two roots as a user sees them: `once`, `df`, real workers, and what the kernel lets the scanning process read."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.landlock import version
from exporter.core.measured import Reason
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.inventory.image_store.store import METADATA
from exporter.measure.pool.pool import Pool
from exporter.measure.pool.task import Result, Task
from tests.support.product import Samples, du
from tests.support.roots.two import CONTAINERD, two_roots
from tests.support.waiting import eventually

_landlock = pytest.mark.skipif(version() < 4, reason="this kernel has no landlock, or an old one")
_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def built(tmp_path: Path) -> ContainerdWriter:
    return two_roots(tmp_path, "web")


@pytest.fixture
def beside(built: ContainerdWriter) -> Path:
    return built.root.parent / CONTAINERD


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "exporter", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_once_and_df_add_up_to_du_of_each_root(built: ContainerdWriter, beside: Path) -> None:
    samples = Samples(_run("once", "--root", built.root).stdout)
    for root in (built.root, beside):
        assert samples.sum("directory_allocated_bytes", root=str(root)) == du(root, "--block-size=1")
        assert samples.sum("directory_inodes", root=str(root)) == du(root, "--inodes")
    shown = _run("df", "--root", built.root, "--bytes").stdout.split("\n\n")
    for root, part in zip((built.root, beside), shown[1:], strict=False):  # below the summary by type
        lines = part.splitlines()
        assert lines[0] == str(root)
        assert lines[-1].split()[0] == str(du(root, "--block-size=1"))


def test_df_names_a_containerd_that_is_not_read(built: ContainerdWriter, beside: Path) -> None:
    shutil.rmtree(built.root / "containers")
    (built.root / "containers" / ("a" * 64)).mkdir(parents=True)
    done = _run("df", "--root", built.root)
    assert f"{beside} is not read as the root of the containerd that has the images: it has none of the" in done.stdout
    assert f"If it is the right one, pass --containerd.root {beside}\n" in done.stdout
    assert f"--containerd.root {beside}" in _run("once", "--root", built.root).stderr
    done = _run("df", "--root", built.root, "--containerd.root", beside)
    assert "--containerd.root" not in done.stdout
    assert f"\n{beside}\n" in done.stdout


def test_a_path_that_is_no_root_of_a_containerd_is_a_line_and_no_crash(built: ContainerdWriter) -> None:
    done = _run("once", "--root", built.root, "--containerd.root", built.root / "volumes")
    assert done.returncode == 1
    assert "is not the root of a containerd" in done.stderr
    assert "Traceback" not in done.stderr
    assert Samples(done.stdout).sum("directory_inodes") == du(built.root, "--inodes")


def test_nothing_is_written_below_the_second_root(built: ContainerdWriter, beside: Path) -> None:
    done = _run("once", "--root", built.root, "--output", beside / "metrics.prom")
    assert done.returncode == 1
    assert not (beside / "metrics.prom").exists()


def test_what_cannot_be_read_in_the_second_root_is_named_by_its_own_path(built: ContainerdWriter, beside: Path) -> None:
    for place in beside.glob("io.containerd.snapshotter.v1.*/metadata.db"):
        place.unlink()
        place.symlink_to("/etc/passwd")
    for command in ("once", "df"):
        said = _run(command, "--root", built.root).stderr
        assert f"\n{beside}/io.containerd.snapshotter.v1.overlayfs/metadata.db: not_regular" in f"\n{said}"


def _results(pool: Pool, count: int) -> list[Result]:
    results: list[Result] = []

    def finished() -> bool:
        results.extend(pool.results(0.05))
        return len(results) >= count

    eventually(finished)
    return results


def test_workers_measure_in_both_roots_and_in_no_other(built: ContainerdWriter, beside: Path) -> None:
    trees = (("buildkit",), (str(beside), "io.containerd.content.v1.content"))
    with Pool(1, 30) as pool:
        with DataRoot(str(built.root), [str(beside)]) as root:
            pool.use(root.path, root.identities)
        pool.submit([Task(tree) for tree in trees])
        found = {one.task.tree: one.measured for one in _results(pool, 2)}
        for tree, path in zip(trees, (built.root / "buildkit", beside / trees[1][1]), strict=True):
            measured = found[tree]
            assert measured is not None
            assert measured.usage.allocated == du(path, "--block-size=1")
        beside.rename(beside.parent / "away")
        shutil.copytree(beside.parent / "away", beside, symlinks=True)
        pool.submit([Task(tree) for tree in trees])
        again = {one.task.tree: one for one in _results(pool, 2)}
        assert again[trees[0]].measured is not None
        lost = again[trees[1]].task.trouble
        assert lost is not None
        assert lost.counts == {Reason.VANISHED: 1}


# Run in a process that has confined itself as the scanning process does. Prints which of these paths can be read.
_ATTEMPTS = """
import json, os, sys
from exporter.config.settings import Config
from exporter.service.confinement import confine_scanning

root, setting, *paths = sys.argv[1:]
confine_scanning(Config(root=root, containerd_root=setting))
found = {}
for path in paths:
    try:
        (os.listdir if os.path.isdir(path) else open)(path)
        found[path] = True
    except PermissionError:
        found[path] = False
try:
    open(os.path.join(paths[0], "new"), "x")
    found["write"] = True
except PermissionError:
    found["write"] = False
print(json.dumps(found))
"""


def _readable(data: Path, setting: str, *paths: Path) -> dict[str, bool]:
    command = [sys.executable, "-c", _ATTEMPTS, str(data), setting, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, bool] = json.loads(done.stdout)
    return found


@_landlock
@_root
def test_the_second_root_may_be_read_and_nothing_else(built: ContainerdWriter, beside: Path) -> None:
    content, metadata = beside / "io.containerd.content.v1.content", beside / METADATA
    other = beside.parent / "other"
    shutil.copytree(beside, other, symlinks=True)
    paths = (beside, content, metadata, metadata / "meta.db", other, other / METADATA)
    taken = _readable(built.root, "auto", *paths)
    assert [taken[str(path)] for path in paths] == [True, True, True, True, False, False]
    assert not taken["write"]
    assert not any(_readable(built.root, "none", *paths).values())


@_landlock
@_root
def test_of_a_candidate_only_the_metadata_may_be_read(built: ContainerdWriter, beside: Path) -> None:
    shutil.rmtree(built.root / "containers")
    (built.root / "containers" / ("a" * 64)).mkdir(parents=True)
    paths = (beside, beside / "io.containerd.content.v1.content", beside / METADATA, beside / METADATA / "meta.db")
    assert [*_readable(built.root, "auto", *paths).values()] == [False, False, True, True, False]
