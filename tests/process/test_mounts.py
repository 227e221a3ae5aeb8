import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product import Samples
from tests.support.roots import graph_root


def _may_mount() -> bool:
    unshare = shutil.which("unshare")
    return (
        unshare is not None
        and subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(os.getuid() != 0 or not _may_mount(), reason="needs to mount in a namespace of its own")
def test_what_is_mounted_within_is_not_entered(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", size=1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 1_000_000)
    root = built.path
    (root / "tmp/tmpfs").mkdir()
    (root / "tmp/bind").mkdir()
    script = (
        f"mount -t tmpfs none {root}/tmp/tmpfs && head -c 500000 /dev/zero > {root}/tmp/tmpfs/file && "
        f"mount --bind {outside} {root}/tmp/bind && mount --bind {root}/aufs {root}/aufs && "
        f"exec {sys.executable} -m exporter once --root {root}"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)
    figures = Samples(done.stdout)
    assert figures("skipped_mounts") == 2
    assert figures("directory_size_bytes", directory="tmp") == 0
    assert figures("directory_inodes", directory="aufs") > 3
