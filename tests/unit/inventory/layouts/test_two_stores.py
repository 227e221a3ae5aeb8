"""A root with two image stores: Docker works with one of them, and the other one is still there."""

from pathlib import Path

import pytest

from exporter.core.model import LayerId
from exporter.demo import oci
from exporter.demo.containerd_docker import ContainerdWriter
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category
from exporter.inventory import read as reading
from tests.support.inventories import read
from tests.support.product import scan
from tests.support.roots.layerdb import DbRoot


@pytest.fixture
def root(tmp_path: Path) -> Path:
    built = DbRoot(tmp_path).layer("base", 100).image("base", "base", ["old:1"])
    built.build("a" * 25, size=3).build("b" * 25, size=4)
    writer = ContainerdWriter(built.path)
    base = oci.layer({"bin/sh": b"#" * 900})
    writer.image("docker.io/library/new:1", [base])
    writer.build_record("step", files={"s": b"4" * 40}, layer=oci.layer({"s": b"4" * 40}))
    writer.write()
    return built.path


@pytest.mark.parametrize(("current", "records", "unloaded"), [("overlay2", 2, "new"), ("overlayfs", 1, "old")])
def test_the_engine_knows_the_records_and_images_of_its_own_store(
    root: Path, monkeypatch: pytest.MonkeyPatch, current: str, records: int, unloaded: str
) -> None:
    monkeypatch.setattr(reading, "current_driver", lambda *_: current)
    inventory = read(root)
    assert inventory.layouts == ("layerdb", "containerd")
    assert len(inventory.build_cache.records) == records
    assert [one.references[0][0] for one in inventory.images if one.unloaded] == [unloaded]


def test_a_prune_leaves_the_build_cache_of_the_other_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freed = {}
    for current in ("overlay2", "overlayfs"):
        monkeypatch.setattr(reading, "current_driver", lambda *_, name=current: name)
        found = Figures(scan(root)).reclaim.freed[Category.BUILD_CACHE]
        assert found.allocated
        freed[current] = found.allocated, found.objects
    assert freed["overlay2"][1] == 2
    assert freed["overlayfs"][1] == 1
    kept = read(root).build_cache.kept
    assert kept == {"overlay2": frozenset({LayerId("a" * 25), LayerId("b" * 25)})}
