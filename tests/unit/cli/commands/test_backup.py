import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from exporter.cli.commands.backup import backup
from exporter.cli.commands.backup_plan import Places, measure_binds
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Answer, Lines
from exporter.demo import build_demo
from tests.support.product import document_of
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest


def plan(path: Path, *, docker: bool = True, measure: bool = False, **places: str) -> Answer:
    index, at = Index(document_of(path)), Places(**places)
    return backup(index, at, measure_binds(index, at) if measure else {}, docker=docker)


def commands(answer: Answer) -> list[str]:
    last = answer.parts[-1]
    assert isinstance(last, Lines)
    return list(last.lines)


def of(answer: Answer, name: str) -> dict[str, Any]:
    (found,) = [one for one in answer.data["containers"] if one["name"] == name]
    assert isinstance(found, dict)
    return found


def test_the_example_hosts_questions_are_answered(tmp_path: Path) -> None:
    root = tmp_path / "docker"
    build_demo(root)
    answer = plan(root)
    (mysql,) = of(answer, "mysql")["mounts"]
    assert (mysql["destination"], mysql["kind"], mysql["size"]) == ("/var/lib/mysql", "volume", 129_000_000)
    assert (Path(mysql["path"]) / "ibdata1").exists()
    (wiki,) = of(answer, "mediawiki")["mounts"]
    assert (wiki["kind"], wiki["path"], wiki["size"]) == ("bind", "/srv/mediawiki/images", None)
    assert of(answer, "nightly-dump")["writable"]["size"] == 420_000_000
    assert answer.data["totals"]["volumes"] == 203_000_000, "the volume that two containers mount counts once"
    assert answer.data["totals"]["binds"] is None, "not measured, so not guessed"
    lines = commands(answer)
    assert "docker export nightly-dump | gzip > container-nightly-dump.tar.gz" in lines
    assert sum("-C /srv/mediawiki ./images" in line for line in lines) == 1
    assert len([line for line in lines if line.startswith("tar ")]) == 3


def test_only_images_that_nothing_names_must_be_saved(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("tagged", size=3, tag="tagged:1").image("dangling", size=5)
    answer = plan(built.path)
    assert {one["id"]: (one["registry"], one["must_save"]) for one in answer.data["images"]} == {
        hex_id("tagged"): ("tag", False),
        hex_id("dangling"): ("none", True),
    }
    assert answer.data["totals"]["images"] == 5
    assert f"docker save {hex_id('dangling')} | gzip > image-{hex_id('dangling')[:12]}.tar.gz" in commands(answer)


def test_a_container_with_a_name_that_docker_does_not_allow_is_called_by_its_id(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.container("$(reboot)", image="app", writable={"w": 3})
    (export,) = (line for line in commands(plan(built.path)) if line.startswith("docker export"))
    assert shlex.split(export)[2] == hex_id("$(reboot)")


def test_every_mount_is_named(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.writer.volume("data", {"a": 7}, form="1.9")
    points = {
        "/named": {"Name": "data", "Source": "/var/lib/docker/volumes/data/_data", "RW": True},
        "/plugin": {"Name": "remote", "Source": "/mnt/remote", "RW": True},
        "/bind": {"Source": "/srv/x", "RW": False},
        "/mem": {"Type": "tmpfs", "RW": True},
    }
    built.container("web", image="app", mount_points=points)
    mounts = {one["destination"]: one for one in of(plan(built.path), "web")["mounts"]}
    assert mounts["/named"]["path"] == str(built.path / "volumes" / "data" / "_data")
    assert "plugin" in mounts["/plugin"]["note"]
    assert (mounts["/bind"]["path"], mounts["/bind"]["mode"]) == ("/srv/x", "ro")
    assert "memory" in mounts["/mem"]["note"]


def test_a_volume_that_no_container_mounts_is_saved_too(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.writer.volume("lonely", {"a": 7}, form="1.9")
    answer = plan(built.path)
    assert [one["name"] for one in answer.data["unused_volumes"]] == ["lonely"]
    assert any("./_data" in line and "volumes/lonely" in line for line in commands(answer))


def test_paths_are_those_of_the_host(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.writer.volume("data", {"a": 7}, form="1.9")
    built.container("web", image="app", volumes={"/b": "/srv/b"}, writable={"w": 3})
    answer = plan(built.path, root="/var/lib/docker", prefix="/mnt/old")
    assert of(answer, "web")["mounts"][0]["path"] == "/mnt/old/srv/b"
    assert answer.data["unused_volumes"][0]["path"] == "/var/lib/docker/volumes/data/_data"


def test_a_volume_that_is_a_mount_itself_is_saved_where_its_data_is(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "f").write_bytes(b"x" * 321)
    options = {
        "bound": {"MountType": "none", "MountOpts": "bind", "MountDevice": str(tmp_path / "data")},
        "net": {"MountType": "nfs", "MountOpts": "addr=10.1.1.1", "MountDevice": ":/x"},
        "mem": {"MountType": "tmpfs", "MountDevice": "tmpfs"},
        "old": {"type": "nfs", "device": ":/y"},
        "torn": 5,
    }
    for name, about in options.items():
        built.writer.volume(name, {"f": 3}, form="1.9")
        (built.path / "volumes" / name / "opts.json").write_text(json.dumps(about))
    answer = plan(built.path, measure=True)
    rows = {one["name"]: one for one in answer.data["unused_volumes"]}
    assert (rows["bound"]["path"], rows["bound"]["size"]) == (str(tmp_path / "data"), 321)
    assert rows["mem"]["command"] == ""
    for name in ("net", "old"):
        assert (rows[name]["size"], rows[name]["note"].startswith("nfs :/")) == (None, True)
        assert rows[name]["command"].startswith(f"mountpoint --quiet {built.path}/volumes/{name}/_data && tar ")
    assert rows["torn"]["size"] is None
    assert answer.data["totals"]["volumes"] is None


def test_a_volume_of_a_plugin_is_where_the_engine_had_it(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    points = {
        "/plugin": {"Name": "remote", "Driver": "rexray", "Source": "/mnt/remote", "RW": True},
        "/gone": {"Name": "gone", "Driver": "local", "Source": "/var/lib/docker/volumes/gone/_data", "RW": True},
    }
    built.container("web", image="app", mount_points=points)
    mounts = {one["destination"]: one for one in of(plan(built.path, prefix="/old"), "web")["mounts"]}
    assert mounts["/plugin"]["path"] == "/old/mnt/remote"
    assert "plugin rexray" in mounts["/plugin"]["note"]
    assert "gone" in mounts["/gone"]["note"]
    assert mounts["/gone"]["command"] == ""


@pytest.mark.parametrize("source", ["/", "/proc", "/sys/fs/cgroup", "/var/run/docker.sock", "/srv/agent.sock"])
def test_what_is_no_data_is_named_and_not_copied(tmp_path: Path, source: str) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.container("agent", image="app", volumes={"/x": source, "/root": str(built.path), "/runs": "/runs"})
    mounts = {one["destination"]: one for one in of(plan(built.path), "agent")["mounts"]}
    assert (mounts["/x"]["source"], mounts["/x"]["command"]) == (source, "")
    assert "data root" in mounts["/root"]["note"]
    assert "./runs" in mounts["/runs"]["command"]


@pytest.mark.parametrize(("source", "saved"), [("/var/lib/docker", False), ("/var/lib", False), ("/run/media/x", True)])
def test_the_root_is_known_by_the_name_that_the_engine_gave_it(tmp_path: Path, source: str, saved: bool) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.container("agent", image="app", volumes={"/x": source})
    (mount,) = of(plan(built.path), "agent")["mounts"]
    assert bool(mount["command"]) is saved


@pytest.mark.parametrize(
    ("lost", "unknown"),
    [
        ("containers", {"binds", "writable"}),
        ("volumes", {"volumes"}),
        ("containers/{web}/config.v2.json", {"binds", "writable"}),
        ("image/overlay2/imagedb/content/sha256", {"images"}),
    ],
)
def test_a_sum_over_what_is_not_known_is_not_0(tmp_path: Path, lost: str, unknown: set[str]) -> None:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"]).volume("data", 9000)
    built.container("web", "a", "a", writable={"w": 4})
    assert None not in plan(built.path).data["totals"].values()
    path = built.path / lost.format(web=digest("containerweb"))
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    totals = plan(built.path).data["totals"]
    assert {kind for kind, total in totals.items() if total is None} == unknown
