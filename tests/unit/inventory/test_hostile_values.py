"""Values that once stopped the exporter, as anyone with access to an engine's API can write them."""

import json
import os
from pathlib import Path

import pytest
from msgspec.structs import force_setattr

from exporter.core.measured import Reason
from exporter.core.model import Container, Mount
from exporter.core.units import parse_size
from exporter.inventory import container_mounts
from exporter.inventory.container_mounts import MountResolver
from exporter.inventory.files.values import decode, text
from tests.support.product import document_of, figures_of
from tests.support.roots import graph_root, hex_id
from tests.support.snapshots import container


@pytest.mark.parametrize(
    ("size", "files"), [("9" * 400, "1"), ("9" * 305, "999999"), ("9" * 19 + "p", "2"), ("1." + "9" * 500, "3")]
)
def test_a_log_limit_that_is_no_number_of_bytes_hides_nothing(tmp_path: Path, size: str, files: str) -> None:
    built = graph_root(tmp_path).image("base", size=100, tag="base:1")
    for name in ("odd", "sound"):
        built.container(name, image="base", log=b"12345")
    host = built.path / "containers" / hex_id("odd") / "hostconfig.json"
    host.write_text(
        json.dumps({"LogConfig": {"Type": "json-file", "Config": {"max-size": size, "max-file": files}}, "Binds": None})
    )
    found = figures_of(built.path)
    assert found("up") == 1
    assert {labels["container_id"] for labels, _ in found.all("container_log_size_bytes")} == {
        hex_id("odd")[:12],
        hex_id("sound")[:12],
    }
    assert found.sum("scan_errors_total", reason=Reason.INTERNAL) == 0
    limits = {labels["container_id"]: value for labels, value in found.all("container_log_limit_bytes")}
    assert limits.get(hex_id("odd")[:12], 0.0) < 2**63 * 1e6


@pytest.mark.parametrize(
    ("size", "bytes_"),
    [
        ("9223372036854774784", 9223372036854774784),
        ("9223372036854775808", None),
        ("9223372036854775808k", None),
        ("9" * 400, None),
        ("8191p", 8191 * 1000**5),
        ("10000p", None),
    ],
)
def test_a_size_is_one_that_fits_into_64_bits(size: str, bytes_: int | None) -> None:
    assert parse_size(size) == bytes_


@pytest.mark.parametrize("digits", [1, 19, 20, 21, 400, 4301, 100_000])
def test_a_number_of_any_length_hides_no_other_value(digits: int) -> None:
    found = decode(b'{"Pid": ' + b"9" * digits + b', "Name": "web", "Minus": -' + b"9" * digits + b"}")
    assert text(found, "Name") == "web"
    assert found is not None
    kinds = {type(found[key]) for key in ("Pid", "Minus")}
    assert kinds == ({int} if digits < 19 else {float})


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_to_an_engine_is_none_here(constant: bytes) -> None:
    assert decode(b'{"a": ' + constant + b"}") is None


def _chain(length: int) -> list[Container]:
    """Containers of which each has the mounts of the next one, too."""
    found = []
    for at in range(length):
        mounts = (Mount("bind", f"/s{at}", f"/{at}", "rw"),)
        found.append(container(f"c{at}", volumes_from=(f"c{at + 1}",)))
        force_setattr(found[-1], "mounts", mounts)
    return found


def test_1200_containers_that_are_chained_have_all_their_mounts() -> None:
    chain = _chain(1200)
    resolver = MountResolver(chain, frozenset())
    assert [len(resolver.resolve(one).mounts) for one in chain] == list(range(1200, 0, -1))


def test_chained_containers_beyond_the_limit_are_counted_and_the_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_mounts, "_MOST_INHERITED", 30)
    built = graph_root(tmp_path).image("base", size=100, tag="base:1")
    for at in range(12):
        built.container(f"c{at}", image="base")
        host = built.path / "containers" / hex_id(f"c{at}") / "hostconfig.json"
        host.write_text(json.dumps({"VolumesFrom": [hex_id(f"c{at + 1}")], "Binds": [f"/s{at}:/d{at}"]}))
    found = figures_of(built.path)
    assert len(found.all("container_info")) == 12
    assert found("scan_errors_total", collector="containers", reason="too_large") >= 1
    assert found("known", input="container_configs") == 0
    assert found.sum("scan_errors_total", reason=Reason.INTERNAL) == 0


@pytest.mark.parametrize("name", ["/", "..", ".", "a/b", "a\0b", "../../etc"])
def test_a_driver_or_a_volume_by_a_name_that_no_directory_has_is_not_there(tmp_path: Path, name: str) -> None:
    built = graph_root(tmp_path).image("base", size=100, tag="base:1").container("odd", image="base")
    path = built.path / "containers" / hex_id("odd") / "config.json"
    content = json.loads(path.read_text())
    volumes = {"/v": f"/var/lib/docker/volumes/{name}/_data"}
    path.write_text(json.dumps({**content, "Driver": name, "Volumes": volumes, "VolumesRW": {"/v": True}}))
    found = figures_of(built.path)
    assert found.sum("scan_errors_total", reason=Reason.INTERNAL) == 0
    assert len(found.all("container_info")) == 1
    assert len(found.all("image_info")) == 1


def test_a_graph_driver_whose_name_is_not_utf8_leaves_the_document_readable(tmp_path: Path) -> None:
    """The name is that of a directory. Half a surrogate pair is no JSON: no command could read the document."""
    for name in ("overlay2", os.fsdecode(b"\xff")):
        for part in ("layerdb/sha256", "imagedb/content/sha256"):
            (tmp_path / "image" / name / part).mkdir(parents=True)
        (tmp_path / name).mkdir()
    assert set(document_of(tmp_path).drivers) == {"overlay2", "\\xff"}
