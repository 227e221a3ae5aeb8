"""What is mounted into containers, word by word of what Docker wrote down."""

from typing import Any

import pytest
from msgspec.structs import replace

from exporter.core.model import Container, Mount
from exporter.inventory.container_mounts import MountResolver, origin, read_mounts, volumes_from
from tests.support.snapshots import container

Json = dict[str, Any]


def _mounts(config: Json, host: Json | None = None) -> list[Mount]:
    return list(read_mounts(config, host or {}))


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("/srv/x:/x", Mount("bind", "/srv/x", "/x", "rw")),
        ("/srv/x:/x:ro", Mount("bind", "/srv/x", "/x", "ro")),
        ("/srv/x:/x:rw,z", Mount("bind", "/srv/x", "/x", "rw")),
        ("/srv/x:/x:z,ro", Mount("bind", "/srv/x", "/x", "ro")),
        ("/srv/x:/x:rot", Mount("bind", "/srv/x", "/x", "rw")),
        ("/srv/a:b:/x", Mount("bind", "/srv/a:b", "/x", "rw")),
        ("/srv/a:b:/x:ro", Mount("bind", "/srv/a:b", "/x", "ro")),
        ("data:/x", Mount("volume", "data", "/x", "rw")),
        ("/srv/x:/x:" + "z" * 64, Mount("bind", "/srv/x", "/x", "rw")),
        ("/x", Mount("volume", "", "/x", "rw")),
    ],
)
def test_a_bind_is_source_destination_and_mode(bind: str, expected: Mount) -> None:
    assert _mounts({}, {"Binds": [bind]}) == [expected]


@pytest.mark.parametrize("bind", ["data:x:ro", "/srv/x:/x:" + "z" * 65])
def test_a_bind_without_a_destination_or_with_a_mode_that_is_none_is_no_mount(bind: str) -> None:
    assert _mounts({}, {"Binds": [bind]}) == []


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (
            {"Type": "volume", "Name": "v", "Source": "/s", "Driver": "nfs"},
            Mount("volume", "v", "/x", "ro", "/s", "nfs"),
        ),
        ({"Type": "bind", "Name": "v", "Source": "/s", "RW": True}, Mount("volume", "v", "/x", "rw", "/s")),
        ({"Type": "tmpfs", "Source": "/s", "RW": True}, Mount("tmpfs", "", "/x", "rw")),
        ({"Type": "image", "Source": "/s"}, Mount("image", "/s", "/x", "ro")),
        ({"Type": "image", "Source": "/s", "Spec": {"Source": "app:1"}}, Mount("image", "app:1", "/x", "ro")),
        ({"Type": "npipe", "Source": "/s"}, Mount("bind", "/s", "/x", "ro")),
        ({"Type": "bind"}, Mount("bind", "", "/x", "rw")),
    ],
)
def test_a_mount_point_is_what_it_has_a_name_or_a_type_for(point: Json, expected: Mount) -> None:
    assert _mounts({"MountPoints": {"/x": point}}) == [expected]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"Type": "bind", "Source": "/s", "ReadOnly": True}, Mount("bind", "/s", "/x", "ro")),
        ({"Source": "/s"}, Mount("bind", "/s", "/x", "rw")),
        ({"Type": "tmpfs", "Source": "/s"}, Mount("tmpfs", "", "/x", "rw")),
        ({"Type": "cluster", "Source": "v"}, Mount("volume", "v", "/x", "rw")),
        (
            {"Type": "volume", "Source": "v", "VolumeOptions": {"DriverConfig": {"Name": "nfs"}}},
            Mount("volume", "v", "/x", "rw", driver="nfs"),
        ),
    ],
)
def test_a_mount_that_was_asked_for_by_its_parts(asked: Json, expected: Mount) -> None:
    assert _mounts({}, {"Mounts": [asked | {"Target": "/x"}]}) == [expected]


def test_secrets_lie_where_they_are_named_and_configs_from_the_top() -> None:
    config = {
        "SecretReferences": [
            {"SecretName": "plain"},
            {"SecretName": "moved", "File": {"Name": "/etc/key"}},
            {"SecretName": "", "File": {}},
        ],
        "ConfigReferences": [{"ConfigName": "plain"}, {"ConfigName": "moved", "File": {"Name": "etc/conf"}}],
    }
    assert _mounts(config) == [
        Mount("config", "moved", "/etc/conf", "ro"),
        Mount("secret", "moved", "/etc/key", "ro"),
        Mount("config", "plain", "/plain", "ro"),
        Mount("secret", "plain", "/run/secrets/plain", "ro"),
    ]


def test_of_several_on_one_destination_the_one_that_the_engine_wrote_stands() -> None:
    """In this order: mount points, paths of old engines, what was asked for, memory, secrets, anonymous volumes."""
    paths: Json = {"Volumes": {"/x": "/old"}, "VolumesRW": {"/x": False}}
    points: Json = {"MountPoints": {"//x/.": {"Source": "/point", "RW": True}}}
    secret: Json = {"SecretReferences": [{"SecretName": "key", "File": {"Name": "/x"}}]}
    anonymous: Json = {"Config": {"Volumes": {"/x": {}}}}
    binds, mounts, memory = (
        {"Binds": ["/bind:/x"]},
        {"Mounts": [{"Source": "/m", "Target": "/x"}]},
        {"Tmpfs": {"/x": "ro"}},
    )
    config = points | paths | secret | anonymous
    host = binds | mounts | memory
    for gone, source in (
        ("", "/point"),
        ("MountPoints", "/old"),
        ("Volumes", "/bind"),
        ("Binds", "/m"),
        ("Mounts", ""),
        ("Tmpfs", "key"),
        ("SecretReferences", ""),
    ):
        config.pop(gone, None)
        host.pop(gone, None)
        (found,) = _mounts(config, host)
        assert (found.destination, found.source) == ("/x", source), gone
    assert found == Mount("volume", "", "/x", "rw")


def test_mounts_are_told_in_the_order_of_their_destinations() -> None:
    assert [one.destination for one in _mounts({}, {"Binds": ["/s:/b", "/s:/a/c", "/s:/a", "/s:/"]})] == [
        "/",
        "/a",
        "/a/c",
        "/b",
    ]


@pytest.mark.parametrize("key", ["LogPath", "HostnamePath", "HostsPath", "ResolvConfPath"])
def test_the_data_root_is_told_by_the_paths_of_a_containers_own_files(key: str) -> None:
    assert origin({key: "/mnt/containers/docker/containers/abc/hosts"}) == "/mnt/containers/docker"
    assert origin({key: "/elsewhere/hosts"}) == ""
    assert origin({}) == ""


def test_what_other_containers_mounts_are_wanted_of_is_told_until_the_engine_has_written_them_down() -> None:
    host = {"VolumesFrom": ["a:ro", "", 5]}
    assert volumes_from({}, host) == ("a:ro",)
    assert volumes_from({"Config": {"VolumesFrom": "b,c"}}, host) == ("a:ro", "b", "c")
    for written in ("MountPoints", "Volumes"):
        assert volumes_from({written: {"/x": {}}}, host) == ()
        assert volumes_from({written: {}}, host) == ("a:ro",)


_BIND, _VOLUME, _TMPFS = (
    Mount("bind", "/s", "/s", "rw"),
    Mount("volume", "v", "/v", "rw"),
    Mount("tmpfs", "", "/t", "rw"),
)


def _resolved(containers: list[Container], volumes: frozenset[str] = frozenset()) -> list[Container]:
    resolver = MountResolver(containers, volumes)
    return [resolver.resolve(one) for one in containers]


def _named(name: str, *mounts: Mount, **fields: Any) -> Container:
    return replace(container(name, **fields), name=name, mounts=mounts)


def test_binds_and_volumes_of_others_are_a_containers_own_too_and_its_own_come_first() -> None:
    data = _named("data", _BIND, _TMPFS, _VOLUME)
    own = Mount("bind", "/own", "/s", "rw")
    for wanted, mode in (("data", "rw"), ("/data", "rw"), ("data:rw", "rw"), ("data:ro", "ro")):
        found = _resolved([data, _named("heir", own, volumes_from=(wanted,))])
        assert found[0].mounts == data.mounts
        assert found[1].mounts == (own, Mount("volume", "v", "/v", mode))


def test_what_is_inherited_is_inherited_on_and_a_ring_ends() -> None:
    first, second = _named("a", _BIND, volumes_from=("b",)), _named("b", _VOLUME, volumes_from=("a", "gone"))
    found = _resolved([first, second, _named("c", volumes_from=("a:ro",))])
    assert [[(one.destination, one.mode) for one in each.mounts] for each in found] == [
        [("/s", "rw"), ("/v", "rw")],
        [("/s", "rw"), ("/v", "rw")],
        [("/s", "ro"), ("/v", "ro")],
    ]


def test_a_path_of_a_volumes_data_is_the_volume_where_it_lies_in_this_root() -> None:
    path = Mount("bind", "/var/lib/docker/volumes/data/_data", "/x", "ro")
    volume = Mount("volume", "data", "/x", "ro", path=path.source)

    def resolved(mount: Mount, volumes: set[str], *roots: str) -> Mount:
        others = [_named(f"other{at}", origin=root) for at, root in enumerate(roots)]
        return _resolved([_named("web", mount), *others], frozenset(volumes))[0].mounts[0]

    assert resolved(path, {"data"}) == volume
    assert resolved(path, {"data"}, "/var/lib/docker", "") == volume
    assert resolved(path, {"data"}, "/mnt/docker") == path
    assert resolved(path, {"more"}) == path
    tmpfs = Mount("tmpfs", path.source, "/x", "rw")
    assert resolved(tmpfs, {"data"}) == tmpfs
