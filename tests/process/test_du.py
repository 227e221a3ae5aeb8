"""What the tests count by themselves is what `du` says."""

import os
from pathlib import Path

from tests.support.mounts import mounted
from tests.support.product import du
from tests.support.usage import allocated, inodes


def test_the_tests_count_blocks_and_inodes_as_du_does(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for directory in range(20):
        at = top / f"d{directory % 5}" / f"s{directory}"
        at.mkdir(parents=True)
        (at / "file").write_bytes(b"x" * directory * 3000)
        os.link(at / "file", top / f"link{directory}")
        os.link(at / "file", tmp_path / f"elsewhere{directory}")
        (at / "symlink").symlink_to(top)
        (at / "long").symlink_to("/" + "x" * 200)
    os.mkfifo(top / "fifo")
    with (top / "sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.write(b"begin")
    (top / "mount").mkdir()
    with mounted(top / "mount", "-t", "tmpfs", "none"):
        (top / "mount/inside").write_bytes(b"x" * 50_000)
        for path in (top, top / "d0", top / "sparse", top / "fifo", top / "d1/s1/long"):
            assert allocated(path) == du(path, "--block-size=1"), path
            assert inodes(path) == du(path, "--inodes"), path
