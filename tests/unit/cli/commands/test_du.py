import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from exporter.cli.commands.du import du
from exporter.cli.commands.du_places import KnownRoot, known
from exporter.cli.commands.fit import cut
from exporter.cli.commands.habits import PLAIN
from exporter.cli.commands.tables import Table
from exporter.config.settings import NO_CONTAINERD, Config
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.usage import allocated, inodes


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    built = (
        graph_root(tmp_path)
        .image("base", files={"lib": 50_000, ".wh.gone": 0})
        .image("app", parent="base", tag="app:1")
    )
    built.container("web", image="app", writable={"var/log/big": 90_000, "var/small": 10, "tmp/x": 5000, ".wh.etc": 0})
    built.container("volumes", image="app")
    built.writer.volume("data", {"a": 7000, "sub/b": 20_000}, form="1.9")
    built.writer.volume(hex_id("old"), {"a": 7}, form="1.9")
    return built


@pytest.fixture
def root(built: GraphRoot) -> Iterator[KnownRoot]:
    with known(Config(root=str(built.path), containerd_root=NO_CONTAINERD)) as found:
        yield found


def found(root: KnownRoot, wanted: str, path: str = "", depth: int = 1, files: int = 10) -> dict[str, Any]:
    answer = du(root, wanted, path, depth=depth, files=files)
    return {**answer.data, "failed": answer.failed}


def paths(place: dict[str, Any]) -> list[str]:
    return [one["path"] for one in place["entries"]]


def test_a_container_is_its_writable_layer_and_its_log(root: KnownRoot, built: GraphRoot) -> None:
    data = found(root, "web", depth=3)
    layer, home = data["places"]
    assert {*paths(layer)} == {"var/", "var/log/", "var/log/big", "tmp/", "tmp/x", "var/small", "etc"}
    sizes = [one["allocated"] for one in layer["entries"]]
    assert sizes == sorted(sizes, reverse=True)
    assert [one["kind"] for one in layer["entries"] if one["path"] == "etc"] == ["deleted"]
    assert layer["deleted"] == 1
    assert layer["allocated"] == allocated(built.path / "aufs/diff" / hex_id("web"))
    assert home["inodes"] == inodes(built.path / "containers" / hex_id("web"))
    assert data["total"]["allocated"] == layer["allocated"] + home["allocated"]
    assert not data["failed"]


def test_what_is_at_a_path(root: KnownRoot) -> None:
    assert paths(found(root, "web", "/var/./log//")["places"][0]) == ["big"]
    (alone,) = found(root, "web", "var/log/big")["places"]
    assert (alone["size"], alone["inodes"], alone["entries"]) == (90_000, 1, [])
    nothing = found(root, "web", "srv")
    assert nothing["failed"]
    assert nothing["places"][0]["allocated"] is None
    with pytest.raises(click.UsageError, match="stay in the object"):
        du(root, "web", "var/../../..", depth=1, files=1)


def test_a_link_is_never_followed(root: KnownRoot, built: GraphRoot) -> None:
    layer = built.path / "aufs/diff" / hex_id("web")
    (layer / "out").symlink_to("/etc")
    (alone,) = found(root, "web", "out")["places"]
    assert (alone["size"], alone["inodes"]) == (len("/etc"), 1)
    behind = found(root, "web", "out/ssl")
    assert behind["failed"]
    assert "not followed" in behind["problems"][0]["detail"]


def test_an_image_is_each_of_its_layers(root: KnownRoot) -> None:
    data = found(root, "app:1")
    assert [one["key"] for one in data["places"]] == [hex_id("app"), hex_id("base")]
    assert paths(data["places"][1]) == ["lib", "gone"]
    assert [one["key"] for one in found(root, "app:1", "lib")["places"]] == [hex_id("base")]
    assert found(root, hex_id("app")[:12])["kind"] == "image"
    assert [one["key"] for one in found(root, "layer:" + hex_id("app")[:12])["places"]] == [hex_id("app")]


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ("data", "volume"),
        ("volume:data", "volume"),
        (hex_id("old"), "volume"),
        (hex_id("old")[:9], "volume"),
        ("aufs", "part"),
        (".", "part"),
        ("part:volumes", "part"),
        ("container:volumes", "container"),
        ("/web", "container"),
        (hex_id("web")[:12], "container"),
        (f"sha256:{hex_id('base')}", "image"),
        ("log:web", "log"),
    ],
)
def test_what_a_name_means(root: KnownRoot, wanted: str, kind: str) -> None:
    data = found(root, wanted)
    assert (data["kind"], data["failed"]) == (kind, False)


def test_a_name_of_several_lists_what_it_can_mean(root: KnownRoot) -> None:
    data = found(root, "volumes")
    assert data["failed"]
    assert [one["name"] for one in data["matches"]] == [f"container:{hex_id('volumes')}", "part:volumes"]
    nothing = found(root, "nothing")
    assert (nothing["failed"], nothing["matches"]) == (True, [])


def test_the_root_as_a_whole_is_the_sum_of_its_parts(root: KnownRoot, built: GraphRoot) -> None:
    (place,) = found(root, ".")["places"]
    assert place["allocated"] == allocated(built.path)
    parts = [found(root, f"part:{name}")["places"][0]["allocated"] for name in os.listdir(built.path)]
    assert sum(parts) + built.path.lstat().st_blocks * 512 == place["allocated"]


def test_files_beyond_the_largest_are_one_line(root: KnownRoot) -> None:
    (place,) = found(root, "part:containers", depth=2, files=1)["places"]
    more = [one for one in place["entries"] if one["kind"] == "files"]
    assert len(more) == 2
    assert all("more files)" in one["path"] for one in more)


def test_rows_are_sorted_chosen_and_limited_over_all_places(root: KnownRoot) -> None:
    def asked(**habits: Any) -> list[list[str]]:
        answer = du(root, "web", "", depth=2, files=10, habits=replace(PLAIN, **habits))
        return [paths(place) for place in answer.data["places"]]

    layer, _ = asked(sort=("path",))
    assert layer == ["etc", "tmp/", "tmp/x", "var/", "var/log/", "var/small"]
    assert asked(limit=1) == [["var/"], []]
    assert asked(filters=(("kind", "deleted"),)) == [["etc"], []]
    assert asked(sort=("inodes",), limit=1, filters=(("kind", "directory"),)) == [["var/"], []]
    answer = du(root, "web", "", depth=0, files=0, habits=replace(PLAIN, limit=0))
    first, *_, total = (part for part in answer.parts if isinstance(part, Table))
    assert "in all" in first.rows[0]
    assert len({row[-1] for row in total.rows}) == 2
    assert not any("/" in str(row[-1]) for row in total.rows), "a path is in the title of its table"


def test_a_log_is_its_files(root: KnownRoot, built: GraphRoot) -> None:
    (place,) = found(root, "log:web")["places"]
    logs = [*(built.path / "containers" / hex_id("web")).glob("*-json.log*")]
    assert paths(place) == [str(one) for one in logs]
    assert place["allocated"] == sum(map(allocated, logs))
    with pytest.raises(click.UsageError, match="no PATH"):
        du(root, "log:web", "x", depth=1, files=1)


def test_a_container_of_a_pod_is_meant_by_the_name_that_tables_show(root: KnownRoot) -> None:
    row = next(one for one in root.document.containers if one.name == "web")
    pod = replace(row, name="agent", pod="agent-x", pod_namespace="monitoring", pod_container="agent")
    root.index.document = replace(root.document, containers=(pod,))
    assert [one.name for one in root.meant("monitoring/agent-x/agent")] == [row.id]


@pytest.mark.parametrize(
    ("path", "width", "expected"),
    [
        ("overlay2/abcdef/", 12, "…/abcdef/"),
        ("overlay2/abcdefghijkl/", 9, "…fghijkl/"),
        ("abcdefghijkl/", 9, "…fghijkl/"),
    ],
)
def test_of_a_directory_that_is_too_long_more_is_left_than_its_slash(path: str, width: int, expected: str) -> None:
    assert cut(path, width, "…", left=True) == expected
