"""Roots on btrfs, in a file that is mounted: subvolumes are directories with device numbers of their own."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.btrfs import BtrfsRoot, btrfs, digest, subvolume
from tests.support.command import run
from tests.support.product import Samples, document_of, figures_of
from tests.support.roots.layerdb import DbRoot

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs to mount")


def _du(path: Path, *options: str) -> int:
    done = subprocess.run(["du", "-s", *options, str(path)], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def _sync(path: Path) -> None:
    subprocess.run(["btrfs", "filesystem", "sync", str(path)], capture_output=True, check=True)


def _built(at: Path) -> BtrfsRoot:
    built = BtrfsRoot(at)
    built.layer("base", 3_000_000).layer("app", 50_000, "base").image("app", "app", ["app:1"])
    built.container("web", "app", "app", writable={"w": 70_000}).volume("data", 5_000)
    _sync(at)
    return built


def test_layers_that_are_subvolumes_are_measured_and_df_adds_up(tmp_path: Path) -> None:
    with btrfs(tmp_path / "disk") as disk:
        root = _built(disk).path
        figures = figures_of(root)
        assert figures.sum("directory_allocated_bytes") == _du(root, "--block-size=1")
        assert figures("directory_allocated_bytes", directory="btrfs") == _du(root / "btrfs", "--block-size=1")
        assert figures.sum("directory_inodes") == _du(root, "--inodes")
        assert figures("directory_size_bytes", directory="btrfs") > 4 * 3_000_000, "each layer has all below it"
        assert figures("layers_allocated_bytes", use="image") > 6_000_000
        assert figures.sum("scan_errors_total") == figures.sum("missing_layers") == 0


def test_what_a_container_wrote_is_the_difference_to_its_init_layer(tmp_path: Path) -> None:
    with btrfs(tmp_path / "disk") as disk:
        built = _built(disk)
        figures = figures_of(built.path)
        assert figures("container_writable_size_bytes") == 70_000
        assert figures("container_virtual_size_bytes") == 3_000_000 + 50_000 + 70_000
        assert figures("image_virtual_size_bytes") == 3_050_000


def test_what_a_prune_frees_is_not_known_since_layers_share_blocks(tmp_path: Path) -> None:
    with btrfs(tmp_path / "disk") as disk:
        built = _built(disk).layer("left", 10_000, "base")
        freed = {row.category: row.bytes for row in document_of(built.path, orphaned_after=0).reclaimable}
        assert freed["containers_stopped"] is None
        assert freed["images_unused"] is None
        assert freed["volumes_unused"] is not None
        _sync(disk)
        figures = figures_of(built.path, orphaned_after=0)
        assert figures("layers", use="orphaned") == 1
        assert figures("layers_size_bytes", use="orphaned") == 3_010_000


def test_parts_that_are_subvolumes_are_on_the_filesystem_of_the_root(tmp_path: Path) -> None:
    """Only a mount is another filesystem."""
    with btrfs(tmp_path / "disk") as disk:
        built = DbRoot(disk).layer("base", 1_000_000).image("base", "base", ["base:1"])
        (built.path / "volumes").rmdir()
        subvolume(built.path / "volumes")
        built.volume("data", 500_000)
        (built.path / "volumes/db").mkdir()
        subvolume(built.path / "volumes/db/_data")
        (built.path / "volumes/db/_data/f").write_bytes(b"x" * 300_000)
        (built.path / "tmp").mkdir()
        _sync(disk)
        done = run("once", "--root", str(built.path))
        figures = Samples(done.stdout)
        assert figures.sum("directory_allocated_bytes") == _du(built.path, "--block-size=1")
        assert figures("directory_size_bytes", directory="volumes") == 800_000
        assert figures("volume_size_bytes", volume="db") == 300_000
        assert figures.sum("filesystem_size_bytes") > 0
        assert figures("skipped_mounts") == 0


def test_a_mount_on_a_root_on_btrfs_is_another_filesystem(tmp_path: Path) -> None:
    with btrfs(tmp_path / "disk") as disk, btrfs(tmp_path / "other") as other:
        built = DbRoot(disk).layer("base", 1_000_000).image("base", "base", ["base:1"])
        (other / "data").mkdir()
        (other / "data/f").write_bytes(b"x" * 400_000)
        (built.path / "swarm").mkdir()
        subprocess.run(["mount", "--bind", str(other), str(built.path / "swarm")], check=True)
        try:
            figures = Samples(run("once", "--root", str(built.path)).stdout)
        finally:
            subprocess.run(["umount", str(built.path / "swarm")], check=True)
        assert not figures.all("directory_size_bytes", directory="swarm")
        assert digest("x") not in figures.text
