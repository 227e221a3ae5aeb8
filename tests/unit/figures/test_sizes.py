"""Arithmetic that must hold for every root: shares add up, and strangers do not matter."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.links import Links
from exporter.core.measured import Measured, Usage
from exporter.core.model import Image, ImageId, Inventory, Layer, LayerId, Snapshot, Use
from exporter.figures.figures import Figures
from exporter.figures.tally import disjoint


@st.composite
def _forests(draw: st.DrawFn) -> Snapshot:
    """Layers as trees of parents with sizes; images listed at random nodes, and at every leaf."""
    count = draw(st.integers(1, 25))
    parents = [None, *(draw(st.none() | st.integers(0, index - 1)) for index in range(1, count))]
    sizes = draw(st.lists(st.integers(0, 10**12), min_size=count, max_size=count))
    heads = set(range(count)) - {parent for parent in parents if parent is not None}
    tagged = draw(st.sets(st.integers(0, count - 1)))
    layers = tuple(
        Layer("aufs", LayerId(f"l{index}"), Use.IMAGE, ("d", str(index)), recorded_size=sizes[index])
        for index in range(count)
    )
    images = []
    for index in range(count):
        chain, at = [], index
        while True:
            chain.append(LayerId(f"l{at}"))
            above = parents[at]
            if above is None:
                break
            at = above
        images.append(Image("aufs", ImageId(f"l{index}"), tuple(chain), listed=index in heads | tagged))
    inventory = Inventory(drivers=("aufs",), layers=layers, images=tuple(images))
    return Snapshot("/", 0, inventory=inventory, measured={(): Measured(Usage(), (1, 2, 3))})


@given(_forests())
def test_proportional_sizes_add_up_to_all_image_layers(snapshot: Snapshot) -> None:
    shares = [figure.proportional for figure in Figures(snapshot).images.values() if figure.proportional is not None]
    total = Figures(snapshot).layers["aufs", "", Use.IMAGE].size
    assert total is not None
    assert abs(sum(shares) - total) <= 1e-9 * (total + 1)


@given(_forests())
def test_unique_is_at_most_proportional_is_at_most_virtual(snapshot: Snapshot) -> None:
    for figure in Figures(snapshot).images.values():
        assert figure.virtual is not None
        if figure.unique is not None and figure.proportional is not None:
            assert figure.unique <= figure.proportional * (1 + 1e-12)
            assert figure.proportional <= figure.virtual * (1 + 1e-12)


@given(_forests(), st.integers(0, 10**9))
def test_an_unrelated_image_changes_no_other_figures(snapshot: Snapshot, size: int) -> None:
    layer = Layer("aufs", LayerId("stranger"), Use.IMAGE, recorded_size=size)
    image = Image("aufs", ImageId("stranger"), (LayerId("stranger"),))
    old = snapshot.inventory
    more = Inventory(drivers=("aufs",), layers=(*old.layers, layer), images=(*old.images, image))
    figures = {**Figures(Snapshot("/", 0, inventory=more, measured=snapshot.measured)).images}
    assert figures.pop(image.key).unique == size
    assert figures == Figures(snapshot).images


@given(st.lists(st.dictionaries(st.integers(1, 20), st.just((10, 4096, 2, 1))), max_size=6))
def test_an_inode_that_trees_share_counts_once(links: list[dict[int, tuple[int, int, int, int]]]) -> None:
    trees = [Measured(Usage(10 * len(one), 4096 * len(one), len(one)), (1, 2, 3), Links.of(one)) for one in links]
    distinct = {inode for one in links for inode in one}
    expected = Usage(10 * len(distinct), 4096 * len(distinct), len(distinct))
    assert disjoint([trees])[0] == expected
    assert disjoint([reversed(trees)])[0] == expected
