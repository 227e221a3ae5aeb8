"""A layout that exists nowhere else, registered in one place, is read with the others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from exporter.core.area import Area
from exporter.core.data_root import DataRoot
from exporter.core.model import Collector, Container, ContainerId, Image, ImageId, LayerId, Use
from exporter.inventory import areas, layouts
from exporter.inventory.drivers import Driver
from exporter.inventory.drivers.layer_store import LayerStore
from exporter.inventory.layouts.claims import Claims, describe_layer
from exporter.inventory.layouts.part import ContainerLayers, Part, Reading
from exporter.measure.pool.pool import Pool
from exporter.scan.scanner import Scanner
from tests.support.roots import graph_root, hex_id

_VAULT = Driver("vault", ("vault", "books"), sums_files=True)


class _VaultPart:
    """Each directory is a layer; one with a file `title` is an image, and one with `<container>` is a container's."""

    def __init__(self, store: LayerStore, root: DataRoot) -> None:
        self.store = store
        self.missing = {"lent"}
        named = sorted(name for name in store.names if "title" in root.names((*_VAULT.layers, name)))
        self.images = [Image("vault", ImageId(name), (LayerId(name),), (("book", name),)) for name in named]

    describes_containers = True

    def knows_layer(self, container: ContainerId) -> bool:
        return self.container_layers(container) is not None

    def container_layers(self, container: ContainerId) -> ContainerLayers | None:
        name = LayerId(f"of-{container}")
        return ContainerLayers(name, chain=(LayerId("atlas"),)) if name in self.store.names else None

    def places_of(self, container: Container) -> object:
        return None

    @property
    def places(self) -> object:
        return None

    def why_not_loaded(self, container: ContainerId) -> str:
        return f"{container} is bound" if container == "bound" else ""

    def missing_below(self, container: Container) -> list[str]:
        return [f"below-{container.name}"]

    def claim(self, containers: Sequence[Container]) -> Claims:
        uses = {image.layers[0]: Use.IMAGE for image in self.images}
        uses |= {one.layer: Use.CONTAINER for one in containers if one.layer is not None}
        return Claims({name: describe_layer(self.store, name, use, (), 7) for name, use in uses.items()})


class _VaultLayout:
    name = "vault"
    areas = (
        Area(("vault",), "books"),
        Area(_VAULT.layers, collector=Collector.IMAGES, store=True, watched=True, objects=Collector.IMAGES),
    )

    def detect(self, root: DataRoot) -> bool:
        return root.is_directory(("vault",))

    def read(self, reading: Reading) -> Part:
        store = LayerStore(_VAULT, reading.readers[Collector.IMAGES])
        return Part([_VaultPart(store, reading.root)], counts={("vault", "books"): len(store.names)})


class _ClosedLayout(_VaultLayout):
    def read(self, _reading: Reading) -> Part:
        return Part(measured=False)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    built = graph_root(tmp_path).image("base", size=3, files={"a": 1}, tag="base:1")
    built.container("web", image="base", writable={"w": 1})
    built.container("reader", image="base")
    for name, file in (("atlas", "title"), (f"of-{hex_id('reader')}", "note"), ("left", "page")):
        (built.path / "vault/books" / name).mkdir(parents=True)
        (built.path / "vault/books" / name / file).write_text("x" * 10)
    return built.path


def _register(monkeypatch: pytest.MonkeyPatch, layout: layouts.Layout) -> Iterator[None]:
    monkeypatch.setattr(layouts, "LAYOUTS", (*layouts.LAYOUTS, layout))
    areas.table.cache_clear()
    yield
    areas.table.cache_clear()


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from _register(monkeypatch, _VaultLayout())


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from _register(monkeypatch, _ClosedLayout())


@pytest.mark.usefixtures("vault")
def test_the_objects_of_a_layout_of_ones_own_come_out_beside_the_others(built: Path, pool: Pool) -> None:
    scanner = Scanner(str(built), 0, pool)
    snapshot = scanner.scan()
    inventory = snapshot.inventory
    assert inventory.layouts == ("graph", "vault")
    assert not inventory.unmeasured
    assert {"aufs", "vault"} <= {*inventory.drivers}
    assert [one.references for one in inventory.images] == [(("base", "1"),), (("book", "atlas"),)]
    used = {layer.id: layer.use for layer in inventory.layers if layer.driver == "vault"}
    assert used == {"atlas": Use.IMAGE, f"of-{hex_id('reader')}": Use.CONTAINER, "left": Use.ORPHANED}
    places = {one.name: (one.driver, one.layer, one.chain) for one in inventory.containers}
    assert places == {
        "reader": ("vault", f"of-{hex_id('reader')}", ("atlas",)),
        "web": ("aufs", hex_id("web"), ()),
    }
    assert inventory.missing["vault"] == {"lent", "below-reader"}
    assert inventory.stores["vault", "books"] == 3
    for tree in {("vault", "books", "atlas"), ("vault", "books", "left")}:
        assert scanner.plan.trees[tree] is Collector.IMAGES
        assert snapshot.measured[tree].usage.size == 10


@pytest.mark.usefixtures("closed")
def test_a_layout_that_knows_none_of_its_objects_is_named_and_no_layer_is_orphaned(built: Path, pool: Pool) -> None:
    (built / "aufs/diff/left").mkdir()
    inventory = Scanner(str(built), 0, pool).scan().inventory
    assert inventory.unmeasured == ("vault",)
    assert {layer.use for layer in inventory.layers if layer.id == "left"} == {Use.PENDING}
