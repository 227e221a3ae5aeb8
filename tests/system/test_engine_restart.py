"""What a real engine does when it starts again: with old temporary files, and with empty databases."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.engine import engine
from tests.support.product import document_of
from tests.support.waiting import eventually


def test_a_restart_frees_old_temporary_files_as_df_says(tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), "vfs") as one:
        for left in (one.root / "tmp/GetImageBlob1", one.root / "tmp/docker-import-7/layer.tar"):
            left.parent.mkdir(exist_ok=True)
            left.write_bytes(b"x" * 50_000)
            os.utime(left, (1_600_000_000, 1_600_000_000))
        (row,) = document_of(one.root).temporary
        assert (row.path, row.files) == ("tmp", 2)
        assert row.how == "restart the daemon: it empties tmp when it starts"
        one.stop()
        one.start()
        eventually(lambda: not (one.root / "tmp-old").exists())
        assert list((one.root / "tmp").iterdir()) == []
        assert document_of(one.root).temporary == ()


@pytest.mark.parametrize("file", ["volumes/metadata.db", "buildkit/metadata_v2.db", "buildkit/snapshots.db"])
def test_an_engine_makes_a_new_database_in_a_file_of_0_bytes(tmp_path: Path, file: str) -> None:
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), "vfs") as one:
        one.run("volume", "create", "data")
        one.stop()
        assert (one.root / file).stat().st_size
        os.truncate(one.root / file, 0)
        assert document_of(one.root).problems == ()
        one.start()
        assert one.run("volume", "ls", "-q").split() == ["data"]
        assert (one.root / file).stat().st_size
