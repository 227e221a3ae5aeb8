"""The recorded root of Docker 28 with containerd's image store: what its prunes freed, as measured on that engine.

Its temporary leases were alive then. They are over now, so the clock of the reader stands at the time of the recording.
"""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporter.core.content import BlobUse
from exporter.core.model import Snapshot
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category
from exporter.inventory.layouts import containerd
from tests.support.product import scan
from tests.support.recorded import unpack_containerd

_THEN = datetime(2026, 11, 25, 18, 37, tzinfo=UTC)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    root: Path = unpack_containerd(tmp_path_factory.mktemp("recorded"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containerd, "time", SimpleNamespace(time=_THEN.timestamp))
        return scan(root)


def test_the_prunes_free_what_they_freed_on_the_engine(recorded: Snapshot) -> None:
    for layer in recorded.inventory.layers:
        measured = recorded.whole(layer.content)
        if layer.committed and measured is not None and measured.usage.allocated != layer.recorded_size:
            pytest.skip("the filesystem of the tests has blocks of another size than that of the recording")
    freed = Figures(recorded).reclaim.freed
    assert {name.value: (one.allocated, one.objects) for name, one in freed.items()} == {
        "containers_stopped": (143_360, 2),
        "images_dangling": (229_376, 1),
        "images_unused": (729_088, 6),
        "volumes_unused": (8_192, 1),
        # `docker builder prune` and then the one with --all, both with what the databases grew by.
        "build_cache": (860_160 + 212_992, 16),
        "build_history": (freed[Category.BUILD_HISTORY].allocated, 6),
        "layers_orphaned": (0, 0),
    }


def test_every_byte_of_the_store_has_one_owner(recorded: Snapshot) -> None:
    figures = Figures(recorded)
    blobs = sum(one.allocated or 0 for one in figures.blobs.values())
    content = recorded.inventory.content
    assert content is not None
    files = [one.tree for one in content.blobs.values()] + [one.tree for one in content.ingests]
    assert blobs == sum(recorded.measured[tree].usage.allocated for tree in files if tree is not None)
    assert figures.blobs[BlobUse.ORPHANED].count == figures.blobs[BlobUse.OTHER_NAMESPACE].count == 0
    assert figures.blobs[BlobUse.BUILD_HISTORY].count > 0
    assert figures.history == 6


def test_the_shares_of_the_images_add_up_to_what_they_hold(recorded: Snapshot) -> None:
    inventory, figures = recorded.inventory, Figures(recorded)
    assert inventory.content is not None
    blobs = {digest for image in inventory.images for digest in image.blobs}
    layers = {(image.driver, layer) for image in inventory.images for layer in image.layers}
    whole = sum(inventory.content.blobs[digest].size or 0 for digest in blobs)
    whole += sum(size for key, size in figures.layer_sizes.items() if key in layers)
    shares = [one.proportional for one in figures.images.values()]
    assert None not in shares
    assert abs(sum(share for share in shares if share is not None) - whole) < 0.01
