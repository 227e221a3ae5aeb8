"""Containers and volumes as Docker 1.0 to 1.9 wrote them."""

from pathlib import Path

import pytest

from exporter.demo.writer import State
from tests.support.product import figures_of
from tests.support.roots import graph_root, hex_id


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (State(running=True, pid=2**30), "stale"),
        (State(running=True, paused=True), "stale"),
        (State(running=True, restarting=True), "restarting"),
        (State(dead=True), "dead"),
        (State(), "exited"),
        (State(started="0001-01-01T00:00:00Z", finished="0001-01-01T00:00:00Z"), "created"),
    ],
)
def test_the_state_is_the_one_that_docker_shows(tmp_path: Path, state: State, name: str) -> None:
    built = graph_root(tmp_path).image("app").container("web", image="app", state=state)
    figures = figures_of(built.path)
    assert {labels["state"] for labels, value in figures.all("containers") if value} == {name}
    assert figures("container_running") == (name in {"running", "paused", "restarting"})


def test_a_log_is_counted_with_its_rotated_files_and_bounded_by_size_times_files(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app")
    options = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    built.container("web", image="app", log=b"x" * 10, rotated=[b"y" * 20, 30], log_config=options)
    built.container("wild", image="app", log=b"z")
    built.container("quiet", image="app", log=None, log_config={"Type": "none", "Config": {}})
    figures = figures_of(built.path)
    web, wild, quiet = (hex_id(name)[:12] for name in ("web", "wild", "quiet"))
    assert figures("container_log_size_bytes", container_id=web) == 60
    assert figures("container_log_limit_bytes", container_id=web) == 30_000_000
    assert figures("container_log_bounded", container_id=wild) == 0
    assert not figures.all("container_log_limit_bytes", container_id=wild)
    assert figures("container_log_bounded", container_id=quiet) == 1


@pytest.mark.parametrize("form", ["1.0", "1.3", "1.9"])
def test_a_volume_is_found_in_every_form_with_who_uses_it(tmp_path: Path, form: str) -> None:
    built = graph_root(tmp_path).image("app")
    used, unused = hex_id("used"), hex_id("unused")
    source = built.writer.volume(used, {"a": 11, "b/c": b"12"}, form=form)
    built.writer.volume(unused, {}, form=form)
    built.container("web", image="app", volumes={"/data": source, "/host": "/srv/data"}, read_only=["/host"])
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("volume_size_bytes", volume=used) == 13
    assert figures("volume_containers", volume=used) == 1
    assert figures("volumes", state="unused", anonymous="true") == 1
    assert figures("container_mount_info", kind="volume", source=used, destination="/data", mode="rw") == 1
    assert figures("container_mount_info", kind="bind", source="/srv/data", destination="/host", mode="ro") == 1
    assert figures.sum("layers", driver="vfs") == 0, "volume data in vfs/dir is no layer"


def test_a_bind_mounts_entry_among_the_volumes_is_no_volume(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app")
    built.writer.bind_entry(hex_id("bind"), "/srv")
    built.container("web", image="app", volumes={"/srv": "/srv"}, binds=["/srv:/srv:ro"])
    figures = figures_of(built.path)
    assert figures.sum("volumes") == 0
    assert figures("container_mount_info", kind="bind", source="/srv") == 1


def test_mount_points_of_1_8_and_later_say_volumes_by_name(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app")
    built.writer.volume("data", {"x": 5}, form="1.9")
    point = {"Name": "data", "Driver": "local", "Source": "/var/lib/docker/volumes/data/_data", "RW": True}
    built.container("web", image="app", mount_points={"/data": point}, labels={"com.docker.compose.project": "shop"})
    figures = figures_of(built.path)
    assert figures("container_mount_info", kind="volume", source="data") == 1
    assert figures("volumes", state="used", anonymous="false") == 1
    assert figures("container_info", compose_project="shop") == 1


def test_a_container_whose_configuration_is_gone_is_still_there(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app").container("web", image="app", log=b"123", writable={"a": 4})
    (built.path / "containers" / hex_id("web") / "config.json").unlink()
    figures = figures_of(built.path)
    assert figures("containers", driver="aufs", state="unknown") == 1
    assert figures("known", input="container_configs") == 0
    assert not figures.all("layers", use="container"), "any container may be on any layer"
    assert figures("container_writable_size_bytes") == 4
