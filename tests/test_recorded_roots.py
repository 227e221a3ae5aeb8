"""The exporter on a root that a real Docker 1.9 wrote."""

from collections.abc import Callable
from pathlib import Path

from tests.conftest import du, figures_of


def test_the_recorded_aufs_root_has_its_two_layers_one_tag_and_three_containers(
    recorded: Callable[[str], Path],
) -> None:
    figures = figures_of(recorded("aufs.v1.tgz"))
    assert figures("layers", use="image") == 2
    assert figures("image_tag_info", repository="busybox", tag="latest") == 1
    assert figures("image_virtual_size_bytes", image_id="1cee97b18f87") == 1_154_361
    assert figures.sum("containers") == 3
    assert {state["state"] for state, count in figures.all("containers") if count} == {"created", "running", "exited"}
    assert figures("container_writable_size_bytes", container_id="de44dd97cfd1") == 16
    assert figures.sum("scan_errors_total") == 0


def test_the_recorded_root_adds_up_to_du(recorded: Callable[[str], Path]) -> None:
    root = recorded("aufs.v1.tgz")
    figures = figures_of(root)
    assert figures.sum("directory_allocated_bytes") == du(root, "--block-size=1")
    assert figures.sum("directory_inodes") == du(root, "--inodes")
    for entry in root.iterdir():
        assert figures("directory_allocated_bytes", directory=entry.name) == du(entry, "--block-size=1")


def test_a_layout_that_is_not_measured_is_named_and_its_directories_are_measured(
    recorded: Callable[[str], Path],
) -> None:
    root = recorded("overlay2.v2.tgz")
    figures = figures_of(root)
    assert figures("root_info", layout="layerdb") == 1
    assert figures.sum("directory_allocated_bytes") == du(root, "--block-size=1")
    assert not figures.all("images", driver="overlay2")
