"""What is mounted into containers, as every Docker since 1.0 wrote it down, and where that is damaged."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple

from exporter.inventory.container_mounts import read_mounts
from tests.support.product import scan
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest

Json = dict[str, Any]
_POINT = {"Type": "bind", "Source": "/srv/x", "Destination": "/x", "RW": True}


def mounts(config: Json, host: Json | None = None) -> list[tuple[str, str, str, str]]:
    return [(one.kind, one.source, one.destination, one.mode) for one in read_mounts(config, host or {})]


@pytest.mark.parametrize(
    ("config", "host", "expected"),
    [
        # Docker 1.0 to 1.7
        ({"Volumes": {"/x": "/srv/x"}, "VolumesRW": {"/x": False}}, {}, ("bind", "/srv/x", "/x", "ro")),
        ({"Volumes": {"/x": "/srv/x"}, "VolumesRW": None}, {}, ("bind", "/srv/x", "/x", "rw")),
        # not started yet: only asked for
        ({"Volumes": None}, {"Binds": ["/srv/x:/x:ro"]}, ("bind", "/srv/x", "/x", "ro")),
        ({"Config": {"Volumes": {"/x": {}}}}, {}, ("volume", "", "/x", "rw")),
        # 1.8 and 1.9
        ({"MountPoints": {"/x": {"Name": "v", "Driver": "local", "RW": True}}}, {}, ("volume", "v", "/x", "rw")),
        (
            {"MountPoints": {"/x": {"Source": "/srv/x", "Relabel": "z", "RW": False}}},
            {},
            ("bind", "/srv/x", "/x", "ro"),
        ),
        # later
        ({"MountPoints": {"/x": {**_POINT, "Propagation": "rslave"}}}, {}, ("bind", "/srv/x", "/x", "rw")),
        ({"MountPoints": {"/x": {"Type": "tmpfs", "RW": True}}}, {}, ("tmpfs", "", "/x", "rw")),
        ({"MountPoints": {"/x": {"Type": "cluster", "Name": "v", "RW": True}}}, {}, ("volume", "v", "/x", "rw")),
        (
            {"MountPoints": {"/x": {"Type": "image", "Source": "/r/o", "Spec": {"Source": "app:1"}}}},
            {},
            ("image", "app:1", "/x", "ro"),
        ),
        ({}, {"Tmpfs": {"/x": "size=1m,ro"}}, ("tmpfs", "", "/x", "ro")),
        (
            {"SecretReferences": [{"SecretID": "i", "SecretName": "key", "File": {"Name": "key.pem"}}]},
            {},
            ("secret", "key", "/run/secrets/key.pem", "ro"),
        ),
        (
            {"ConfigReferences": [{"ConfigID": "i", "ConfigName": "conf", "File": {"Name": "/etc/x"}}]},
            {},
            ("config", "conf", "/etc/x", "ro"),
        ),
        # only hostconfig.json can be read
        ({"MountPoints": "?"}, {"Binds": ["/srv/x:/x:z,ro"]}, ("bind", "/srv/x", "/x", "ro")),
        ({"MountPoints": {"/x": 5}}, {"Binds": ["/srv/x:/x"]}, ("bind", "/srv/x", "/x", "rw")),
        ({"MountPoints": {"/x": {}}}, {"Binds": ["/srv/x:/x/"]}, ("bind", "/srv/x", "/x", "rw")),
        ({}, {"Binds": ["v:/x:nocopy"]}, ("volume", "v", "/x", "rw")),
        ({}, {"Binds": ["/x"]}, ("volume", "", "/x", "rw")),
        ({}, {"Binds": ["/x:ro"]}, ("volume", "", "/x", "ro")),
        ({}, {"Mounts": [{"Type": "bind", "Source": "/s", "Target": "/x"}]}, ("bind", "/s", "/x", "rw")),
        ({}, {"Mounts": [{"Type": "volume", "Source": "v", "Target": "/x"}]}, ("volume", "v", "/x", "rw")),
        ({}, {"Mounts": [{"Type": "volume", "Target": "/x", "ReadOnly": True}]}, ("volume", "", "/x", "ro")),
        ({}, {"Mounts": [{"Type": "tmpfs", "Target": "/x"}]}, ("tmpfs", "", "/x", "rw")),
        # and where not even that helps, it is named all the same
        ({"MountPoints": {"/x": {}}}, {}, ("bind", "", "/x", "rw")),
        ({"Volumes": {"/x": 7}}, {}, ("bind", "", "/x", "rw")),
    ],
)
def test_each_way_to_write_a_mount_down(config: Json, host: Json, expected: tuple[str, ...]) -> None:
    assert mounts(config, host) == [expected]


@pytest.mark.parametrize("binds", [None, "?", [None, 5, {}, "", ":", "::", "x", "x:y", ":" * 99, "\x00"]])
def test_what_is_no_mount_is_none(binds: object) -> None:
    assert [one for one in mounts({}, {"Binds": binds, "Mounts": binds, "Tmpfs": binds}) if one[2] != "/"] == []


def test_what_the_engine_wrote_wins_over_what_was_asked_for() -> None:
    config = {"MountPoints": {"/x": _POINT}, "Config": {"Volumes": {"/x": {}, "/x/": {}}}}
    assert mounts(config, {"Binds": ["/else:/x"], "Tmpfs": {"//x": ""}}) == [("bind", "/srv/x", "/x", "rw")]


def test_where_a_volume_of_a_plugin_was_is_kept() -> None:
    point = {"Type": "volume", "Name": "v", "Driver": "rexray", "Source": "/mnt/v", "RW": True}
    (mount,) = read_mounts({"MountPoints": {"/x": point}}, {})
    assert astuple(mount) == ("volume", "v", "/x", "rw", "/mnt/v", "rexray")


def test_a_container_without_a_readable_configuration_keeps_the_mounts_that_were_asked_for(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("base", 5).image("app", "base")
    built.container("web", "app", "base", host={"Binds": ["/srv/x:/x", "v:/v"]})
    (built.path / "containers" / digest("containerweb") / "config.v2.json").write_text("{")
    (container,) = scan(built.path).inventory.containers
    assert [(one.kind, one.source) for one in container.mounts] == [("volume", "v"), ("bind", "/srv/x")]


def test_what_a_container_has_of_another_is_named_before_its_first_start(tmp_path: Path) -> None:
    """Docker 1.0 to 1.6 writes the mounts of --volumes-from down at the first start."""
    built = graph_root(tmp_path).image("app")
    built.container("data", image="app", volumes={"/a": "/srv/a", "/b": "/srv/b"})
    built.container("heir", image="app")
    built.container("ring", image="app")
    built.container("own", image="app", volumes={"/c": "/srv/c"})
    for name, others in (("heir", ["data:ro", "gone", 5]), ("ring", ["heir", "ring"]), ("own", ["data"])):
        file = built.path / "containers" / hex_id(name) / "hostconfig.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"VolumesFrom": others}))
    found = {one.name: one.mounts for one in scan(built.path).inventory.containers}
    assert [(one.source, one.mode) for one in found["heir"]] == [("/srv/a", "ro"), ("/srv/b", "ro")]
    assert [one.source for one in found["ring"]] == ["/srv/a", "/srv/b"]
    assert [one.source for one in found["own"]] == ["/srv/c"], "it was started: what it has is written down"


def test_a_directory_that_is_named_like_a_volumes_is_another(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app")
    source = built.writer.volume("data", {"a": 1}, form="1.9")
    elsewhere = "/mnt/old/docker/volumes/data/_data"
    built.container("web", image="app", volumes={"/own": source, "/old": elsewhere})
    (container,) = scan(built.path).inventory.containers
    assert [(one.kind, one.source) for one in container.mounts] == [("bind", elsewhere), ("volume", "data")]
