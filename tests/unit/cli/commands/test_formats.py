"""The rows as CSV, by templates and by names, of one host with all kinds of objects."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from exporter.cli.commands.build_cache import build_cache
from exporter.cli.commands.containers import containers
from exporter.cli.commands.df import df
from exporter.cli.commands.habits import PLAIN, Habits
from exporter.cli.commands.images import images
from exporter.cli.commands.index import Index
from exporter.cli.commands.layers import layers
from exporter.cli.commands.output import Form, Output, output_of, print_answer
from exporter.cli.commands.tables import Answer
from exporter.cli.commands.template import parse
from exporter.cli.commands.volumes import volumes
from exporter.core.units import Units, written_in
from exporter.expose.snapshot_api.rows import Document
from tests.support.product import document_of
from tests.support.roots.layerdb import DbRoot


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Document:
    built = DbRoot(tmp_path_factory.mktemp("root")).layer("a", 3000).layer("b", 500)
    built.image("app", "a", ["team/app:1", "team/app:latest"]).image("old", "b", [])
    built.container("web", "app", "a").container("done", "app", "a").volume("data", 9000).volume("more", 100)
    return document_of(built.path)


def _app(document: Document) -> str:
    return next(one.id for one in document.images if one.references)


def _old(document: Document) -> str:
    return next(one.id for one in document.images if not one.references)


def _printed(document: Document, answer: Answer, output: Output) -> str:
    written = io.StringIO()
    print_answer(document, answer, "x", output, written)
    return written.getvalue()


def _template(document: Document, answer: Answer, text: str) -> list[str]:
    return _printed(document, answer, Output(Form.TEMPLATE, parse(text))).splitlines()


def test_csv_has_all_columns_exactly(document: Document) -> None:
    rows = list(csv.DictReader(io.StringIO(_printed(document, volumes(Index(document)), Output(Form.CSV)))))
    assert [(row["name"], row["size"], row["users"], row["driver"]) for row in rows] == [
        ("data", "9000", "none", "local"),
        ("more", "100", "none", "local"),
    ]
    assert rows[0]["directory"] == f"{document.root}/volumes/data/_data"
    assert rows[0]["created"].endswith("Z")
    assert rows[0]["created"] == rows[0]["created_at"]


def test_a_template_has_the_fields_of_docker_and_the_names_of_columns(document: Document) -> None:
    answer = images(Index(document), intermediate=False)
    assert _template(document, answer, "{{.Repository}}:{{ .Tag }} {{.Size}}") == [
        "team/app:1 3 kB",
        "team/app:latest 3 kB",
        "<none>:<none> 500 B",
    ], "also in the second line of an image"
    assert _template(document, answer, r"{{.ID}}\t{{.State}}")[0] == f"{_app(document)[:12]}\tused"
    rows = [json.loads(line) for line in _template(document, answer, "{{json .}}")]
    assert (rows[0]["repository"], rows[0]["virtual"], rows[0]["id"]) == ("team/app", 3000, _app(document))
    assert _template(document, answer, "{{json .Size}}") == ["3000", "3000", "500"]
    with written_in(Units.BYTES):
        assert _template(document, answer, "{{.Size}}") == ["3000", "3000", "500"]


def test_a_table_by_a_template_has_headings_and_is_aligned(document: Document) -> None:
    lines = _template(document, volumes(Index(document)), r"table {{.Name}}\t{{.Size}}")
    assert lines == ["VOLUME NAME  SIZE", "data         9 kB", "more         100 B"]


def test_df_has_the_fields_of_docker_for_its_summary(document: Document) -> None:
    lines = _template(document, df(document), "{{.Type}}: {{.TotalCount}} {{.Active}}")
    assert lines[:3] == ["Images: 2 1", "Containers: 2 0", "Local Volumes: 2 0"]
    assert "volumes" in _printed(document, df(document), Output(Form.NAMES)).split()


def test_quiet_prints_each_id_once_and_whole_ones_with_no_trunc(document: Document) -> None:
    for habits, length in ((PLAIN, 12), (Habits(full=True), 64)):
        answer = images(Index(document), intermediate=False, habits=habits)
        ids = _printed(document, answer, Output(Form.NAMES)).split()
        assert ids == [_app(document)[:length], _old(document)[:length]]


def test_json_has_the_rows_that_were_asked_for_and_without_habits_all(document: Document) -> None:
    def data(answer: Answer) -> Any:
        return json.loads(_printed(document, answer, output_of(form="json", as_json=False, quiet=False, full=False)))

    index = Index(document)
    assert [row["name"] for row in data(volumes(index, Habits(names=("more",))))["volumes"]] == ["more"]
    assert [row["name"] for row in data(containers(index, Habits(sort=("name",))))["containers"]] == ["done", "web"]
    dangling = Habits(filters=(("dangling", "true"),))
    assert [row["id"] for row in data(images(index, intermediate=True, habits=dangling))["images"]] == [_old(document)]
    assert len(data(layers(index, orphaned=False, habits=Habits(limit=1)))["layers"]) == 1
    assert data(build_cache(index))["records"] == []
    assert [row["name"] for row in data(df(document, Habits(names=("volumes",))))["directories"]] == ["volumes"]
    assert len(data(df(document))["directories"]) == len(document.directories)


def test_filters_of_docker_by_what_they_are_asked_for_most(document: Document) -> None:
    index = Index(document)

    def names(answer: Answer) -> list[str]:
        return _printed(document, answer, Output(Form.NAMES)).split()

    def filtered(*pairs: tuple[str, str]) -> Habits:
        return Habits(filters=pairs, full=True)

    both = {row.id for row in document.containers}
    for image in ("team/app:1", "team/app", _app(document), f"sha256:{_app(document)[:9]}"):
        assert {*names(containers(index, filtered(("ancestor", image))))} == both
    assert names(containers(index, filtered(("ancestor", "other")))) == []
    assert names(images(index, intermediate=False, habits=filtered(("reference", "team/*")))) == [_app(document)]
    assert names(volumes(index, filtered(("dangling", "true")))) == ["data", "more"]
    assert names(volumes(index, filtered(("dangling", "false")))) == []


def test_a_name_that_is_nobodys_fails_and_is_said_on_the_other_output(
    document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = volumes(Index(document), Habits(names=("nosuch",)))
    assert answer.failed
    assert _printed(document, answer, Output(Form.NAMES)) == ""
    assert capsys.readouterr().err == "No volume is called nosuch, or has an id that begins with it.\n"


def test_several_names_of_layers_are_answered_one_after_the_other(document: Document, tmp_path: Path) -> None:
    index = Index(document)
    one = layers(index, "web", orphaned=False)
    two = layers(index, orphaned=False, habits=Habits(names=("web", "done", str(tmp_path))))
    assert two.data["layers"][: len(one.data["layers"])] == one.data["layers"]
    assert {row["kind"] for row in two.data["matches"]} == {"container"}
    assert len(two.data["matches"]) == 2
    assert two.failed
