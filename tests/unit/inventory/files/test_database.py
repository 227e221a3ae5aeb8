"""A database of a root that is written to all the time keeps what was read of it, for a minute."""

import os
import time
from pathlib import Path

import pytest

from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason
from exporter.demo.bolt import PAGE, meta, write_bolt
from exporter.inventory.files.bolt import BoltError, Bucket
from exporter.inventory.files.database import read_database
from exporter.inventory.files.memo import Memo
from tests.support.clock import FakeClock

_FILE = ("meta.db",)


def _names(bucket: Bucket) -> set[bytes]:
    return {*bucket.buckets}


class _Writer:
    """Commits once more with each read: the newest meta page is another one each time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 8

    def pread(self, descriptor: int, length: int, offset: int) -> bytes:
        self._number += 1
        content = bytearray(self._path.read_bytes())
        at = self._number % 2 * PAGE
        root, pages = int.from_bytes(content[PAGE + 32 : PAGE + 40], "little"), len(content) // PAGE
        content[at : at + PAGE] = meta(self._number % 2, self._number, root, pages)
        self._path.write_bytes(content)
        return _PREAD(descriptor, length, offset)


_PREAD = os.pread


def test_the_last_reading_counts_for_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.uptime)
    write_bolt(tmp_path / "meta.db", {"v1": {"moby": {}}})
    memo = Memo()
    with DataRoot(str(tmp_path)) as root:
        assert read_database(root, memo, _FILE, "v1", _names) == {b"moby"}
        write_bolt(tmp_path / "meta.db", {"v1": {"moby": {}, "k8s.io": {}}})
        monkeypatch.setattr(os, "pread", _Writer(tmp_path / "meta.db").pread)
        assert read_database(root, memo, _FILE, "v1", _names) == {b"moby"}
        clock.advance(61)
        with pytest.raises(BoltError) as failed:
            read_database(root, memo, _FILE, "v1", _names)
        assert failed.value.reason is Reason.CHANGING
        monkeypatch.setattr(os, "pread", _PREAD)
        assert read_database(root, memo, _FILE, "v1", _names) == {b"moby", b"k8s.io"}


def test_damage_is_no_reason_to_take_the_last_reading(tmp_path: Path) -> None:
    write_bolt(tmp_path / "meta.db", {"v1": {"moby": {}}})
    memo = Memo()
    with DataRoot(str(tmp_path)) as root:
        read_database(root, memo, _FILE, "v1", _names)
        (tmp_path / "meta.db").write_bytes(b"garbage" * 2000)
        with pytest.raises(BoltError):
            read_database(root, memo, _FILE, "v1", _names)
