"""What `build-cache` lists: the records, what images have of them, and the history of builds."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.cli.commands.build_cache import build_cache
from exporter.cli.commands.index import Index
from exporter.cli.commands.stranger import checked
from exporter.cli.commands.tables import Answer, Lines, Table
from exporter.expose.snapshot_api.rows import BuildRow, Document
from tests.support.product import document_of
from tests.support.roots.containerd import store_root
from tests.support.roots.layerdb import DbRoot


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return checked(document_of(store_root(tmp_path_factory.mktemp("store") / "docker").root))


def _said(answer: Answer) -> str:
    lines = [(part.title, *part.lines) if isinstance(part, Lines) else (part.title,) for part in answer.parts]
    return "\n".join(line for several in lines for line in several if line)


def test_the_records_come_by_size_and_then_the_one_that_was_not_used_for_longest(document: Document) -> None:
    answer = build_cache(Index(document))
    (table, *_) = (one for one in answer.parts if isinstance(one, Table))
    assert [shape.heading for shape in table.shapes][:4] == ["CACHE ID", "TYPE", "SIZE", "LAST USED"]
    sizes = [row["size"] for row in answer.data["records"]]
    assert len(sizes) == 2
    assert sizes == sorted(sizes, reverse=True)
    alike = tuple(replace(one, size=5, last_used=float(at)) for at, one in enumerate(document.build_records))
    times = [row["last_used"] for row in build_cache(Index(replace(document, build_records=alike))).data["records"]]
    assert times == [0.0, 1.0]


def test_what_an_image_has_as_well_is_said(document: Document) -> None:
    said = _said(build_cache(Index(document)))
    assert "layers that an image has as well: docker system df leaves them out" in said
    idle = replace(document, build_records=tuple(replace(one, idle=True) for one in document.build_records))
    assert "2 of them belong to another snapshotter" in _said(build_cache(Index(idle)))


def test_the_history_has_its_builds_and_what_frees_it(document: Document) -> None:
    answer = build_cache(Index(document))
    assert "Build history: 1 builds" in _said(answer)
    assert "What frees it: docker buildx history rm --all" in _said(answer)
    assert [row["id"] for row in answer.data["builds"]] == [document.builds[0].id]
    many = replace(document, history=14, builds=tuple(BuildRow(f"{at:025}", float(at)) for at in range(14)))
    shown = build_cache(Index(many))
    assert "4 older builds are not listed." in _said(shown)
    table = [one for one in shown.parts if isinstance(one, Table)][-1]
    assert [row[0] for row in table.rows] == [f"{at:025}" for at in range(13, 3, -1)]


def test_without_a_cache_there_is_no_record_and_a_damaged_one_has_no_known_one(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"])
    assert _said(build_cache(Index(document_of(built.path)))) == "The build cache has no record."
    (built.path / "buildkit").mkdir()
    (built.path / "buildkit/metadata_v2.db").write_bytes(b"no database" * 1000)
    said = _said(build_cache(Index(document_of(built.path))))
    assert "no record" not in said
    assert "?: the build cache's databases could not be read whole" in said
    assert "The build history is not known" in said
