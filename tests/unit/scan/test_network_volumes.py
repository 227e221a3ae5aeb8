"""Volumes on network filesystems: in these tests mountinfo says that a directory is such a mount."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.cli.commands.df import df
from exporter.cli.commands.index import Index
from exporter.cli.commands.source import parse
from exporter.cli.commands.tables import Lines
from exporter.cli.commands.whose import whose
from exporter.core.model import Snapshot
from exporter.core.mountinfo import MountPoint
from exporter.expose.snapshot_api.encode import describe
from exporter.expose.snapshot_api.pieces import ending
from exporter.figures.figures import Figures
from exporter.inventory import opening
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from tests.support.roots.layerdb import DbRoot

Mount = Callable[[str, str], None]


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    made = DbRoot(tmp_path).layer("base", 1000).image("base", "base", ["base:1"])
    return made.volume("data", 5000).volume("plain", 7)


@pytest.fixture
def mount(built: DbRoot, monkeypatch: pytest.MonkeyPatch) -> Mount:
    def say(below: str, fstype: str) -> None:
        device = os.stat(built.path).st_dev
        own = MountPoint("1", "0", "/", "/", f"{os.major(device)}:{os.minor(device)}", "/dev/vda", "ext4")
        path = str(built.path / below)
        mounts = [own, MountPoint("2", "1", path, "/export", "0:99", "server:/export", fstype)]
        monkeypatch.setattr(opening, "read_mounts", lambda: mounts)

    return say


def _scan(built: DbRoot, pool: Pool, *, network: bool = False) -> Snapshot:
    return Scanner(str(built.path), 600, pool, network=network).scan()


def _sizes(snapshot: Snapshot) -> dict[str, int | None]:
    return {name: usage.size if usage else None for name, usage in Figures(snapshot).volumes.items()}


@pytest.mark.parametrize("fstype", ["nfs", "nfs4", "cifs", "ceph", "fuse.sshfs", "fuse", "9p", "not-known"])
def test_a_volume_on_a_network_filesystem_is_measured_where_that_is_asked_for(
    built: DbRoot, mount: Mount, pool: Pool, fstype: str
) -> None:
    mount("volumes/data/_data", fstype)
    snapshot = _scan(built, pool)
    assert _sizes(snapshot) == {"data": None, "plain": 7}
    assert not snapshot.problems
    assert [one.mountpoint for one in snapshot.filesystems] == ["/"]
    asked = _scan(built, pool, network=True)
    assert _sizes(asked) == {"data": 5000, "plain": 7}
    assert len(asked.filesystems) == 2
    assert not asked.inventory.remarks


@pytest.mark.parametrize("at", ["volumes/data", "volumes"])
def test_what_lies_on_a_network_filesystem_is_not_measured_either(
    built: DbRoot, mount: Mount, pool: Pool, at: str
) -> None:
    mount(at, "nfs4")
    sizes = _sizes(_scan(built, pool))
    assert sizes == {"data": None, "plain": 7 if at == "volumes/data" else None}
    assert _sizes(_scan(built, pool, network=True)) == {"data": 5000, "plain": 7}


@pytest.mark.parametrize("fstype", ["ext4", "xfs", "tmpfs", "zfs", "fuseblk"])
def test_a_volume_on_a_disk_of_its_own_is_measured(built: DbRoot, mount: Mount, pool: Pool, fstype: str) -> None:
    mount("volumes/data/_data", fstype)
    snapshot = _scan(built, pool)
    assert _sizes(snapshot) == {"data": 5000, "plain": 7}
    assert [one.fstype for one in snapshot.filesystems] == ["ext4", fstype]
    assert not snapshot.is_here(("volumes", "data", "_data"))
    assert snapshot.skipped_mounts == 0


def test_the_terminal_says_what_is_not_measured_and_how_it_would_be(built: DbRoot, mount: Mount, pool: Pool) -> None:
    mount("volumes/data/_data", "nfs4")
    document = parse(describe(Figures(_scan(built, pool))).finish(ending(1.0, [])))
    said = [line for part in df(document).parts if isinstance(part, Lines) for line in part.lines]
    (line,) = [line for line in said if "nfs4" in line]
    assert "volumes/data/_data" in line
    assert "--collector.volumes.network" in line
    (owner,) = whose(Index(document), "volumes/data/_data/f").data["owners"]
    assert owner["kind"] == "volume"
