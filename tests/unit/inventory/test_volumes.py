"""Volumes in each form that Docker kept them in, and what the database of later ones says besides."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from exporter.core.knowledge import Input
from exporter.core.measured import Reason
from exporter.core.model import Volume
from exporter.demo.bolt import write_bolt
from exporter.inventory.volumes import volume_of
from tests.support.product import scan
from tests.support.recorded import unpack_case
from tests.support.roots.layerdb import DbRoot, digest

_ID = digest("volume")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return DbRoot(tmp_path).path


def _volumes(root: Path) -> dict[str, Volume]:
    """The volumes without the time at which each came."""
    return {one.name: replace(one, created=None) for one in scan(root).inventory.volumes}


def _put(root: Path, name: str, content: Mapping[str, Any] | None = None) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        path.mkdir(parents=True)
    else:
        path.write_text(json.dumps(content))


def _database(root: Path, **about: Mapping[str, Any]) -> None:
    rows = {name: json.dumps(one).encode() for name, one in about.items()}
    write_bolt(root / "volumes/metadata.db", {"volumes": rows})


def test_a_volume_has_its_data_beside_what_is_kept_of_it(root: Path) -> None:
    _put(root, "volumes/data/_data")
    _put(root, f"volumes/{_ID}/_data")
    assert _volumes(root) == {
        "data": Volume("data", tree=("volumes", "data", "_data"), home=("volumes", "data")),
        _ID: Volume(_ID, anonymous=True, tree=("volumes", _ID, "_data"), home=("volumes", _ID)),
    }


def test_a_volume_is_as_old_as_the_entries_of_its_directory(root: Path) -> None:
    _put(root, "volumes/data/_data")
    _database(root, away={"Driver": "nfs"})
    os.utime(root / "volumes/data", (1.0, 86400.0))
    assert {one.name: one.created for one in scan(root).inventory.volumes} == {"data": 86400.0, "away": None}


@pytest.mark.parametrize(
    ("options", "mounted"),
    [
        ({}, ("", "", "")),
        ({"MountOpts": "o"}, ("", "", "o")),
        ({"MountType": "nfs"}, ("nfs", "", "")),
        ({"MountDevice": ":/export"}, ("", ":/export", "")),
        ({"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}, ("tmpfs", "tmpfs", "size=1m")),
        ({"MountType": "nfs", "type": "tmpfs"}, ("nfs", "", "")),
    ],
)
def test_a_volume_that_something_is_mounted_on_has_no_data_of_its_own(
    root: Path, options: Mapping[str, str], mounted: tuple[str, str, str]
) -> None:
    _put(root, "volumes/data/_data")
    _put(root, "volumes/data/opts.json", options)
    found = _volumes(root)["data"]
    assert (found.mount_type, found.device, found.options) == mounted
    data = ("volumes", "data", "_data")
    assert found.tree == (None if mounted[0] or mounted[1] else data)
    assert found.directory == data, "it is there while a container uses the volume"


@pytest.mark.parametrize(
    ("options", "optioned"),
    [
        ({}, False),
        ({"MountType": "", "MountOpts": "", "MountDevice": "", "Quota": {"Size": 0}}, False),
        ({"Quota": {"Size": 1048576}}, True),
        ({"MountOpts": "uid=1"}, True),
        ({"type": "tmpfs"}, True),
    ],
)
def test_a_volume_has_driver_options_where_any_is_set(
    root: Path, options: Mapping[str, object], optioned: bool
) -> None:
    _put(root, "volumes/data/_data")
    assert not _volumes(root)["data"].optioned
    _put(root, "volumes/data/opts.json", options)
    assert _volumes(root)["data"].optioned is optioned


def test_a_volume_whose_options_cannot_be_read_may_have_some(root: Path) -> None:
    _put(root, "volumes/data/_data")
    (root / "volumes/data/opts.json").write_text("{")
    assert _volumes(root)["data"].optioned


def test_options_that_only_the_database_has_are_options(root: Path) -> None:
    _put(root, "volumes/data/_data")
    _put(root, "volumes/plain/_data")
    _database(root, data={"Driver": "local", "Options": {"o": "uid=1"}}, plain={"Driver": "local", "Options": None})
    assert {name: one.optioned for name, one in _volumes(root).items()} == {"data": True, "plain": False}


def test_old_volumes_have_their_data_with_the_driver_vfs(root: Path) -> None:
    _put(root, f"volumes/{_ID}/config.json", {"IsBindMount": False})
    _put(root, f"vfs/dir/{_ID}")
    _put(root, "volumes/named/config.json", {})
    _put(root, "vfs/dir/named")
    _put(root, f"volumes/{digest('bind')}/config.json", {"IsBindMount": True})
    _put(root, f"volumes/{digest('gone')}/json", {})
    found = _volumes(root)
    assert {name: one.tree for name, one in found.items()} == {
        _ID: ("vfs", "dir", _ID),
        "named": None,
        digest("gone"): None,
    }
    assert found[_ID].directory == ("vfs", "dir", _ID)


def test_what_docker_1_0_makes_and_removes_among_its_volumes_is_none(root: Path) -> None:
    _put(root, f"volumes/{_ID}/json", {"id": _ID})
    _put(root, f"vfs/dir/{_ID}")
    _put(root, f"volumes/_tmp/{digest('half made')}/json", {})
    assert _volumes(root).keys() == {_ID}
    assert scan(root).problems == ()


def test_data_that_is_no_directory_is_a_problem(root: Path) -> None:
    _put(root, "volumes/data/_data", {})
    snapshot = scan(root)
    assert [(one.path, one.reason) for one in snapshot.problems] == [("volumes/data/_data", "not_regular")]
    assert [one.tree for one in snapshot.inventory.volumes] == [None]


def test_files_of_the_engine_among_the_volumes_are_none(root: Path) -> None:
    _put(root, "volumes/backingFsBlockDev", {})
    _database(root)
    assert _volumes(root) == {}
    assert not scan(root).problems


def test_the_database_tells_driver_labels_and_what_was_made_without_a_name(root: Path) -> None:
    for name in ("data", "nameless", "plain", "damaged"):
        _put(root, f"volumes/{name}/_data")
    _database(
        root,
        data={"Driver": "local", "Labels": {"com.docker.compose.project": "shop"}},
        nameless={"Driver": "", "Labels": {"com.docker.volume.anonymous": ""}},
        damaged={"Driver": 5, "Labels": [1]},
    )
    found = _volumes(root)
    assert {name: (one.driver, one.anonymous, one.compose_project) for name, one in found.items()} == {
        "data": ("local", False, "shop"),
        "nameless": ("local", True, ""),
        "plain": ("local", False, ""),
        "damaged": ("local", False, ""),
    }


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b'{"Driver": "x"}' + b" " * (8 * 1024 * 1024)])
def test_an_entry_of_the_database_that_cannot_be_decoded_is_a_problem_and_hides_no_other(
    root: Path, value: bytes
) -> None:
    for name in ("bad", "good"):
        _put(root, f"volumes/{name}/_data")
    about = b'{"Driver": "local", "Labels": {"com.docker.compose.project": "shop"}}'
    write_bolt(root / "volumes/metadata.db", {"volumes": {"bad": value, "good": about}})
    assert _volumes(root)["good"].compose_project == "shop"
    (problem,) = scan(root).problems
    assert (problem.path, problem.reason) == ("volumes/metadata.db", Reason.DECODE)
    assert problem.detail == "1 of its entries, one is that of bad"
    assert [gap.input for gap in scan(root).inventory.knowledge.gaps] == [Input.VOLUMES, Input.NAMES]


def test_a_database_of_0_bytes_is_one_that_the_engine_makes_anew(root: Path) -> None:
    _put(root, "volumes/data/_data")
    (root / "volumes/metadata.db").touch()
    found = scan(root)
    assert [one.name for one in found.inventory.volumes] == ["data"]
    assert found.problems == ()


def test_a_database_of_zeros_is_none(root: Path) -> None:
    (root / "volumes/metadata.db").write_bytes(bytes(32768))
    assert [one.path for one in scan(root).problems] == ["volumes/metadata.db"]


def test_the_case_of_an_empty_database_has_no_problem(tmp_path: Path) -> None:
    assert scan(unpack_case(23, tmp_path)).problems == ()


def test_volumes_of_plugins_are_known_from_the_database_alone_and_local_ones_are_not(root: Path) -> None:
    _put(root, "volumes/here/_data")
    labels = {"com.docker.compose.project": "shop"}
    _database(
        root,
        here={"Driver": "rexray"},
        away={"Driver": "nfs", "Labels": labels},
        gone={"Driver": "local"},
        odd={"Driver": ""},
        **{_ID: {"Driver": "nfs"}},
    )
    found = _volumes(root)
    assert found["here"] == Volume("here", driver="rexray", tree=("volumes", "here", "_data"), home=("volumes", "here"))
    assert found["away"] == Volume("away", driver="nfs", compose_project="shop")
    assert found[_ID] == Volume(_ID, anonymous=True, driver="nfs")
    assert found.keys() == {"here", "away", _ID}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/var/lib/docker/volumes/data/_data", ("/var/lib/docker", "data")),
        ("/var/lib/docker/volumes/data/_data/", ("/var/lib/docker", "data")),
        (f"/var/lib/docker/vfs/dir/{_ID}", ("/var/lib/docker", _ID)),
        (f"/var/lib/docker/vfs/dir/{_ID}/", ("/var/lib/docker", _ID)),
        ("/var/lib/docker/volumes/data/_data/inner", ("", "")),
        ("/var/lib/docker/volumes/data", ("", "")),
        ("/var/lib/docker/volumes//_data", ("", "")),
        ("/var/lib/docker/vfs/dir/short", ("", "")),
        ("/srv/data", ("", "")),
        ("/volumes/data/_data\n", ("", "")),
    ],
)
def test_a_host_path_is_a_volumes_data_where_it_ends_as_one(source: str, expected: tuple[str, str]) -> None:
    assert volume_of(source) == expected
