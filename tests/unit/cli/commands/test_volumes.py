"""What `volumes` says of each volume, and what it does not know."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Answer, Lines, Table
from exporter.cli.commands.volumes import volumes
from exporter.expose.snapshot_api.rows import Document, MountRow
from tests.support.product import document_of
from tests.support.roots.layerdb import DbRoot, digest
from tests.support.roots.linked import put_behind_link

_ANONYMOUS = digest("volume")


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"])
    built.volume("data", 9000).volume(_ANONYMOUS, 20)
    return built.container("web", "a", "a")


def _rows(answer: Answer) -> list[dict[str, object]]:
    table = next(one for one in answer.parts if isinstance(one, Table))
    return [dict(zip((shape.heading for shape in table.shapes), row, strict=True)) for row in table.rows]


def _lines(answer: Answer) -> list[str]:
    return [line for part in answer.parts if isinstance(part, Lines) for line in part.lines]


def _mounted(document: Document, *names: str) -> Document:
    """The document with containers that mount the volume `data`."""
    (one,) = document.containers
    mounts = (MountRow("volume", "data", "/data", "rw"),)
    containers = tuple(replace(one, name=name, mounts=mounts) for name in names)
    rows = tuple(replace(row, containers=len(names) if row.name == "data" else 0) for row in document.volumes)
    return replace(document, containers=containers, volumes=rows)


def test_the_largest_comes_first_with_its_users(built: DbRoot) -> None:
    document = _mounted(document_of(built.path), "web")
    data, anonymous = _rows(volumes(Index(document)))
    assert (data["VOLUME NAME"], data["SIZE"], data["USED BY"], data["ANONYMOUS"]) == ("data", 9000, "web", "")
    assert (anonymous["VOLUME NAME"], anonymous["USED BY"], anonymous["ANONYMOUS"]) == (_ANONYMOUS, "none", "yes")
    assert str(data["CREATED"]).endswith("s ago")
    answer = volumes(Index(_mounted(document, *"abcde")))
    assert _rows(answer)[0]["USED BY"] == "a, b, c and 2 more"
    assert answer.data["volumes"][0]["users"] == list("abcde")


def test_options_project_and_place_are_said(built: DbRoot) -> None:
    (row, other) = document_of(built.path).volumes
    mounted = replace(row, mount_type="nfs", device=":/x", options="addr=h", size=None, optioned=True)
    plugin = replace(other, driver="rexray", compose_project="shop", size=None, created=None, optioned=True)
    answer = volumes(Index(replace(document_of(built.path), volumes=(mounted, plugin))))
    first, second = sorted(_rows(answer), key=lambda one: str(one["DRIVER"]))
    assert first["OPTIONS"] == "type=nfs device=:/x o=addr=h"
    assert (second["DRIVER"], second["PROJECT"], second["SIZE"]) == ("rexray", "shop", None)
    assert (second["OPTIONS"], second["CREATED"]) == (None, None), "there are options, and nobody here knows which"
    said = _lines(answer)
    assert any(line.startswith("Mounted from elsewhere") for line in said)
    assert any(line.startswith("Kept by the driver of a plugin") for line in said)
    (total,) = (one.footer for one in answer.parts if isinstance(one, Table))
    assert total[1] is None, "no size is known"


def test_it_may_not_be_known_who_mounts_a_volume(built: DbRoot) -> None:
    (built.path / "containers" / digest("containerweb") / "config.v2.json").write_text("{")
    document = document_of(built.path)
    answer = volumes(Index(document))
    assert [row["USED BY"] for row in _rows(answer)] == [None, None]
    assert any(line.startswith("?: the configuration of a container") for line in _lines(answer))
    mounted = replace(_mounted(document, "web"), volumes=document.volumes)
    assert _rows(volumes(Index(mounted)))[0]["USED BY"] == "web and maybe more"


def test_no_volume_and_no_known_volume_are_two_things(tmp_path: Path, built: DbRoot) -> None:
    empty = DbRoot(tmp_path / "empty").layer("a", 10).image("a", "a", ["a:1"])
    assert _lines(volumes(Index(document_of(empty.path)))) == ["There is no volume."]
    put_behind_link(built.path, "volumes")
    assert _lines(volumes(Index(document_of(built.path)))) == ["No volume is known."]
