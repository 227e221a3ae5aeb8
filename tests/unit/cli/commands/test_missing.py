"""Layers that are not on disk are named by `images` and `layers`, with what needs them."""

import json
import shutil
from pathlib import Path

import pytest

from exporter.cli.commands.image_tree import tree
from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import layers
from exporter.cli.commands.tables import Answer, Lines
from tests.support.product import document_of
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest


def _said(answer: Answer) -> list[str]:
    parts = [one for one in answer.parts if isinstance(one, Lines) and "not on disk" in one.title]
    return [line for part in parts for line in part.lines]


def _answers(path: Path) -> dict[str, Answer]:
    index = Index(document_of(path, orphaned_after=0))
    return {
        "images": images(index, intermediate=False),
        "tree": tree(index, full=False),
        "layers": layers(index, "", orphaned=False),
    }


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("base", 10).layer("app", 3, "base").layer("tool", 4, "base")
    built.image("app", "app", ["app:1"]).image("tool", "tool", ["tool:1"])
    return built.container("web", "app", "app")


def test_where_all_layers_are_there_nothing_is_named(built: DbRoot) -> None:
    for answer in _answers(built.path).values():
        assert (_said(answer), answer.failed, answer.data["missing"]) == ([], False, [])


def test_a_layer_that_is_gone_is_named_with_the_images_and_containers_that_need_it(built: DbRoot) -> None:
    shutil.rmtree(built.layers / built.cache("app"))
    answers = _answers(built.path)
    assert all(answer.failed for answer in answers.values())
    lost = built.chains["app"][:12]
    expected = [f"image app:1 ({built.images['app'][:12]}): layer {lost} is missing"]
    assert _said(answers["images"]) == _said(answers["tree"]) == expected
    assert _said(answers["layers"]) == [
        f"layer {lost} of driver overlay2: needed by image app:1, needed by container web"
    ]
    (row,) = answers["layers"].data["missing"]
    assert (row["layer"], row["containers"]) == (built.chains["app"], [{"id": digest("containerweb"), "name": "web"}])
    assert [one["references"] for one in row["images"]] == [("app:1",)]


def test_several_layers_of_an_image_are_named_together(built: DbRoot) -> None:
    shutil.rmtree(built.layers / built.cache("app"))
    shutil.rmtree(built.base / "layerdb/sha256" / built.chains["base"])
    (app, tool) = _said(_answers(built.path)["images"])
    assert app.endswith(f"2 layers ({built.chains['app'][:12]}, {built.chains['base'][:12]}) are missing")
    assert tool.endswith(f"layer {built.chains['base'][:12]} is missing")


def test_a_writable_layer_that_is_gone_is_the_containers(built: DbRoot) -> None:
    shutil.rmtree(built.layers / digest("mountweb"))
    answers = _answers(built.path)
    assert _said(answers["layers"]) == [
        f"layer {digest('containerweb')[:12]} of driver overlay2: the writable layer of container web"
    ]
    assert (answers["layers"].failed, answers["images"].failed) == (True, False)


def test_a_name_of_an_image_without_a_description_makes_it_unknown_which_layers_are_missing(built: DbRoot) -> None:
    (built.base / "imagedb/content/sha256" / built.images["tool"]).unlink()
    (gap,) = document_of(built.path).gaps
    assert (gap.input, gap.object) == ("image_configs", built.images["tool"])
    answer = _answers(built.path)["layers"]
    assert not _said(answer)
    lines = [line for part in answer.parts if isinstance(part, Lines) for line in part.lines]
    assert any(line.startswith("?: ") and gap.path in line for line in lines)


def test_in_the_old_layout_the_first_layer_that_is_gone_is_named(tmp_path: Path) -> None:
    old = graph_root(tmp_path).image("base", size=10).image("app", parent="base", size=3, tag="app:1")
    shutil.rmtree(old.path / "aufs/diff" / hex_id("base"))
    answers = _answers(old.path)
    assert any(f"image app:1 ({hex_id('app')[:12]})" in line for line in _said(answers["images"]))
    (line,) = _said(answers["layers"])
    assert line.startswith(f"layer {hex_id('base')[:12]} of driver aufs: ")
    assert "needed by image app:1" in line
    assert answers["images"].failed
    assert answers["layers"].failed


def test_a_ring_of_parents_is_not_missing(tmp_path: Path) -> None:
    old = graph_root(tmp_path).image("b", size=1).image("a", parent="b", size=1)
    (old.path / "graph" / hex_id("b") / "json").write_text(json.dumps({"id": hex_id("b"), "parent": hex_id("a")}))
    answers = _answers(old.path)
    assert _said(answers["images"]) == _said(answers["layers"]) == []
