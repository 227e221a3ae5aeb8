"""Volumes that are mounts of their own are measured, if their filesystem is of this machine."""

import os
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.hanging import hanging
from tests.support.mounts import mounted
from tests.support.product import Samples, du
from tests.support.roots.layerdb import DbRoot

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs to mount")


@pytest.fixture
def built(tmp_path: Path) -> DbRoot:
    made = DbRoot(tmp_path).layer("base", 1000).image("base", "base", ["base:1"])
    return made.volume("data", 5000).volume("plain", 7)


def _once(built: DbRoot, *options: str) -> Samples:
    return Samples(run("once", "--root", str(built.path), *options).stdout)


def test_a_volume_that_is_a_mount_is_measured_and_its_filesystem_is_shown(built: DbRoot) -> None:
    data = built.path / "volumes/data/_data"
    before = _once(built)
    with mounted(data, "-t", "tmpfs", "tmpfs"):
        (data / "large").write_bytes(b"x" * 300_000)
        figures = _once(built)
        assert figures("volume_size_bytes", volume="data") == 300_000
        assert figures("volume_size_bytes", volume="plain") == 7
        assert figures("filesystem_size_bytes", mountpoint=str(data)) > 0
        assert figures("volume_filesystem_info", volume="data", mountpoint=str(data), fstype="tmpfs") == 1
        assert not figures.all("volume_filesystem_info", volume="plain")
        assert figures("filesystem_allocated_bytes", mountpoint=str(data)) > 300_000
        here = figures("directory_filesystem_info", directory="containers")
        assert here == figures("directory_filesystem_info", directory=".") == 1
        assert figures.sum("filesystem_allocated_bytes") == sum(
            figures.sum(name) for name in ("directory_allocated_bytes", "volume_allocated_bytes")
        ) - figures("volume_allocated_bytes", volume="plain")
        assert figures.sum("filesystem_reclaimable_bytes") == figures.sum("reclaimable_bytes")
        assert figures("reclaimable_bytes", category="volumes_unused") > 300_000
        assert figures("skipped_mounts") == 0
        assert figures("directory_allocated_bytes", directory="volumes") == 512 * du(
            built.path / "volumes", "--block-size=512"
        )
    assert figures.sum("scan_errors_total") == before.sum("scan_errors_total") == 0
    assert before("volume_size_bytes", volume="data") == 5000


def test_the_directory_of_a_volume_can_be_the_mount(built: DbRoot) -> None:
    home = built.path / "volumes/disk"
    home.mkdir()
    with mounted(home, "-t", "tmpfs", "tmpfs"):
        (home / "_data").mkdir()
        (home / "_data/f").write_bytes(b"x" * 200_000)
        figures = _once(built)
        assert figures("volume_size_bytes", volume="disk") == 200_000
        assert figures("filesystem_size_bytes", mountpoint=str(home)) > 0
        assert figures("volume_size_bytes", volume="data") == 5000


def test_a_volume_with_options_has_no_size_mounted_or_not(built: DbRoot, tmp_path: Path) -> None:
    """`docker system df -v` leaves it out: what `o=bind` shows is elsewhere on the host."""
    other = tmp_path / "srv"
    other.mkdir()
    (other / "f").write_bytes(b"x" * 123_000)
    (built.path / "volumes/data/opts.json").write_text(
        '{"MountType":"none","MountDevice":"%s","MountOpts":"bind"}' % other  # noqa: UP031 - braces
    )
    assert not _once(built).all("volume_size_bytes", volume="data")
    data = built.path / "volumes/data/_data"
    total = _once(built).sum("directory_allocated_bytes")
    with mounted(data, "--bind", str(other)):
        figures = _once(built)
        assert not figures.all("volume_size_bytes", volume="data")
        # What lies outside the root is not what the root takes: of the volume, the mount point is left out.
        assert figures.sum("directory_allocated_bytes") <= total


def test_a_volume_on_a_filesystem_that_hangs_delays_nothing(built: DbRoot) -> None:
    with hanging(built.path / "volumes/data/_data"):
        figures = _once(built)
        assert figures("volume_size_bytes", volume="plain") == 7
        assert not figures.all("volume_size_bytes", volume="data")
        listed = run("df", "--root", str(built.path))
        assert "volumes/data/_data" in listed.stdout
        assert "--collector.volumes.network" in listed.stdout
