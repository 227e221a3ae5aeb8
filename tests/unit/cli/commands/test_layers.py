import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import layers
from exporter.cli.commands.tables import Lines
from exporter.cli.commands.whose import whose
from tests.support.product import document_of
from tests.support.recorded import unpack_case
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest


@pytest.fixture
def built(tmp_path: Path) -> GraphRoot:
    built = graph_root(tmp_path).image("base", size=10).image("app", parent="base", size=3, tag="app:1")
    built.image("tool", parent="base", size=4, tag="tool:1")
    built.container("web", image="app", writable={"w": 3}, volumes={"/srv": "/srv/web"})
    built.writer.volume("data", {"a": 7}, form="1.9")
    built.writer.volume(hex_id("old"), {"a": 7})
    (built.path / "aufs" / "diff" / hex_id("stray")).mkdir()
    return built


def found(built: GraphRoot, wanted: str, *, orphaned: bool = False) -> dict[str, Any]:
    answer = layers(Index(document_of(built.path, orphaned_after=0)), wanted, orphaned=orphaned)
    return {**answer.data, "failed": answer.failed}


def test_every_layer_says_whose_it_is(built: GraphRoot) -> None:
    owners = {
        one["id"]: ([image["references"] for image in one["images"]], one["container"])
        for one in found(built, "")["layers"]
    }
    assert sorted(owners[hex_id("base")][0]) == [("app:1",), ("tool:1",)]
    assert owners[hex_id("web")] == ([], {"id": hex_id("web"), "name": "web"})
    assert owners[hex_id("web") + "-init"][1] == {"id": hex_id("web"), "name": "web"}
    assert owners[hex_id("stray")] == ([], None)


def test_only_orphaned_layers_on_demand(built: GraphRoot) -> None:
    (only,) = found(built, "", orphaned=True)["layers"]
    assert only["path"] == str(built.path / "aufs" / "diff" / hex_id("stray"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (hex_id("app")[:8], ["app", "base"]),
        ("app:1", ["app", "base"]),
        ("web", ["web", "web-init", "app", "base"]),
        ("/web", ["web", "web-init", "app", "base"]),
        (hex_id("stray")[:10], ["stray"]),
        ("sha256:" + hex_id("base"), ["base"]),
    ],
)
def test_an_id_or_name_shows_its_layers(built: GraphRoot, wanted: str, expected: list[str]) -> None:
    ids = [one["id"] for one in found(built, wanted)["layers"]]
    assert ids == [
        hex_id(name.removesuffix("-init")) + ("-init" if name.endswith("-init") else "") for name in expected
    ]


def test_a_beginning_that_several_have_names_them(built: GraphRoot) -> None:
    answer = found(built, "")
    assert not answer["failed"]
    none = found(built, "ffffffffffff")
    assert none["failed"]
    ambiguous = graph_root(built.path.parent / "two")
    for one in ("ab" + "0" * 62, "ab" + "1" * 62):
        ambiguous.writer.image(one, layersize=1)
    both = found(ambiguous, "ab")
    assert both["failed"]
    assert len({one["id"] for one in both["matches"]}) == 2


@pytest.mark.parametrize(
    ("path", "kind", "what"),
    [
        ("aufs/diff/{app}/etc/passwd", "image", "app"),
        ("aufs/mnt/{web}", "container", "web"),
        ("containers/{web}/{web}-json.log", "container", "web"),
        ("graph/{app}/json", "image", "app"),
        ("aufs/layers/{web}-init", "container", "web"),
        ("aufs/diff/{base}-removing/x", "layer", "base"),
        ("vfs/dir/{old}/a", "volume", "old"),
        ("volumes/{old}/config.json", "volume", "old"),
    ],
)
def test_a_path_says_whose_it_is(built: GraphRoot, path: str, kind: str, what: str) -> None:
    names = {name: hex_id(name) for name in ("app", "web", "base", "old")}
    index = Index(document_of(built.path))
    for given in (str(built.path / path.format(**names)), path.format(**names)):
        first = whose(index, given).data["owners"][0]
        assert (first["kind"], first["id"]) == (kind, hex_id(what))


def test_paths_as_the_engine_knew_them_are_understood(built: GraphRoot) -> None:
    """On a disk that is mounted elsewhere, logs and `docker inspect` of old say /var/lib/docker."""
    index = Index(document_of(built.path))
    assert index.document.origins == ("/var/lib/docker",)
    answer = whose(index, f"/var/lib/docker/aufs/diff/{hex_id('web')}/../{hex_id('app')}/etc")
    assert answer.data["owners"][0]["id"] == hex_id("app")
    assert whose(index, "/var/lib/docker").data["owners"][0]["kind"] == "root"
    assert whose(index, "/var/lib/dockers/x").failed


_PLUGIN = "e" * 64


def _with_plugin(built: GraphRoot, config: object) -> Index:
    home = built.path / "plugins" / _PLUGIN
    (home / "rootfs").mkdir(parents=True)
    (home / "config.json").write_text(json.dumps(config))
    return Index(document_of(built.path))


def test_a_file_of_a_plugin_names_the_plugin_and_the_container_whose_log_it_is(built: GraphRoot) -> None:
    interface = {"Types": ["docker.logdriver/1.0"]}
    index = _with_plugin(built, {"plugin": {"Name": "shipper:latest", "Config": {"Interface": interface}}})
    for file in (f"{hex_id('web')}/json.log", f"{hex_id('web')}-json.log"):
        owners = whose(index, f"plugins/{_PLUGIN}/rootfs/var/log/docker/{file}").data["owners"]
        assert [(one["kind"], one["id"]) for one in owners] == [("container", hex_id("web")), ("plugin", _PLUGIN)]
        assert owners[1]["text"] == f"shipper:latest ({_PLUGIN[:12]}), for logdriver"
    gone, plugin = whose(index, f"plugins/{_PLUGIN}/rootfs/{hex_id('gone')}/json.log").data["owners"]
    assert (gone["kind"], gone["id"], plugin["kind"]) == ("container", hex_id("gone"), "plugin")
    assert "no container of this root" in gone["text"]
    assert whose(index, "plugins/tmp").data["owners"][0]["kind"] == "part"


@pytest.mark.parametrize("config", [{"plugin": {"Name": "shipper:1"}}, {"plugin": {"Config": 5}}, {}, []])
def test_a_plugin_that_says_little_of_itself(built: GraphRoot, config: object) -> None:
    answer = whose(_with_plugin(built, config), f"plugins/{_PLUGIN}/rootfs/{hex_id('gone')}")
    (owner,) = answer.data["owners"]
    assert (owner["kind"], owner["id"]) == ("plugin", _PLUGIN)
    assert ("shipper:1" if "shipper" in str(config) else "its name cannot be read") in owner["text"]


def test_case_14(tmp_path: Path) -> None:
    root = unpack_case(14, tmp_path)
    document = document_of(root)
    (web,) = document.containers
    assert (web.log_driver, web.log_bounded, web.log_limit, web.log) == ("shipper:latest", None, None, None)
    files = [str(one.relative_to(root)) for one in (root / "plugins").rglob("json.log")]
    owners = [whose(Index(document), file).data["owners"] for file in files]
    assert {one[-1]["text"] for one in owners} == {f"shipper:latest ({files[0].split('/')[1][:12]}), for logdriver"}
    assert [one[0]["id"] for one in owners] == [file.split("/")[-2] for file in files]


def test_what_is_not_there_is_nobodys(built: GraphRoot) -> None:
    answer = whose(Index(document_of(built.path)), "nothing/there")
    assert (answer.failed, answer.data["owners"]) == (True, [])


def test_a_path_of_no_object_says_what_it_is(built: GraphRoot, tmp_path: Path) -> None:
    index = Index(document_of(built.path))
    assert whose(index, str(built.path)).data["owners"][0]["kind"] == "root"
    assert "temporary" in whose(index, "tmp/x").data["owners"][0]["text"]
    assert whose(index, "volumes/data/_data/a").data["owners"][0]["id"] == "data"
    outside = whose(index, str(tmp_path / "elsewhere"))
    assert outside.failed
    (bind,) = whose(index, "/srv/web/index.html").data["owners"]
    assert (bind["kind"], bind["id"]) == ("bind mount", hex_id("web"))
    (built.path / "aufs" / "l").symlink_to(built.path / "aufs" / "diff" / hex_id("app"))
    assert whose(index, str(built.path / "aufs" / "l")).data["owners"][0]["id"] == hex_id("app")
    link = tmp_path / "link"
    link.symlink_to(built.path)
    assert whose(index, str(link / "aufs/diff" / hex_id("app"))).data["owners"][0]["id"] == hex_id("app")


def owners(built: DbRoot) -> dict[str, str]:
    index = Index(document_of(built.path, orphaned_after=0))
    return {one.id: index.owner(one) for one in index.document.layers}


@pytest.fixture
def newer(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path / "newer").layer("base", 10).layer("app", 3, "base").image("app", "app", ["app:1"])
    return built.container("web", "app", "app")


def test_a_layer_that_only_a_container_stands_on_names_the_container(newer: DbRoot) -> None:
    newer.remove_image("app")
    said = owners(newer)
    assert said[newer.cache("app")] == said[newer.cache("base")] == "image (removed) of container web"
    assert said[digest("mountweb")] == "container web"
    newer.container("db", "app", "app")
    assert owners(newer)[newer.cache("base")] == "image (removed) of container db and 1 more"


def test_a_container_whose_configuration_is_lost_stands_on_a_removed_image_as_well(newer: DbRoot) -> None:
    newer.remove_image("app")
    identity = digest("containerweb")
    (newer.path / "containers" / identity / "config.v2.json").write_bytes(b"")
    assert owners(newer)[newer.cache("base")] == f"image (removed) of container {identity[:12]}"


def test_where_the_image_may_be_there_it_is_not_called_removed(newer: DbRoot) -> None:
    (newer.base / "imagedb/content/sha256" / newer.images["app"]).write_text("{")
    assert owners(newer)[newer.cache("base")] == "image of container web"


def test_where_the_images_cannot_be_listed_no_image_is_called_removed(newer: DbRoot) -> None:
    newer.remove_image("app")
    store = newer.base / "imagedb/content/sha256"
    store.rmdir()
    store.write_text("no directory")
    assert owners(newer)[newer.cache("base")] == "image of container web"


def test_where_the_containers_cannot_be_listed_none_is_called_gone(newer: DbRoot) -> None:
    containers = newer.path / "containers"
    shutil.rmtree(containers)
    containers.write_text("no directory")
    assert owners(newer)[digest("mountweb")] == "a container that is not known"


def test_the_init_layer_that_is_left_names_its_container(newer: DbRoot) -> None:
    shutil.rmtree(newer.layers / digest("mountweb"))
    assert owners(newer)[f"{digest('mountweb')}-init"] == "init layer of container web"


def test_the_old_init_layer_that_is_left_names_its_container(built: GraphRoot) -> None:
    shutil.rmtree(built.path / "aufs/diff" / hex_id("web"))
    index = Index(document_of(built.path, orphaned_after=0))
    assert index.owner(index.layers["aufs", f"{hex_id('web')}-init"]) == "init layer of container web"


def test_what_an_entry_without_a_container_holds_is_named_after_that(newer: DbRoot) -> None:
    identity = digest("containerweb")
    shutil.rmtree(newer.path / "containers" / identity)
    newer.remove_image("app")
    gone = f"container {identity[:12]} (gone, but for its entry in layerdb/mounts)"
    said = owners(newer)
    assert said[digest("mountweb")] == gone
    assert said[f"{digest('mountweb')}-init"] == f"init layer of {gone}"
    assert said[newer.cache("base")] == f"image (removed) of {gone}"
    index = Index(document_of(newer.path))
    about = layers(index, digest("mountweb")[:10], orphaned=False)
    assert any("no prune frees it" in line for part in about.parts if isinstance(part, Lines) for line in part.lines)
    left = layers(index, identity[:9], orphaned=False)
    assert {one["id"] for one in left.data["layers"]} >= {digest("mountweb"), newer.cache("base")}
    assert not left.failed
    named = {one["id"] for one in whose(index, f"image/overlay2/layerdb/mounts/{identity}").data["owners"]}
    assert named == {digest("mountweb"), f"{digest('mountweb')}-init", newer.cache("app"), newer.cache("base")}


def test_the_case_of_a_layer_without_a_name(tmp_path: Path) -> None:
    index = Index(document_of(unpack_case(27, tmp_path)))
    assert {index.owner(one) for one in index.document.layers} == {
        "image (removed) of container web",
        "container web",
        "init layer of container web",
    }
