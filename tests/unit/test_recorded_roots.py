"""The exporter on roots that real Dockers wrote: 1.9 with aufs, 17.06 with overlay2."""

from pathlib import Path

from tests.support.product import figures_of
from tests.support.recorded import unpack
from tests.support.usage import allocated, inodes


def test_the_recorded_aufs_root_has_its_two_layers_one_tag_and_three_containers(tmp_path: Path) -> None:
    figures = figures_of(unpack("aufs.v1.tgz", tmp_path))
    assert figures("layers", use="image") == 2
    assert figures("image_tag_info", repository="busybox", tag="latest") == 1
    assert figures("image_virtual_size_bytes", image_id="1cee97b18f87") == 1_154_361
    assert figures.sum("containers") == 3
    assert {state["state"] for state, count in figures.all("containers") if count} == {"created", "stale", "exited"}
    assert figures("container_writable_size_bytes", container_id="de44dd97cfd1") == 16
    assert figures.sum("scan_errors_total") == 0


def test_the_recorded_root_adds_up_to_du(tmp_path: Path) -> None:
    root = unpack("aufs.v1.tgz", tmp_path)
    figures = figures_of(root)
    assert figures.sum("directory_allocated_bytes") == allocated(root)
    assert figures.sum("directory_inodes") == inodes(root)
    for entry in root.iterdir():
        assert figures("directory_allocated_bytes", directory=entry.name) == allocated(entry)


def test_the_recorded_overlay2_root_has_both_drivers_and_five_containers(tmp_path: Path) -> None:
    root = unpack("overlay2.v2.tgz", tmp_path)
    figures = figures_of(root, orphaned_after=0)
    assert [labels["layout"] for labels, _ in figures.all("root_info")] == ["layerdb"]
    assert figures.sum("directory_allocated_bytes") == allocated(root)
    assert figures("image_virtual_size_bytes", driver="overlay2") == 1_146_369
    assert figures("image_containers", driver="overlay2") == 5
    assert {labels["driver"] for labels, _ in figures.all("layers")} == {"overlay", "overlay2"}
    assert (figures.sum("layers", use="image"), figures.sum("layers", use="container")) == (1, 10)
    assert figures.sum("layers", use="orphaned") == figures.sum("layers", use="pending") == 0
    states = {labels["state"]: count for labels, count in figures.all("containers") if count}
    assert states == {"created": 2, "exited": 2, "stale": 1}
    assert figures.sum("missing_layers") == figures.sum("scan_errors_total") == 0
