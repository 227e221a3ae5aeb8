import gzip
import inspect
import json
from pathlib import Path
from typing import Any

import msgspec

from exporter.cli.commands.source import parse
from exporter.expose.snapshot_api.encode import describe
from exporter.expose.snapshot_api.pieces import ending
from exporter.expose.snapshot_api.rows import Document, FilesystemRow
from exporter.figures.figures import Figures
from tests.support.paths import TOP
from tests.support.product import document_of, scan
from tests.support.roots import graph_root, hex_id

_SCHEMA = TOP / "docs" / "snapshot.schema.json"


def test_a_document_holds_what_the_snapshot_does_in_names_that_are_utf8(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=10).image("app", parent="base", size=3, tag="app:1")
    built.writer.container(hex_id("web"), hex_id("app"), name="web\udcff", writable={"w": 4}, log=b"line\n")
    document = document_of(built.path)
    layers = {one.id: one for one in document.layers}
    assert layers[hex_id("app")].parent == hex_id("base")
    assert layers[hex_id("app")].directory == f"aufs/diff/{hex_id('app')}"
    (container,) = document.containers
    assert (container.name, container.writable, container.log) == (r"web\xff", 4, 5)
    (app,) = (one for one in document.images if one.listed)
    assert (app.layer, app.depth, app.virtual, app.references) == (hex_id("app"), 2, 13, ("app:1",))


def test_both_forms_of_it_are_the_same(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=3, tag="app:1")
    described = describe(Figures(scan(built.path)))
    end = ending(5.0, [FilesystemRow("/", "8:1", "/", "ext4", 10, 5, 4)])
    unpacked = gzip.decompress(b"".join(described.member(end)))
    assert unpacked == described.finish(end)
    assert json.loads(unpacked)["taken"] == 5.0


def test_the_schema_that_is_documented_is_the_one_in_force() -> None:
    now, then = (json.loads(text, object_hook=_in_order) for text in (_documented(), _SCHEMA.read_text()))
    assert now == then, f"python -m {__name__} writes it"


def _in_order(value: dict[str, Any]) -> dict[str, Any]:
    """Alternatives by their texts: versions of msgspec write them in another order."""
    return {key: sorted(one, key=json.dumps) if key == "anyOf" else one for key, one in value.items()}


def _documented() -> str:
    """The schema with docstrings that do not depend on Python's version: 3.13 takes their indentation away."""
    schema = msgspec.json.schema(Document)
    for one in schema["$defs"].values():
        if "description" in one:
            one["description"] = inspect.cleandoc(one["description"])
    return json.dumps(schema, indent=2) + "\n"


def test_a_later_exporter_may_say_more(tmp_path: Path) -> None:
    raw = json.loads(describe(Figures(scan(graph_root(tmp_path).path))).finish(ending(1.0, [])))
    assert parse(json.dumps(raw | {"new": 1}).encode()).schema == 1


if __name__ == "__main__":
    _SCHEMA.write_text(_documented())
