"""The engine's old temporary files: which count, what frees them, and where that is said."""

import os
from pathlib import Path

import pytest

from exporter.cli.commands.df import df
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Table
from exporter.cli.commands.whose import whose
from exporter.core.clock import SYSTEM_CLOCK
from exporter.core.data_root import DataRoot
from exporter.core.engine_version import NO_EVIDENCE, EngineVersion
from exporter.core.model import Collector, Inventory, Temporary
from exporter.figures.temporary import how_to_free
from exporter.inventory.files.problems import Problems
from exporter.inventory.files.reader import Reader
from exporter.inventory.temporary import OLD_SECONDS, read_temporary
from tests.support.product import document_of, scan
from tests.support.recorded import unpack_case
from tests.support.roots.layerdb import DbRoot
from tests.support.usage import allocated

_NOW = 2_000_000_000.0
_DAY = 24 * 3600


def _file(path: Path, size: int, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (_NOW - days * _DAY, _NOW - days * _DAY))
    return path


def _read(root: Path) -> tuple[Temporary, ...]:
    with DataRoot(str(root)) as opened:
        return read_temporary(Reader(opened, Collector.DIRECTORIES, Problems()), _NOW)


def test_files_that_were_not_written_to_for_a_day_count_at_any_depth(tmp_path: Path) -> None:
    old = [
        _file(tmp_path / "tmp/GetImageBlob1", 9000, 40),
        _file(tmp_path / "tmp/docker-import-7/id/layer.tar", 20_000, 2),
    ]
    _file(tmp_path / "tmp/docker-builder3/new", 50_000, 0.5)
    (tmp_path / "tmp/link").symlink_to("GetImageBlob1")
    os.link(old[0], tmp_path / "tmp/again")
    blocks = sum(one.stat().st_blocks * 512 for one in old)
    assert _read(tmp_path) == (Temporary(("tmp",), 2, blocks, _NOW - 2 * _DAY),)


@pytest.mark.parametrize(("seconds", "counts"), [(OLD_SECONDS, False), (OLD_SECONDS + 1, True)])
def test_a_file_counts_after_a_day_and_not_before(tmp_path: Path, seconds: int, counts: bool) -> None:
    _file(tmp_path / "tmp/f", 1, seconds / _DAY)
    assert bool(_read(tmp_path)) == counts


def test_what_an_engine_put_aside_counts_by_itself(tmp_path: Path) -> None:
    _file(tmp_path / "tmp/f", 1, 3)
    _file(tmp_path / "tmp-old/f", 1, 5)
    assert [(one.path, one.newest) for one in _read(tmp_path)] == [
        (("tmp",), _NOW - 3 * _DAY),
        (("tmp-old",), _NOW - 5 * _DAY),
    ]


def test_a_root_without_such_files_has_none(tmp_path: Path) -> None:
    assert _read(tmp_path) == ()
    (tmp_path / "tmp").symlink_to("/")
    (tmp_path / "tmp-old").mkdir()
    assert _read(tmp_path) == ()


def test_of_very_many_files_only_some_are_looked_at(tmp_path: Path) -> None:
    for number in range(2001):
        _file(tmp_path / f"tmp/{number}", 1, 3)
    (found,) = _read(tmp_path)
    assert (found.files, found.whole) == (2000, False)


@pytest.mark.parametrize(
    ("engine", "directories", "restart", "by_hand"),
    [
        (EngineVersion((23, 0)), (), True, False),
        (EngineVersion((17, 6)), (), True, False),
        (EngineVersion((1, 13), (23, 0)), ("tmp", "runtimes"), True, False),
        (EngineVersion((1, 13), (23, 0)), ("buildkit",), True, False),
        (EngineVersion((1, 9), (1, 10)), (), False, True),
        (EngineVersion((1, 13), (23, 0)), (), True, True),
        (NO_EVIDENCE, (), True, True),
    ],
)
def test_a_restart_frees_them_where_the_engine_empties_tmp(
    engine: EngineVersion, directories: tuple[str, ...], restart: bool, by_hand: bool
) -> None:
    how = how_to_free(Inventory(engine=engine, directories=directories), "/var/lib/docker", "tmp")
    assert ("restart the daemon" in how, "rm -r /var/lib/docker/tmp" in how) == (restart, by_hand)
    assert ("17.06" in how) == (restart and by_hand)
    aside = how_to_free(Inventory(engine=engine, directories=directories), "/var/lib/my docker", "tmp-old")
    assert aside == "with the daemon stopped: rm -r '/var/lib/my docker/tmp-old'"


def test_df_and_whose_say_what_frees_them(tmp_path: Path) -> None:
    root = DbRoot(tmp_path).path
    assert not document_of(root).temporary
    os.utime(_file(root / "tmp/GetImageBlob1", 60_000, 40), (1_600_000_000, 1_600_000_000))
    document = document_of(root)
    answer = df(document)
    (table,) = [part for part in answer.parts if isinstance(part, Table) and "Old temporary files" in part.title]
    (row,) = table.rows
    assert row[:2] == (allocated(root / "tmp/GetImageBlob1"), 1)
    assert "restart the daemon" in str(row[-1])
    assert [one["path"] for one in answer.data["temporary"]] == ["tmp"]
    (owner,) = whose(Index(document), "tmp/GetImageBlob1").data["owners"]
    assert "restart the daemon" in owner["text"]


def test_the_case_of_leftovers(tmp_path: Path) -> None:
    root = unpack_case(16, tmp_path)
    (found,) = scan(root).inventory.temporary
    assert (found.path, found.files, found.whole) == (("tmp",), 3, True)
    assert found.allocated >= 60_000_000
    assert SYSTEM_CLOCK.now() - found.newest > 30 * _DAY
