"""Sizes and shares of images of a containerd store: over blobs, which namespaces share, and snapshots, which do not."""

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.core.content import StoreNode
from exporter.core.model import (
    Container,
    ContainerId,
    ContainerState,
    Image,
    ImageId,
    ImageState,
    LayerId,
    LayerKey,
    Use,
)
from exporter.figures.figures import Figures
from exporter.figures.image_sizes import ImageFigures
from tests.support.snapshots import container_key
from tests.support.stores import KUBERNETES, MOBY, SNAPSHOTTER, Store


def _of(store: Store, image: Image, **inventory: Any) -> ImageFigures:
    return Figures(store.told(**inventory)).images[image.key]


def test_an_image_is_as_large_as_docker_adds_it_up_and_its_shares_are_of_what_is_there() -> None:
    store = Store()
    base, top = store.snapshot("base", 100), store.snapshot("top", 10)
    for name, size in (("b", 1000), ("t", 50), ("u", 7)):
        store.blob(name, size)
    node = StoreNode(MOBY, "", "m")
    one = store.image(node, blobs=("b", "t"), layers=("top", "base"), content_size=2050, unpacked_size=220)
    two = store.image(node._replace(name="n"), blobs=("b", "u"), layers=("base",), content_size=1007, unpacked_size=100)
    assert base != top
    assert _of(store, one) == ImageFigures(2270, 60, 610.0, 0, ImageState.UNUSED, 2050, 220)
    assert _of(store, two) == ImageFigures(1107, 7, 557.0, 0, ImageState.UNUSED, 1007, 100)


def test_one_image_in_two_namespaces_has_figures_in_each() -> None:
    store = Store()
    store.blob("b", 1000, namespaces=(MOBY, KUBERNETES))
    store.blob("only", 10)
    mine = store.image(StoreNode(MOBY, "", "m"), blobs=("b", "only"), content_size=1010, unpacked_size=0)
    pod = store.image(StoreNode(KUBERNETES, "", "m"), blobs=("b",), content_size=1000, unpacked_size=0)
    one = Container("native", ContainerId("one"), namespace=KUBERNETES, image_id=ImageId("m"), foreign=True)
    found = [_of(store, image, containers=(one,)) for image in (mine, pod)]
    assert [(it.virtual, it.unique, it.proportional, it.containers) for it in found] == [
        (1010, 10, 510.0, 0),
        (1000, 0, 500.0, 1),
    ], "the container has the image of its namespace, whichever snapshotter it has"


def test_an_image_in_two_snapshotters_has_the_snapshots_of_both() -> None:
    store = Store()
    store.snapshot("base", 100)
    other = store.snapshot("base", 300, driver="native")
    image = store.image(StoreNode(MOBY, "", "m"), layers=("base",), content_size=0, unpacked_size=100)
    store.images[0] = image = replace(image, further=(store.key(other),))
    found = _of(store, image)
    assert (found.virtual, found.unique, found.proportional) == (100, 400, 400.0)


def test_what_is_not_known_of_an_image_makes_only_the_figures_unknown_that_need_it() -> None:
    store = Store()
    store.blob("b", 1000)
    node = StoreNode(MOBY, "", "m")
    sized = store.image(node, blobs=("b", "lost"), content_size=None, unpacked_size=5)
    cut = store.image(node._replace(name="n"), blobs=("b",), content_size=3, unpacked_size=5, cut=True)
    broken = store.image(node._replace(name="o"), blobs=("b",), content_size=3, unpacked_size=None, broken=True)
    hidden = store.image(node._replace(name="p"), blobs=("b",), content_size=3, unpacked_size=5, unloaded=True)
    found = [_of(store, image) for image in (sized, cut, broken, hidden)]
    assert [(it.virtual, it.unique, it.proportional, it.content, it.unpacked) for it in found] == [
        (None, None, None, None, 5),
        (8, None, None, 3, 5),
        (None, None, 250.0, 3, None),
        (8, 0, 250.0, 3, 5),
    ]


def test_a_container_is_its_layer_its_init_layer_and_all_below_by_blocks() -> None:
    store = Store()
    base = store.snapshot("base", 100)
    init = store.snapshot("one-init", 10, base)
    own = store.snapshot("one", 3, init, recorded_size=None, by_blocks=True)

    def below(*nodes: StoreNode, first: StoreNode | None = init) -> Container:
        chain = tuple(store.key(node).id for node in nodes)
        layer = store.key(own).id
        return Container(
            SNAPSHOTTER,
            ContainerId("one"),
            layer=layer,
            init=store.key(first).id if first else None,
            chain=chain,
            namespace=MOBY,
            image_id=ImageId("gone"),
            state=ContainerState.EXITED,
        )

    def virtual(one: Container) -> int | None:
        found = Figures(store.told(containers=(one,))).containers[container_key("one", namespace=MOBY)]
        assert found.writable_size == 6
        return found.virtual

    assert virtual(below(base)) == 116
    assert virtual(below(init, base)) == 116, "the init layer counts once, also where the chain has it"
    assert virtual(below()) == 16, "made of nothing"
    assert virtual(below(first=None)) == 6
    assert virtual(replace(below(base), missing=("lost",))) is None
    assert virtual(replace(below(base), chain=(LayerId("99"),))) is None


_Made = tuple[str, frozenset[int], frozenset[int]]
_SOME = st.frozensets(st.integers(0, 7), max_size=6)


@given(st.lists(st.tuples(st.sampled_from((MOBY, KUBERNETES)), _SOME, _SOME), max_size=6))
def test_the_shares_of_all_images_add_up_to_all_that_images_hold(images: list[_Made]) -> None:
    """Each blob once for all namespaces, each snapshot once."""
    store = Store()
    for at in range(8):
        store.blob(f"b{at}", 7**at, namespaces=(MOBY, KUBERNETES))
        for namespace in (MOBY, KUBERNETES):
            store.snapshot(f"s{at}", 11**at, namespace=namespace)
    for number, (namespace, blobs, snapshots) in enumerate(images):
        store.image(
            StoreNode(namespace, "", f"m{number}"),
            blobs=tuple(f"b{at}" for at in blobs),
            layers=tuple(f"s{at}" for at in snapshots),
            content_size=0,
            unpacked_size=0,
        )
    held = {blob for _, blobs, _ in images for blob in blobs}
    placed = {(namespace, one) for namespace, _, snapshots in images for one in snapshots}
    whole = sum(7**at for at in held) + sum(11**at for _, at in placed)
    found = Figures(store.told()).images.values()
    shares = sum((Fraction(it.proportional) for it in found if it.proportional is not None), Fraction())
    assert abs(shares - whole) <= whole * 1e-14
    for it in found:
        assert it.unique is not None
        assert it.proportional is not None
        assert it.unique <= it.proportional * (1 + 1e-12)


def test_layers_are_added_up_by_namespace() -> None:
    store = Store()
    store.snapshot("a", 1)
    store.snapshot("a", 10, namespace=KUBERNETES)
    figures = Figures(store.told(drivers=(SNAPSHOTTER, "overlay2"), layouts=("layerdb", "containerd")))
    spaces = {(SNAPSHOTTER, MOBY), (SNAPSHOTTER, KUBERNETES), ("overlay2", "")}
    assert {key[:2] for key in figures.layers} == {*spaces, (SNAPSHOTTER, "")}
    assert {key[:2] for key in figures.image_states} == spaces
    assert {key: one.count for key, one in figures.layers.items() if one.count} == {
        (SNAPSHOTTER, MOBY, "image"): 1,
        (SNAPSHOTTER, KUBERNETES, "image"): 1,
    }
    assert LayerKey(SNAPSHOTTER, LayerId("1")) in figures.layer_sizes


def test_a_snapshot_of_no_namespace_has_totals_of_its_own_that_are_always_there() -> None:
    store = Store()
    store.snapshot("a", 1)
    before = Figures(store.told()).layers
    store.snapshot("new-1", 3, namespace="", use=Use.PENDING, recorded_size=None, by_blocks=True)
    after = Figures(store.told()).layers
    assert before.keys() == after.keys()
    assert {key[2]: one.count for key, one in after.items() if not key[1]} == {Use.PENDING: 1, Use.ORPHANED: 0}


def test_a_store_without_objects_has_zeros_in_the_namespace_of_the_engine() -> None:
    figures = Figures(Store().told())
    assert {key[:2] for key in figures.layers} == {(SNAPSHOTTER, MOBY), (SNAPSHOTTER, "")}
    assert {key[:2] for key in figures.image_states} == {(SNAPSHOTTER, MOBY)}
