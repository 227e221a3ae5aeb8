"""`backup` beside `docker inspect` of a real engine; and its commands, run."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.engine import Engine, engine
from tests.support.product import figures_of
from tests.support.waiting import eventually

_QUIET = ("--network", "none")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Engine]:
    """An engine whose containers have something mounted in every way that there is without a network or a swarm."""
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), "overlay2") as one:
        one.base()
        for name in ("srv/sub", "device", "wei rd $(x)"):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "file").write_text("saved")
        one.build("app:1", "FROM base:1\nRUN echo a > /a\nVOLUME /anon\n")
        one.build("old:1", "FROM base:1\nRUN echo one > /o\n")
        one.build("old:1", "FROM base:1\nRUN echo two > /o\n")
        options = ("type=none", "o=bind", f"device={tmp_path}/device")
        one.run("volume", "create", *(word for option in options for word in ("--opt", option)), "bound")
        one.run("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "mem")
        one.run("volume", "create", "--opt", "type=nfs", "--opt", "o=addr=127.0.0.1", "--opt", "device=:/x", "net")
        one.run("volume", "create", "lonely")
        binds = ["named:/data", f"{tmp_path}/srv:/srv:ro", f"{tmp_path}/srv/file:/data/nested:ro", "/anon2"]
        binds += ["bound:/bound", "mem:/mem"]
        flags = [word for bind in binds for word in ("-v", bind)]
        write = "echo w > /w; echo saved > /data/file; echo written; sleep 1000"
        one.run("run", "-d", *_QUIET, "--name", "web", *flags, "--tmpfs", "/tmp/x", "app:1", "sh", "-c", write)
        eventually(lambda: "written" in one.run("logs", "web"))
        one.run("run", *_QUIET, "--name", "heir", "--volumes-from", "web:ro", "base:1", "sh", "-c", "echo h > /h")
        mounts = ["type=tmpfs,dst=/m", f"type=bind,src={tmp_path}/srv/sub,dst=/s,bind-propagation=rslave"]
        mounts += [f"type=bind,src={tmp_path}/wei rd $(x),dst=/odd", "type=volume,src=net,dst=/n,readonly"]
        flags = [word for mount in mounts for word in ("--mount", mount)]
        one.run("create", *_QUIET, "--name", "never", *flags, "-v", "/proc:/p:ro", "-v", "/:/host:ro", "app:1", "sh")
        yield one


def backup(host: Engine, *flags: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "exporter", "backup", "--root", str(host.root), "--json", *flags]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert isinstance(answer, dict)
    return answer


def commands(host: Engine, *flags: str) -> str:
    command = [sys.executable, "-m", "exporter", "backup", "--root", str(host.root), *flags]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return printed.partition("\nCommands\n")[2]


def files(archive: Path) -> set[str]:
    with tarfile.open(archive) as opened:
        return {name.removeprefix("./") for name in opened.getnames()}


def test_every_mount_that_the_engine_knows_is_named_and_saved(host: Engine, tmp_path: Path) -> None:
    answer = backup(host)
    assert {one["name"] for one in answer["containers"]} == {"web", "heir", "never"}
    for container in answer["containers"]:
        about = host.ask(f"/containers/{container['id']}/json")
        wanted = {
            (one["Type"], one.get("Name") or one["Source"], one["Destination"], one["RW"]) for one in about["Mounts"]
        }
        wanted |= {("tmpfs", "", place, True) for place in about["HostConfig"].get("Tmpfs") or ()}
        ours = {(one["kind"], one["source"], one["destination"], one["mode"] == "rw") for one in container["mounts"]}
        assert ours == wanted, container["name"]
    assert [one["name"] for one in answer["unused_volumes"]] == ["lonely"]
    sized = {one["Name"] for one in host.ask("/system/df")["Volumes"]}
    mounts = [one for container in answer["containers"] for one in container["mounts"]]
    volumes = {one["source"] for one in mounts if one["kind"] == "volume"}
    assert volumes - sized == {"bound", "mem", "net"}, "the engine does not size what it only mounts either"
    assert {labels["volume"] for labels, _ in figures_of(host.root).all("volume_size_bytes")} == sized

    work = tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "DOCKER_HOST": host.address}
    subprocess.run(["bash", "-c", commands(host)], cwd=work, check=False, env=environment)
    assert "w" in files(work / "container-web.tar.gz")
    assert "_data/file" in files(work / "volume-named.tar.gz")
    assert "device/file" in files(work / "volume-bound.tar.gz")
    assert "h" in files(work / "container-heir.tar.gz")
    assert not (work / "volume-net.tar.gz").exists(), "it is not mounted: there is nothing to save"
    assert any("wei rd $(x)/file" in files(one) for one in work.glob("bind-*.tar.gz"))
    assert {"srv/file", "srv/sub/file"} <= set().union(*map(files, work.glob("bind-*.tar.gz")))
    assert len(json.loads((work / "containers.json").read_text())) == 3
    (dangling,) = (one for one in answer["images"] if one["must_save"])
    assert "manifest.json" in files(work / f"image-{dangling['id'][:12]}.tar.gz")


def test_without_an_engine_the_same_is_saved_as_files(host: Engine, tmp_path: Path) -> None:
    web = host.run("inspect", "--format", "{{.Id}}", "web")
    host.kill()
    work = tmp_path / "work"
    work.mkdir()
    script = commands(host, "--no-docker")
    assert "docker " not in "".join(line for line in script.splitlines() if not line.startswith("#"))
    subprocess.run(["bash", "-c", script], cwd=work, check=False)
    assert "diff/w" in files(work / "writable-web.tar.gz")
    assert "_data/file" in files(work / "volume-named.tar.gz")
    assert f"containers/{web}/config.v2.json" in files(work / "containers.tar.gz")
    images = files(work / "images.tar.gz")
    assert "image/overlay2/repositories.json" in images
    assert any(name.endswith("/diff/a") for name in images)
