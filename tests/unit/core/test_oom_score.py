"""Who is ended first when memory runs out is written where the kernel reads it."""

import contextlib
from pathlib import Path

import pytest

from exporter.core import oom_score as module
from exporter.core.oom_score import SCANNING, WORKER, OomScore, give


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of this process; the kernel takes each write for itself, a file in this place keeps what is behind."""
    monkeypatch.setattr(module, "_FILES", f"{tmp_path}/{{}}")
    (tmp_path / "self").write_text("200\n")
    return tmp_path / "self"


def test_numbers_go_up_to_the_highest_that_there_is(file: Path) -> None:
    score = OomScore()
    score.add(SCANNING)
    assert file.read_text() == f"{200 + SCANNING}\n"
    score.add(WORKER)
    assert file.read_text() == "1000"


def test_a_worker_is_given_its_number(file: Path) -> None:
    (file.parent / "77").write_text("300")
    with OomScore().lent():
        give(77)
        assert file.read_text() == "200\n"
    assert (file.parent / "77").read_text().startswith("1000")
    give(78)


def test_where_a_sandbox_refuses_it_the_worker_inherits_the_number(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    score = OomScore()
    monkeypatch.setattr(module, "_may_write", lambda: False)
    with contextlib.suppress(OSError), score.lent():
        assert file.read_text() == "1000"
        raise OSError("no process")
    assert file.read_text().startswith("200")


def test_without_that_file_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILES", f"{tmp_path}/none/{{}}")
    score = OomScore()
    score.add(SCANNING)
    with score.lent():
        give(1)
    assert not [*tmp_path.iterdir()]
