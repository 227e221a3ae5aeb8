"""A real engine with the btrfs driver, on a btrfs in a file, beside its own answers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.btrfs import btrfs
from tests.support.engine import Engine, engine
from tests.support.product import document_of, figures_of
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount"),
    pytest.mark.xdist_group("engine btrfs"),
]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    scratch = tmp_path_factory.mktemp("btrfs")
    with (
        btrfs(scratch / "disk") as disk,
        TemporaryDirectory(prefix="e-") as short,
        engine(disk, Path(short), "btrfs") as one,
    ):
        one.base()
        one.build("app:1", "FROM base:1\nRUN dd if=/dev/zero of=/big bs=1k count=300\nRUN rm /two && echo x > /x\n")
        quiet = ("--network", "none")
        write = "echo w > /w; dd if=/dev/zero of=/v/f bs=1k count=70; dd if=/dev/zero of=/d bs=1k count=40"
        one.run("run", *quiet, "--name", "ended", "-v", "data:/v", "app:1", "sh", "-c", write)
        one.run(
            "run", "-d", *quiet, "--name", "runs", "base:1", "sh", "-c", f"mkdir /v; {write}; echo written; sleep 1000"
        )
        eventually(lambda: "written" in one.run("logs", "runs"))
        subprocess.run(["btrfs", "filesystem", "sync", str(disk)], check=True, capture_output=True)
        yield one


def test_the_sizes_are_those_that_the_engine_says(busy: Engine) -> None:
    figures = figures_of(busy.root)
    for image in busy.ask("/images/json"):
        name = image["Id"].removeprefix("sha256:")[:12]
        assert figures("image_virtual_size_bytes", image_id=name) == image["Size"]
    containers = busy.ask("/containers/json?all=1&size=1")
    assert len(containers) == 2
    for container in containers:
        name = container["Id"][:12]
        assert figures("container_writable_size_bytes", container_id=name) == container.get("SizeRw", 0)
        assert figures("container_virtual_size_bytes", container_id=name) == container["SizeRootFs"]
    (volume,) = busy.ask("/system/df")["Volumes"]
    assert figures("volume_size_bytes", volume="data") == volume["UsageData"]["Size"]


def test_df_adds_up_to_what_is_there(busy: Engine) -> None:
    done = subprocess.run(["du", "-s", "--block-size=1", str(busy.root)], capture_output=True, text=True, check=True)
    figures = figures_of(busy.root)
    # What the kernel mounts for the container that runs is left out by du -x alone.
    assert figures.sum("directory_allocated_bytes") <= int(done.stdout.split()[0])
    subvolumes = busy.root / "btrfs/subvolumes"
    done = subprocess.run(["du", "-s", "--block-size=1", str(subvolumes)], capture_output=True, text=True, check=True)
    layers = figures.sum("layers_allocated_bytes")
    assert layers == int(done.stdout.split()[0]) - 512 * os.stat(subvolumes).st_blocks
    assert figures("directory_allocated_bytes", directory="btrfs") >= layers


def test_nothing_is_left_over_or_missing(busy: Engine) -> None:
    document = document_of(busy.root, orphaned_after=0)
    assert {one.use for one in document.layers} == {"image", "container"}
    assert not document.missing
    assert not document.problems
    assert not document.gaps
