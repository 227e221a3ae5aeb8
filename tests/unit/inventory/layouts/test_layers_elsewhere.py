"""Drivers whose layers are no directories: thin volumes of devicemapper, datasets of zfs. Their sizes are unknown."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.cli.commands.containers import containers
from exporter.cli.commands.df import df
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Table
from exporter.demo.writer import Content
from tests.support.product import document_of, figures_of
from tests.support.roots.layerdb import DbRoot, digest

_PLACES = {"devicemapper": "devicemapper/metadata", "zfs": "zfs/graph"}


class ElsewhereRoot(DbRoot):
    """A root with what these drivers keep below it: a file for each thin volume, nothing for a dataset."""

    def directory(self, name: str, files: Mapping[str, Content]) -> Path:
        top = self.path / _PLACES[self.driver]
        top.mkdir(parents=True, exist_ok=True)
        if self.driver == "devicemapper":
            (top / name).write_text('{"device_id":1}')
        return top / name


def _built(path: Path, driver: str) -> ElsewhereRoot:
    built = ElsewhereRoot(path, driver)
    built.layer("base", 1000).layer("app", 50, "base").image("app", "app", ["app:1"])
    built.container("web", "app", "app")
    return built


@pytest.mark.parametrize("driver", _PLACES)
def test_nothing_of_them_is_0_bytes(tmp_path: Path, driver: str) -> None:
    built = _built(tmp_path, driver)
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("image_virtual_size_bytes") == 1050, "written down by the engine"
    assert figures("layers_size_bytes", use="image") == 1050
    for name in ("layers_size_bytes", "layers_allocated_bytes", "layers_inodes"):
        assert not figures.all(name, use="container"), name
    assert not figures.all("layers_allocated_bytes", use="image")
    assert not figures.all("container_writable_size_bytes")
    assert not figures.all("directory_allocated_bytes", directory=driver)
    assert figures.sum("missing_layers") == 0
    assert not figures.all("reclaimable_bytes", category="containers_stopped")
    assert not figures.all("reclaimable_bytes", category="images_unused")


@pytest.mark.parametrize("driver", _PLACES)
def test_the_terminal_has_question_marks_for_them(tmp_path: Path, driver: str) -> None:
    document = document_of(_built(tmp_path, driver).path, orphaned_after=0)
    (row,) = [one for one in document.directories if one.name == driver]
    assert (row.size, row.allocated, row.inodes) == (None, None, None)
    assert [one.allocated for one in document.layers] == [None] * len(document.layers)
    answer = df(document)
    assert answer.data["total"] == {"size": None, "allocated": None, "inodes": None}
    table = answer.parts[1]
    assert isinstance(table, Table)
    assert (None, None, None, driver) in table.rows
    (listed,) = containers(Index(document)).parts
    assert isinstance(listed, Table)
    assert listed.rows[0][4] is None
    assert listed.footer[4] is None


def test_a_dataset_that_is_not_mounted_has_no_directory_and_is_not_missing(tmp_path: Path) -> None:
    built = _built(tmp_path, "zfs")
    (built.path / "zfs/graph" / digest("left")).mkdir(parents=True)
    figures = figures_of(built.path, orphaned_after=0)
    assert figures.sum("missing_layers") == 0
    assert not figures.all("layers", use="orphaned"), "datasets cannot be listed: there may be such"
    assert not figures.all("layers", use="pending")
    assert figures("layers", use="container") == 2


def test_a_thin_volume_that_nothing_refers_to_has_no_size(tmp_path: Path) -> None:
    built = _built(tmp_path, "devicemapper")
    (built.path / "devicemapper/metadata" / digest("left")).write_text("{}")
    figures = figures_of(built.path, orphaned_after=0)
    assert figures("layers", use="orphaned") == 1
    assert not figures.all("layers_size_bytes", use="orphaned")
    assert not figures.all("reclaimable_bytes", category="layers_orphaned")


def test_thin_volumes_in_a_file_of_the_root_are_in_what_du_says(tmp_path: Path) -> None:
    built = _built(tmp_path, "devicemapper")
    (built.path / "devicemapper/devicemapper").mkdir()
    (built.path / "devicemapper/devicemapper/data").write_bytes(b"x" * 100_000)
    assert figures_of(built.path)("directory_size_bytes", directory="devicemapper") > 100_000


def test_a_driver_without_layers_takes_what_its_directory_takes(tmp_path: Path) -> None:
    built = ElsewhereRoot(tmp_path, "zfs")
    (built.path / "zfs").mkdir(exist_ok=True)
    assert figures_of(built.path)("directory_size_bytes", directory="zfs") == 0
