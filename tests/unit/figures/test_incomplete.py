"""Trees of which a part could not be read: what is worked out of them is not known."""

import pytest
from msgspec.structs import replace

from exporter.core.measured import Tree
from exporter.core.model import LayerId, Snapshot, Use
from exporter.figures.figures import Figures
from exporter.figures.prunes import Category
from tests.support.snapshots import container, container_key, image, image_key, layer, snapshot, tree, volume

_BASE, _OWN, _LEFT = (("overlay2", name) for name in ("base", "own", "left"))
_DATA: Tree = ("volumes", "data", "_data")


def _sound() -> Snapshot:
    layers = (layer("base"), layer("own", Use.CONTAINER), layer("left", Use.ORPHANED))
    return snapshot(
        {
            ("overlay2",): tree(0),
            ("volumes",): tree(0),
            _BASE: tree(1000),
            _OWN: tree(30),
            _LEFT: tree(7),
            _DATA: tree(500),
            ("volumes", "data"): tree(0),
            ("containers", "web"): tree(2),
        },
        directories=("overlay2", "volumes"),
        layers=layers,
        images=(image("app", "base"),),
        containers=(container("web", layer=LayerId("own"), image_id="app"),),
        volumes=(volume("data"),),
    )


def _without(*lost: Tree) -> Figures:
    return Figures(replace(_sound(), incomplete=frozenset(lost)))


def test_everything_is_known_of_whole_trees() -> None:
    figures = _without()
    assert figures.layers["overlay2", "", Use.IMAGE].size == 1000
    assert figures.images[image_key("app")].virtual == 1000
    assert figures.containers[container_key("web")].virtual == 1030
    assert figures.directories["volumes"] is not None
    assert figures.reclaim.unattributed is not None
    assert all(one.allocated is not None for one in figures.reclaim.freed.values())


def test_a_layer_that_was_read_in_part_has_no_size_and_neither_have_its_image_and_its_sums() -> None:
    figures = _without(_BASE)
    assert not [key for key in figures.layer_sizes if key.id == "base"]
    assert figures.images[image_key("app")].virtual is None
    assert figures.containers[container_key("web")].virtual is None
    assert (figures.layers["overlay2", "", Use.IMAGE].size, figures.layers["overlay2", "", Use.IMAGE].usage) == (
        None,
        None,
    )
    assert figures.layers["overlay2", "", Use.IMAGE].count == 1, "it is there"
    assert figures.layers["overlay2", "", Use.CONTAINER].size == 30
    assert figures.directories["overlay2"] is None
    assert figures.directories["volumes"] is not None


def test_a_volume_that_was_read_in_part_has_no_size_and_a_prune_of_it_frees_what_is_not_known() -> None:
    figures = _without(_DATA)
    assert figures.volumes["data"] is None
    assert figures.directories["volumes"] is None
    assert figures.reclaim.freed[Category.VOLUMES_UNUSED].allocated is None
    assert figures.reclaim.freed[Category.LAYERS_ORPHANED].allocated == 14


@pytest.mark.parametrize(("lost", "known"), [(("overlay2",), False), (_LEFT, True)])
def test_what_belongs_to_nobody_is_not_known_where_such_a_tree_was_read_in_part(lost: Tree, *, known: bool) -> None:
    assert (_without(lost).reclaim.unattributed is not None) is known


def test_a_sum_of_what_was_orphaned_is_not_known_where_one_was_read_in_part() -> None:
    figures = _without(_LEFT)
    assert figures.layers["overlay2", "", Use.ORPHANED].size is None
    assert figures.reclaim.freed[Category.LAYERS_ORPHANED].allocated is None


def test_what_a_prune_frees_is_not_known_where_the_short_names_of_layers_cannot_be_listed() -> None:
    """They are small, and need not be there; those that are there take blocks."""
    sound = _sound()
    link: Tree = ("overlay2", "l", "SHORT")
    layers = tuple(replace(one, metadata=(link,)) if one.id == "left" else one for one in sound.inventory.layers)
    made = replace(sound, inventory=replace(sound.inventory, layers=layers))
    assert Figures(made).reclaim.freed[Category.LAYERS_ORPHANED].allocated == 14
    lost = Figures(replace(made, incomplete=frozenset({link[:-1]})))
    assert lost.reclaim.freed[Category.LAYERS_ORPHANED].allocated is None
