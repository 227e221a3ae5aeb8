from pathlib import Path

import pytest

from tests.support.broken import SECRET, broken_root
from tests.support.product import figures_of
from tests.support.roots import hex_id
from tests.support.usage import allocated


@pytest.mark.parametrize("seed", range(200))
def test_a_broken_object_hides_no_sound_one(seed: int, tmp_path: Path) -> None:
    built = broken_root(tmp_path, seed)
    figures = figures_of(built.path)
    sound, healthy = hex_id("sound")[:12], hex_id("healthy")[:12]
    assert figures("up") == 1
    assert figures("image_virtual_size_bytes", image_id=sound) == 111
    assert figures("image_tag_info", image_id=sound, repository="sound", tag="1") == 1
    assert figures("container_writable_size_bytes", container_id=healthy) == 7
    assert figures("container_log_size_bytes", container_id=healthy) == 5
    assert figures("container_info", name="healthy") == 1
    assert figures("volume_size_bytes", volume=hex_id("data")) == 13
    assert figures.all("containers", state="unknown") or hex_id("broken")[:12] in figures.text
    assert figures.sum("directory_allocated_bytes") == allocated(built.path)
    assert SECRET not in figures.text
