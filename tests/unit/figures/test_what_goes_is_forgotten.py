"""Nothing is kept of objects that have gone: a host makes containers by the thousand."""

from exporter.core.model import LayerId, Use
from exporter.figures.container_sizes import ContainerSizes
from exporter.figures.figures import Figures
from exporter.figures.image_sizes import ImageSizes
from exporter.figures.reclaim import Reclaimer
from tests.support.snapshots import container, layer, snapshot, tree


def _told(name: str, before: Figures | None) -> Figures:
    """A container of a store of containerd, with a measured tree in it that is no object's."""
    one = container(name, namespace="moby", image_id="image", layer=LayerId(name), init=LayerId(f"{name}-init"))
    layers = (layer(name, Use.CONTAINER), layer(f"{name}-init", Use.CONTAINER, recorded_size=1))
    measured = {("containers", name): tree(1), ("containers", name, "checkpoints"): tree(2)}
    figures = Figures(snapshot(measured, containers=(one,), layers=layers), before)
    figures.forget_before()
    return figures


def test_a_container_that_goes_leaves_nothing_behind() -> None:
    figures = _told("first", None)
    for number in range(20):
        figures = _told(f"c{number}", figures)
    parts = figures.parts._made
    containers, images, reclaimer = (parts[kind] for kind in (ContainerSizes, ImageSizes, Reclaimer))
    assert isinstance(containers, ContainerSizes)
    assert isinstance(images, ImageSizes)
    assert isinstance(reclaimer, Reclaimer)
    assert {key.id for key in containers._below} == {"c19-init"}
    assert len(images._users) == 1
    assert {first for first in reclaimer._owners._loose if first[:1] == ("containers",)} == {("containers", "c19")}
