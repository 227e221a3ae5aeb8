"""A filesystem that says what cannot be true (FUSE) costs its own figures and no others."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lying import Lies, lying
from tests.support.product import Samples
from tests.support.roots.layerdb import DbRoot
from tests.support.waiting import DEADLINE

_LIES = {
    "more blocks than there are": Lies(blocks=1 << 56),
    "blocks below zero": Lies(blocks=-1),
    "a directory with blocks below zero": Lies(blocks=-1, top=True),
    "as many blocks as there can be": Lies(blocks=(1 << 63) - 1, top=True),
}


#: The test itself serves the filesystem, and may be slow: that is no hang.
_PATIENT = """
from exporter.__main__ import main
from exporter.core.hang_probe import HANG_PROBE
HANG_PROBE._seconds = 60
main()
"""


def _once(root: Path) -> tuple[int, Samples, str]:
    command = [sys.executable, "-c", _PATIENT, "once", "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    return done.returncode, Samples(done.stdout), done.stderr


def _root(top: Path) -> DbRoot:
    built = DbRoot(top).layer("base", 100).image("base", "base", ["base:1"])
    return built.volume("sound", 9000).volume("lying", 10)


@pytest.mark.parametrize("lies", _LIES.values(), ids=_LIES)
def test_a_tree_with_impossible_numbers_is_not_known_and_all_others_are(tmp_path: Path, lies: Lies) -> None:
    built = _root(tmp_path)
    _, sound, _ = _once(built.path)
    with lying(built.path / "volumes/lying/_data", lies):
        status, found, said = _once(built.path)
    assert status == 1
    assert found("up") == 1
    assert found("volume_size_bytes", volume="sound") == 9000
    assert found.all("image_virtual_size_bytes") == sound.all("image_virtual_size_bytes")
    assert not found.all("volume_size_bytes", volume="lying")
    assert not found.all("volume_allocated_bytes", volume="lying")
    assert found("volume_info", volume="lying") == 1
    assert found("scan_errors_total", collector="volumes", reason="internal") >= 1
    assert "volumes/lying/_data" in said
    assert "Traceback" not in said
    assert all(value >= 0 for _, _, value in found.samples)


@pytest.mark.parametrize(("free", "total"), [(-1, 2000), (1 << 62, 2000), (5, -1), (-(2**40), -(2**40))])
def test_impossible_space_is_left_out(tmp_path: Path, free: int, total: int) -> None:
    built = _root(tmp_path)
    with lying(built.path / "volumes/lying/_data", Lies(free=free, total=total)):
        _, found, said = _once(built.path)
    mounted = f"{built.path}/volumes/lying/_data"
    assert found("up") == 1
    assert found("filesystem_readonly", mountpoint=mounted) == 0
    assert bool(found.all("filesystem_size_bytes", mountpoint=mounted)) is (total > 0)
    assert bool(found.all("filesystem_free_bytes", mountpoint=mounted)) is (0 < free < 2000)
    assert all(value >= 0 for _, _, value in found.samples)
    assert found("volume_size_bytes", volume="lying") == 100
    assert "Traceback" not in said
