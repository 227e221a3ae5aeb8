import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.product import Samples, needs
from tests.support.roots import graph_root, hex_id
from tests.support.waiting import DEADLINE


def test_once_prints_the_exposition(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=7, tag="app:1")
    done = run("once", "--root", str(built.path))
    assert (done.returncode, done.stderr) == (0, "")
    assert Samples(done.stdout)("image_virtual_size_bytes") == 7
    assert "process_cpu" not in done.stdout, "node_exporter has its own"
    assert run("once", "--root", str(built.path), "--format", "openmetrics").stdout.endswith("# EOF\n")
    assert run("once", DOCKER_STORAGE_EXPORTER_ROOT=str(built.path)).stdout.count("image_virtual_size_bytes{") == 1


def test_once_fails_where_it_cannot_write(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "exporter", "once", "--root", str(graph_root(tmp_path).path)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=DEADLINE)
    assert done.returncode != 0
    assert "cannot write standard output: No space left on device" in done.stderr


def test_once_writes_a_file_all_at_once_for_others_to_read(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=7)
    output = tmp_path / "out" / "docker.prom"
    output.parent.mkdir()
    assert run("once", "--root", str(built.path), "--output", str(output)).returncode == 0
    assert "docker_storage_up 1.0" in output.read_text()
    assert stat.S_IMODE(output.stat().st_mode) == 0o644
    assert [path.name for path in output.parent.iterdir()] == ["docker.prom"]


def test_nothing_is_written_below_the_root(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=7)
    done = run("once", "--root", str(built.path), "--output", str(built.path / "out.prom"))
    assert done.returncode == 1
    assert "below the data root" in done.stderr
    assert not (built.path / "out.prom").exists()


def test_once_gives_all_series_the_labels_that_it_is_told(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("a", size=1, tag="a:1")
    done = run("once", "--root", str(built.path), "--label", "root=one", "--label", "site=here")
    assert done.returncode == 0
    samples = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert samples
    assert all('site="here"' in line for line in samples)
    refused = run("once", "--root", str(built.path), "--label", "driver=x")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--label: 'driver' is a label of the exporter's own" in refused.stderr


def test_once_says_what_could_not_be_read_and_prints_the_rest(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=7, tag="app:1").container("web", image="app")
    (built.path / "containers" / hex_id("web") / "config.json").write_bytes(b"\x00\x1b[2J")
    done = run("once", "--root", str(built.path))
    assert done.returncode == 1
    assert f"containers/{hex_id('web')}/config.json: decode" in done.stderr
    assert Samples(done.stdout)("image_virtual_size_bytes") == 7


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_once_fails_on_what_is_no_root(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "root"
    if kind == "file":
        path.write_text("")
    elif kind == "empty":
        path.mkdir()
    done = run("once", "--root", str(path))
    assert done.returncode == 1
    assert str(path) in done.stderr
    assert Samples(done.stdout)("up") == 0


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_once_fails_on_a_root_that_may_not_be_read(tmp_path: Path) -> None:
    built = graph_root(tmp_path)
    code = (
        "import os, sys; from exporter.cli.main import main\n"
        "import exporter.cli.once, exporter.expose.publication, exporter.measure.pool.pool\n"
        "import exporter.scan.one_shot, structlog\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "main(['once', '--root', sys.argv[1]])"
    )
    closed = tmp_path / "closed"
    built.path.rename(closed)
    closed.chmod(0o700)
    for above in [tmp_path, *tmp_path.parents][:-2]:
        above.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, str(closed)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{closed}: cannot be opened: Permission denied" in done.stderr
    assert Samples(done.stdout)("up") == 0


def test_version_and_help() -> None:
    assert "docker-storage-exporter" in run("--version").stdout
    assert "DOCKER_STORAGE_EXPORTER_WEB_LISTEN_ADDRESS" in "".join(run("run", "--help").stdout.split())


@needs("strace")
def test_no_file_of_the_root_is_opened_for_writing_and_none_outside_is_walked(tmp_path: Path) -> None:
    built = graph_root(tmp_path, "vfs").image("app", size=None, files={"a": 5}, tag="app:1")
    built.container("web", image="app", writable={"b": 3})
    trace = tmp_path / "trace"
    command = [sys.executable, "-m", "exporter", "once", "--root", str(built.path)]
    watched = "open,openat,openat2,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2,flock,truncate"
    done = subprocess.run(
        ["strace", "-ff", "-y", "-o", str(trace), "-e", f"trace={watched}", *command], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    below = [
        line for one in tmp_path.glob("trace.*") for line in one.read_text().splitlines() if str(built.path) in line
    ]
    assert len(below) > 20, "the trace shows the scan"
    for line in below:
        assert line.startswith("open"), line
        assert "O_RDONLY" in line, line
        assert not any(flag in line for flag in ("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC")), line
