import json
from pathlib import Path

import pytest

from exporter.cli.commands.image_tree import tree
from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.source import parse
from exporter.cli.commands.tables import Answer, Lines, Table
from exporter.demo import build_demo
from exporter.expose.snapshot_api.rows import Document
from tests.support.product import document_of
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot

#: The administrator's host as `docker images -tree` drew it: ids and virtual sizes of both chains.
_MYSQL = """36669626e49c 84.98 MB, d5570ef1464a 84.98 MB, 170ff2cfa64a 85.3 MB, ef7c16d26957 116.7 MB,
3749ee37c2a6 116.8 MB, 5431d6b9bc80 116.8 MB, 0dc7d8240120 116.8 MB, a37379b8d1ce 116.8 MB, cad6baf3ee5b 322.8 MB,
facdf8305638 322.8 MB, a10cdfaf13cf 322.8 MB, 444b88bd8367 322.8 MB, 83dfd5776ff8 322.8 MB, 7d0b9c0b29d2 322.8 MB,
c171a2256c3b 322.8 MB"""
_WIKI = """8dbd9e392a96 128 MB, be647841828f 128 MB, 7f06ad8f23b1 272.5 MB, 9fc1b767f7ff 383.1 MB,
46af893ffb5f 439.2 MB, 00a79ad7ea4a 439.2 MB, 69f7b013792e 439.2 MB, 854a5bd5be72 439.2 MB, c219ca4d0d53 439.2 MB,
42c69a7e8ad3 439.2 MB, 09652ed5f7ef 459.6 MB, 814a97e8dc1c 539.6 MB, a7bc400b42c2 539.6 MB, 68013db1eb6d 619.5 MB,
ca839611a34f 619.5 MB, 63e9d31943ea 619.5 MB, 1b95e1c4efd9 619.5 MB, 9df1e07fdf78 619.5 MB, 3e8e8966dcfb 619.5 MB,
3e0c3340e16e 619.5 MB, d32d732341b0 619.5 MB"""


def drawn(document: Document) -> list[str]:
    parts = [one for one in tree(Index(document), full=False).parts if isinstance(one, Lines)]
    return [line for part in parts if "not on disk" not in part.title for line in part.lines]


def chain(text: str, first: str, below: str) -> list[str]:
    lines = []
    for number, entry in enumerate(text.replace("\n", " ").split(", ")):
        one, _, size = entry.partition(" ")
        prefix = first if not number else f"{below}{'  ' * (number - 1)}└─"
        lines.append(f"{prefix}{one} Virtual Size: {size}")
    return lines


def test_the_example_is_drawn_line_by_line_as_docker_drew_it(tmp_path: Path) -> None:
    build_demo(tmp_path / "docker")
    expected = ["└─511136ea3c5a Virtual Size: 0 B"]
    expected += chain(_MYSQL, "  ├─", "  │ ")
    expected[-1] += " Tags: mysql:5.7.5"
    expected += chain(_WIKI, "  └─", "    ")
    expected[-1] += " Tags: nickstenning/mediawiki:latest"
    assert drawn(document_of(tmp_path / "docker")) == expected


def test_the_newest_of_siblings_comes_first(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base")
    for name, year in (("old", 2013), ("new", 2015), ("middle", 2014)):
        built.writer.image(hex_id(name), hex_id("base"), layersize=1, created=f"{year}-01-01T00:00:00Z")
    lines = drawn(document_of(built.path))
    assert [line.split("─")[1][:12] for line in lines[1:]] == [hex_id(name)[:12] for name in ("new", "middle", "old")]


def test_siblings_are_ordered_by_their_own_creation_whatever_is_built_on_them(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base")
    for name, parent, year in (("old", "base", 2013), ("new", "base", 2014), ("newest", "old", 2015)):
        built.writer.image(hex_id(name), hex_id(parent), layersize=1, created=f"{year}-01-01T00:00:00Z")
    lines = drawn(document_of(built.path))
    assert [line.split("─")[1][:12] for line in lines[1:]] == [hex_id(name)[:12] for name in ("new", "old", "newest")]


def test_an_image_that_does_not_say_when_it_was_made_is_the_oldest(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base")
    for name, created in (("none", "0001-01-01T00:00:00Z"), ("before 1970", "1960-01-01T00:00:00Z")):
        built.writer.image(hex_id(name), hex_id("base"), layersize=1, created=created)
    lines = drawn(document_of(built.path))
    assert [line.split("─")[1][:12] for line in lines[1:]] == [hex_id(name)[:12] for name in ("before 1970", "none")]


def test_every_image_is_drawn_once_whatever_its_parents_are(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("sound", size=3, tag="sound:1")
    built.image("b", size=1).image("a", parent="b", size=1)
    ring = {"id": hex_id("b"), "parent": hex_id("a")}
    (built.path / "graph" / hex_id("b") / "json").write_text(json.dumps(ring))
    built.writer.image(hex_id("lost parent"), hex_id("nowhere"), layersize=5)
    (built.path / "graph" / hex_id("no layer")).mkdir()
    (built.path / "graph" / hex_id("no layer") / "json").write_text(json.dumps({"id": hex_id("no layer")}))
    lines = drawn(document_of(built.path))
    for name in ("sound", "a", "b", "lost parent", "no layer"):
        assert sum(hex_id(name)[:12] in line for line in lines) == 1, name
    assert f"{hex_id('no layer')[:12]} Virtual Size: unknown" in lines[-1]


def test_a_chain_of_300_layers_is_drawn(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("0", size=1)
    for number in range(1, 300):
        built.image(str(number), parent=str(number - 1), size=1)
    lines = drawn(document_of(built.path))
    assert lines[-1] == f"{'  ' * 299}└─{hex_id('299')[:12]} Virtual Size: 300 B"


def document(**parts: list[dict[str, object]]) -> Document:
    empty: dict[str, object] = {
        "schema": 1,
        "exporter": "0",
        "root": "/r",
        "error": "",
        "layouts": ["layerdb"],
        "unmeasured": [],
        "drivers": ["overlay2"],
        "unattributed": None,
        "taken": 1.0,
    }
    lists = ("directories", "reclaimable", "layers", "images", "containers", "volumes", "missing", "problems")
    return parse(json.dumps({**empty, "filesystems": [], **dict.fromkeys(lists, ()), **parts}).encode())


def test_where_layers_are_no_images_the_layers_are_the_tree(tmp_path: Path) -> None:
    def layer(name: str, parent: str, size: int) -> dict[str, object]:
        names = {"driver": "overlay2", "id": name, "chain": hex_id(name), "parent": parent, "use": "image"}
        return names | {"size": size, "allocated": 0, "inodes": 1, "directory": f"overlay2/{name}/diff", "home": ""}

    def image(name: str, at: str, *references: str) -> dict[str, object]:
        figures = dict.fromkeys(("virtual", "unique", "proportional", "created"))
        facts = {"driver": "overlay2", "id": hex_id(name), "references": references, "digests": [], "listed": True}
        return facts | figures | {"state": "used", "containers": 0, "layer": at, "depth": 1}

    lines = drawn(
        document(
            layers=[layer("base", "", 10), layer("a", "base", 5), layer("b", "base", 7)],
            images=[image("one", "a", "one:1"), image("same", "a", "same:2", "same:3"), image("two", "b", "two:1")],
        )
    )
    one, same, two, base = (hex_id(name)[:12] for name in ("one", "same", "two", "base"))
    assert lines[0] == f"└─<none> (layer {base}) Virtual Size: 10 B"
    assert sorted(line[4:] for line in lines[1:]) == sorted(
        [f"{one}, {same} Virtual Size: 15 B Tags: one:1, same:2, same:3", f"{two} Virtual Size: 17 B Tags: two:1"]
    )


def test_steps_of_a_build_have_a_line_each_as_docker_drew_them(tmp_path: Path) -> None:
    """The classic builder makes an image of each step, also of those that make no layer: RUN, LABEL, RUN, EXPOSE."""
    built = DbRoot(tmp_path).layer("l1", 10).layer("l2", 5, "l1").layer("l3", 7, "l2").image("base", "l1", ["base:1"])
    built.image("run", "l2", parent="base").image("label", "l2", parent="run")
    built.image("run again", "l3", parent="label").image("expose", "l3", ["app:1"], parent="run again")
    built.image("other", "l2", ["same:1"])
    ids = {name: one[:12] for name, one in built.images.items()}
    lines = drawn(document_of(built.path))
    assert lines[0] == f"└─{ids['base']} Virtual Size: 10 B Tags: base:1"
    assert sorted(lines[1].strip(" └─").split(" Virtual")[0].split(", ")) == sorted([ids["run"], ids["other"]])
    assert lines[1].endswith(" Virtual Size: 15 B Tags: same:1")
    assert lines[2:] == [
        f"    └─{ids['label']} Virtual Size: 15 B",
        f"      └─{ids['run again']} Virtual Size: 22 B",
        f"        └─{ids['expose']} Virtual Size: 22 B Tags: app:1",
    ]


def test_a_ring_of_builds_is_drawn_once(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("l1", 10).image("base", "l1", ["base:1"]).image("a", "l1", parent="base")
    for one, other in (("base", "a"), ("a", "base")):
        home = built.base / "imagedb/metadata/sha256" / built.images[one]
        home.mkdir(exist_ok=True)
        (home / "parent").write_text(f"sha256:{built.images[other]}")
    lines = drawn(document_of(built.path))
    for name in ("base", "a"):
        assert sum(built.images[name][:12] in line for line in lines) == 1


@pytest.fixture
def listing(tmp_path: Path) -> Answer:
    built = graph_root(tmp_path).image("base", size=10).image("app", parent="base", size=3, tag="app:1")
    built.writer.tag("app", "latest", hex_id("app"))
    built.image("other", parent="base", size=4)
    return images(Index(document_of(built.path)), intermediate=False)


def test_each_tag_has_a_line_and_each_size_is_shown_once(listing: Answer) -> None:
    (table,) = listing.parts
    assert isinstance(table, Table)
    rows = {(row[0], row[1]): row[4:7] for row in table.rows}
    assert rows == {
        ("app", "1"): (13, 3, 8),
        ("app", "latest"): ("", "", ""),
        ("<none>", "<none>"): (14, 4, 9),
    }
    assert table.footer[6] == 17, "the shares are what is on disk"
