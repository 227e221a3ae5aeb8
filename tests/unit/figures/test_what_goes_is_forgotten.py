"""Nothing is kept of objects that have gone: a host makes containers by the thousand."""

from collections import Counter, defaultdict

from exporter.core.model import BuildCache, BuildRecord, ContainerId, ContainerKey, ImageId, LayerId, Use
from exporter.figures.container_sizes import ContainerSizes
from exporter.figures.figures import Figures
from exporter.figures.image_sizes import ImageSizes
from exporter.figures.reclaim import Reclaimer
from tests.support.snapshots import container, image, layer, snapshot, tree, volume


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
    assert containers.figures.keys() == {ContainerKey("moby", ContainerId("c19"))}
    assert {first for first in reclaimer._owners._loose if first[:1] == ("containers",)} == {("containers", "c19")}


def test_what_graph_drivers_had_leaves_nothing_behind() -> None:
    """Images of a chain, containers on them, volumes, records of builds, and layers that all of these need."""
    figures = Figures(snapshot({}))
    figures.forget_before()
    for number in range(5):
        names = [f"{part}{number}" for part in ("base", "app", "layer", "writable")]
        told = snapshot(
            {("volumes", names[0]): tree(1), ("buildkit", names[0]): tree(1)},
            layers=(layer(names[2]), layer(names[3], Use.ORPHANED, held="lost")),
            images=(image(names[0], names[2]), image(names[1], names[2], parent=ImageId(names[0]))),
            containers=(container(names[0], layer=LayerId(names[3]), image_id=names[1], volumes=(names[0],)),),
            volumes=(volume(names[0]),),
            build_cache=BuildCache((BuildRecord(names[0], content=("buildkit", names[0])),)),
        )
        figures = Figures(told, figures)
        figures.forget_before()
    for _ in range(2):  # what has changed is known until the next one
        figures = Figures(snapshot({}), figures)
        figures.forget_before()
    assert not figures.barrier.failed
    made = {kind.__name__: part for kind, part in figures.parts._made.items()}
    assert {(name, at) for name, part in made.items() for at, kept in vars(part).items() if _is_left(kept)} <= {
        ("BlobUses", "_sums")  # it has all uses
    }
    going = made["Reclaimer"]._clean_up._going  # type: ignore[attr-defined]
    assert not any((going._images, going._children, going._goes, going._used, going._mounted))
    assert not [layers for by_driver in going._needs.values() for layers in by_driver.values() if layers]
    assert set(going.objects.values()) <= {0}


def _is_left(kept: object) -> bool:
    """Whether a mapping or a list of objects has some; tallies and the like have groups without any objects."""
    return isinstance(kept, dict | list | set) and bool(kept) and not isinstance(kept, Counter | defaultdict)
