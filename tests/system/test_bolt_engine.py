"""Databases that a real engine writes to while they are read: volumes come and go, and BuildKit builds."""

import json
import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from exporter.inventory.files.bolt import Bucket, read_bolt
from tests.support.engine import Engine, engine

_READS = 400
_KEPT = 12
_VOLUMES, _RECORDS, _SNAPSHOTS = "volumes/metadata.db", "buildkit/metadata_v2.db", "buildkit/snapshots.db"


def _read(root: Path, file: str, bucket: bytes | None) -> Bucket:
    descriptor = os.open(root / file, os.O_RDONLY)
    try:
        return read_bolt(partial(os.pread, descriptor), bucket)
    finally:
        os.close(descriptor)


def _kept_records(root: Path) -> set[bytes]:
    """The records of the build that is never removed. Others go when a build ends: those of its context."""
    records = _read(root, _RECORDS, b"_main").buckets
    return {key for key, one in records.items() if b"echo kept" in one.values.get(b"cache.description", b"")}


class _Writers:
    """Makes and removes volumes, and builds, until it is stopped."""

    def __init__(self, one: Engine) -> None:
        self._engine = one
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(step,)) for step in (self._volume, self._build)]
        #: The volumes whose making has begun, has ended, and whose removal has begun.
        self.begun: set[str] = set()
        self.made: set[str] = set()
        self.removed: set[str] = set()
        self.builds = 0
        self.errors: list[BaseException] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, step: Callable[[int], None]) -> None:
        for number in count():
            if self._stopped.is_set():
                return
            try:
                step(number)
            except BaseException as error:  # noqa: BLE001 - the test reports it
                self.errors.append(error)
                return

    def _volume(self, number: int) -> None:
        name = f"v{number}"
        self.begun.add(name)
        self._engine.run("volume", "create", "--label", f"long={'x' * (number % 7 * 900)}", name)
        self.made.add(name)
        if number % 3 == 2:
            gone = f"v{number - 2}"
            self.removed.add(gone)
            self._engine.run("volume", "rm", gone)

    def _build(self, number: int) -> None:
        steps = "\n".join(f"RUN echo {number} > /b{step}" for step in range(3))
        self._engine.build(f"built{number % 4}", f"FROM base:1\n{steps}\n", builder="1")
        self.builds += 1


def test_databases_are_read_whole_while_an_engine_writes_to_them(tmp_path: Path) -> None:
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), "overlay2") as one:
        one.base()
        one.build("kept", "FROM base:1\nRUN echo kept > /kept\n", builder="1")
        for number in range(_KEPT):
            one.run("volume", "create", "--label", f"number={number}", f"kept{number}")
        kept = _read(one.root, _VOLUMES, b"volumes").values
        records = _kept_records(one.root)
        assert len(kept) == _KEPT
        assert records
        with _Writers(one) as writers:
            reads = 0
            while (reads < _READS or len(writers.made) < 30 or writers.builds < 3) and not writers.errors:
                made = set(writers.made)
                values = _read(one.root, _VOLUMES, b"volumes").values
                begun, removing = set(writers.begun), set(writers.removed)
                names = {name.decode() for name, value in values.items() if isinstance(json.loads(value), dict)}
                assert kept.items() <= values.items()
                assert made - removing <= names - {name.decode() for name in kept} <= begun
                assert _kept_records(one.root) == records
                assert _read(one.root, _SNAPSHOTS, None).buckets
                reads += 1
        assert writers.errors == []
