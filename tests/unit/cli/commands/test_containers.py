"""What `containers` prints below its table."""

from pathlib import Path

from msgspec.structs import replace

from exporter.cli.commands.containers import containers
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Lines, Table
from exporter.expose.snapshot_api.rows import Document
from tests.support.product import document_of
from tests.support.roots import graph_root


def _said(document: Document) -> tuple[tuple[object, ...], list[str]]:
    """The row of the first container, and the lines below the table."""
    answer = containers(Index(document))
    (table,) = (one for one in answer.parts if isinstance(one, Table))
    lines = [line for one in answer.parts if isinstance(one, Lines) for line in one.lines]
    return tuple(table.rows[0]), lines


def _document(path: Path, **changes: object) -> Document:
    built = graph_root(path).image("app").container("web", image="app", log=b"123")
    document = document_of(built.path)
    (web,) = document.containers
    return replace(document, containers=(replace(web, **changes),))


def test_nothing_where_all_is_well(tmp_path: Path) -> None:
    row, lines = _said(_document(tmp_path))
    assert (row[5], lines) == (3, [])


def test_a_deleted_log_is_named_with_the_remedy(tmp_path: Path) -> None:
    row, lines = _said(_document(tmp_path, state="running", log=None, log_deleted=True))
    assert row[5] is None
    assert containers(Index(_document(tmp_path / "again", state="running", log=None, log_deleted=True))).failed
    assert lines[0].startswith("web: the file of its log was deleted. The engine goes on writing to it")
    assert "docker restart web" in lines[0]
    assert "truncate -s 0 /proc/PID/fd/N" in lines[1]


def test_whether_the_container_runs_may_not_be_known(tmp_path: Path) -> None:
    _, lines = _said(_document(tmp_path, state="unknown", log=None, log_deleted=True))
    assert "If the container still runs, the engine" in lines[0]


def test_a_plugin_keeps_its_log_where_nobody_knows(tmp_path: Path) -> None:
    row, _ = _said(_document(tmp_path, log=None, log_driver="loki", log_bounded=None, log_limit=None))
    assert row[5:7] == ("loki", None)
