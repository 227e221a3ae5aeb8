"""What an engine removes or makes while the store is read is looked at again before it counts."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.inventory.files import reader
from exporter.inventory.image_store.store import META_FILE, METADATA
from tests.support.inventories import Reads

_BASE, _TOP = oci.layer({"bin/sh": b"#" * 9000}), oci.layer({"srv/app": b"x" * 5000})
_APP = "docker.io/library/app:1"


@pytest.fixture
def writer(tmp_path: Path) -> ContainerdWriter:
    made = ContainerdWriter(tmp_path / "docker")
    made.image("docker.io/library/base:1", [_BASE])
    made.image(_APP, [_BASE, _TOP])
    made.write()
    return made


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], list[int]]:
    """Has the engine go on while the reader waits; counts how often that is."""

    def set_up(work: Callable[[], object]) -> list[int]:
        waits: list[int] = []

        def wait() -> None:
            if not waits:
                work()
            waits.append(1)

        monkeypatch.setattr(reader, "wait_for_writer", wait)
        return waits

    return set_up


Meanwhile = Callable[[Callable[[], object]], list[int]]


def _remove_app(writer: ContainerdWriter) -> None:
    writer.moby.remove_image(_APP)
    writer.moby.remove_snapshot(oci.chain_ids([_BASE.diff_id, _TOP.diff_id])[-1])
    for digest in [one for one in writer.moby.bucket("content", "blob") if not writer.store.blob_path(one).exists()]:
        del writer.moby.bucket("content", "blob")[digest]
    writer.write()


def test_an_image_that_is_removed_meanwhile_is_gone(writer: ContainerdWriter, meanwhile: Meanwhile) -> None:
    writer.store.blob_path(writer.target(_APP).digest).unlink()
    waits = meanwhile(lambda: _remove_app(writer))
    reads = Reads(writer.root)
    inventory = reads.again(everything=True)
    assert [one.references for one in inventory.images] == [(("base", "1"),)]
    assert (sum(waits), reads.problems.counts, inventory.knowledge.gaps) == (1, {}, ())


def test_a_blob_that_is_collected_after_it_was_listed_is_no_error(
    writer: ContainerdWriter, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = writer.store.blob_path(writer.target(_APP).digest)
    real = reader.Reader.bytes

    def bytes_of(self: reader.Reader, tree: tuple[str, ...], *, optional: bool = False) -> bytes | None:
        if tree[-1] == path.name:
            path.unlink(missing_ok=True)
        return real(self, tree, optional=optional)

    monkeypatch.setattr(reader.Reader, "bytes", bytes_of)
    waits = meanwhile(lambda: _remove_app(writer))
    reads = Reads(writer.root)
    inventory = reads.again(everything=True)
    assert [one.references for one in inventory.images] == [(("base", "1"),)]
    assert (sum(waits), reads.problems.counts) == (1, {})


def test_a_snapshot_that_is_removed_meanwhile_is_not_missing(writer: ContainerdWriter, meanwhile: Meanwhile) -> None:
    key = oci.chain_ids([_BASE.diff_id, _TOP.diff_id])[-1]
    name = writer.moby.snapshot_name(key)
    entry = writer.moby.bucket("snapshots", "overlayfs")[key]
    writer.moby.remove_snapshot(key)
    writer.moby.bucket("snapshots", "overlayfs")[key] = entry
    writer.write()
    waits = meanwhile(lambda: _forget(writer, key))
    inventory = Reads(writer.root).again(everything=True)
    assert name
    assert (sum(waits), inventory.missing["overlayfs"]) == (1, frozenset())
    assert not any(image.broken for image in inventory.images)


def test_a_reading_that_stood_still_meanwhile_is_done_again(
    writer: ContainerdWriter, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that is paused between the main database and the others: what it named was removed long ago."""
    key = oci.chain_ids([_BASE.diff_id, _TOP.diff_id])[-1]
    real, removed = reader.Reader.database, False

    def database(self: reader.Reader, tree: tuple[str, ...], *rest: Any) -> Any:
        nonlocal removed
        found = real(self, tree, *rest)
        if tree[-1] == META_FILE and not removed:
            removed = True
            writer.moby.remove_snapshot(key)
            writer.moby.remove_image(_APP)
            writer.write()
            os.utime(writer.root.joinpath(*tree), (2, 2))
        return found

    (main,) = writer.root.glob(f"**/{METADATA}/{META_FILE}")
    os.utime(main, (1, 1))
    monkeypatch.setattr(reader.Reader, "database", database)
    waits = meanwhile(lambda: None)
    inventory = Reads(writer.root).again(everything=True)
    assert (sum(waits), inventory.missing["overlayfs"]) == (1, frozenset())
    assert [one.references for one in inventory.images] == [(("base", "1"),)]


def _forget(writer: ContainerdWriter, key: str) -> None:
    writer.moby.remove_image(_APP)
    del writer.moby.bucket("snapshots", "overlayfs")[key]
    writer.write()


def test_a_container_that_is_removed_meanwhile_misses_no_layer(writer: ContainerdWriter, meanwhile: Meanwhile) -> None:
    identity = writer.container("web", "app:1", writer.target(_APP))
    for key in (identity, f"{identity}-init"):
        writer.moby.remove_snapshot(key)
    writer.moby.remove_lease(identity)
    writer.write()
    waits = meanwhile(lambda: shutil.rmtree(writer.root / "containers" / identity))
    assert Reads(writer.root).again(everything=True).missing["overlayfs"] == frozenset()
    assert sum(waits) == 1


def test_a_container_without_its_snapshot_misses_it(writer: ContainerdWriter, meanwhile: Meanwhile) -> None:
    identity = writer.container("web", "app:1", writer.target(_APP))
    for key in (identity, f"{identity}-init"):
        writer.moby.remove_snapshot(key)
    writer.write()
    waits = meanwhile(lambda: None)
    assert Reads(writer.root).again(everything=True).missing["overlayfs"] == {identity}
    assert sum(waits) == 1


@pytest.mark.parametrize("missing", [("config.v2.json", "hostconfig.json"), ("hostconfig.json",)])
def test_a_container_that_is_being_made_has_its_configuration_soon(
    writer: ContainerdWriter, meanwhile: Meanwhile, missing: tuple[str, ...]
) -> None:
    identity = writer.container("web", "app:1", writer.target(_APP))
    writer.write()
    home = writer.root / "containers" / identity
    kept = {name: (home / name).read_bytes() for name in missing}
    for name in kept:
        (home / name).unlink()
    waits = meanwhile(lambda: [(home / name).write_bytes(content) for name, content in kept.items()])
    reads = Reads(writer.root)
    inventory = reads.again(everything=True)
    assert [one.name for one in inventory.containers] == ["web"]
    assert (sum(waits), reads.problems.counts, inventory.knowledge.gaps) == (1, {}, ())


@pytest.mark.parametrize("ends", [True, False])
def test_a_snapshot_that_is_committed_meanwhile_is_not_missing(
    writer: ContainerdWriter, monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    """The snapshotter has its new name long before the main database on a slow disk."""
    writer.moby.snapshot("step", files={"s": 4000})
    writer.moby.lease("work", snapshots=["step"])
    entries = writer.moby.bucket("snapshots", "overlayfs")
    done = entries.pop("step")
    entries["active"] = done | {"name": b"moby/1/active"}
    writer.write()
    waits: list[int] = []

    def wait() -> None:
        waits.append(1)
        if ends and len(waits) == _SLOW:
            del entries["active"]
            entries["step"] = done
            writer.write()

    monkeypatch.setattr(reader, "wait_for_writer", wait)
    missing = Reads(writer.root).again(everything=True).missing["overlayfs"]
    assert missing == (set() if ends else {"active"})
    assert sum(waits) == _SLOW if ends else sum(waits) > _SLOW


_SLOW = 12
