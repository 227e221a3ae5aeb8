"""What `df` says of reclaimable space: each row with what frees it, or why nothing is known of it."""

import shutil
from pathlib import Path

import pytest

from exporter.cli.commands.df import df
from exporter.cli.commands.tables import Answer, Lines, Table
from tests.support.product import document_of
from tests.support.recorded import unpack_case
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest
from tests.support.usage import allocated


def _rows(answer: Answer) -> dict[object, tuple[object, ...]]:
    (table,) = (one for one in answer.parts if isinstance(one, Table) and one.title.startswith("Reclaimable"))
    assert table.title == "Reclaimable, each row after the ones above it"
    return {row[2]: (row[0], row[1], row[3]) for row in table.rows}


def _lines(answer: Answer) -> list[str]:
    return [line for one in answer.parts if isinstance(one, Lines) for line in one.lines]


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"]).volume("data", 9000)
    return built.container("web", "a", "a").container("done", "a", "a")


def test_each_category_is_a_row_with_the_command_that_frees_it(built: DbRoot) -> None:
    (built.path / "engine-id").touch()
    rows = _rows(df(document_of(built.path)))
    assert {name: how for name, (_, _, how) in rows.items()} == {
        "stopped containers": "docker container prune",
        "dangling images": "docker image prune",
        "images without a container": "docker image prune --all",
        "volumes without a container": "docker volume prune --all",
        "build cache": "docker builder prune --all",
        "build history": "",
        "layers that nothing refers to": "docker-storage-exporter layers --orphaned",
    }
    assert rows["volumes without a container"][:2] == (allocated(built.path / "volumes/data"), 1)


def test_why_a_category_is_not_known_is_said_in_a_line(built: DbRoot) -> None:
    (built.path / "containers" / digest("containerweb") / "hostconfig.json").write_text("")
    answer = df(document_of(built.path))
    for name in ("dangling images", "images without a container", "volumes without a container"):
        assert _rows(answer)[name] == (None, None, "")
    other, line = _lines(answer)
    assert other.startswith(
        "stopped containers, build cache, build history, layers that nothing refers to: the configuration of a "
    )
    assert line.startswith("dangling images, images without a container, volumes without a container: the engine does")
    assert f"web ({digest('containerweb')[:12]}): hostconfig.json is empty" in line


def test_layers_that_the_entry_of_a_lost_container_holds_are_named(built: DbRoot) -> None:
    shutil.rmtree(built.path / "containers" / digest("containerweb"))
    answer = df(document_of(built.path, orphaned_after=0))
    assert _rows(answer)["images without a container"][1] == 1
    assert _rows(answer)["layers that nothing refers to"][:2] == (0, 0)
    (line,) = _lines(answer)
    assert "3 layers are held by" in line
    assert f"image/overlay2/layerdb/mounts/{digest('containerweb')[:12]}" in line


def test_commands_that_are_too_long_for_the_table_are_below_it(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=5, tag="app:1")
    for number in range(30):
        built.container(f"c{number}", image="app")
    answer = df(document_of(built.path))
    assert _rows(answer)["stopped containers"][1:] == (30, "docker rm with 30 names: see df")
    assert _rows(answer)["images without a container"][1:] == (1, "docker rmi app:1")
    (command,) = _lines(answer)
    assert command.split()[:2] == ["docker", "rm"]
    assert {*command.split()[2:]} == {hex_id(f"c{number}")[:12] for number in range(30)}


def test_volumes_with_options_are_not_pruned(tmp_path: Path) -> None:
    root = unpack_case(7, tmp_path)
    row = _rows(df(document_of(root)))["volumes without a container"]
    assert row[:2] == (allocated(root / "volumes/plain"), 1)
