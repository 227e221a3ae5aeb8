from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporter.core.measured import Reason
from exporter.core.model import (
    Collector,
    Container,
    ContainerState,
    Counters,
    Image,
    ImageState,
    LayerId,
    LayerKey,
    Log,
    Snapshot,
    Use,
    ViewKind,
)
from exporter.core.wanted import CHOICES, ORDERS, TEXTS, UNKNOWN, ListName, Wanted, by_default
from exporter.expose import lists
from exporter.expose.listing import ROWS, ListPage, Users
from exporter.expose.lists import LISTS, chosen, in_order, largest, listing, without_size
from exporter.expose.page_summary import summarize
from exporter.expose.publication import Publisher
from exporter.expose.snapshot_api import objects
from exporter.expose.snapshot_api.rows import ImageRow
from exporter.figures.figures import Figures
from tests.support.product import scan
from tests.support.roots import graph_root, hex_id
from tests.support.roots.containerd import store_root
from tests.support.snapshots import container, image, layer, snapshot, tree, volume


def test_each_list_has_the_orders_and_choices_that_addresses_name() -> None:
    assert set(LISTS) == set(ListName)
    for name, found in LISTS.items():
        assert tuple(found.orders) == ORDERS[name]
        assert (*found.choices, UNKNOWN) == CHOICES[name]
    assert {order for orders in ORDERS.values() for order in orders} >= TEXTS


def _container(number: int) -> Container:
    made = container(
        f"c{number:03}",
        layer=f"w{number:03}",
        log=Log("json-file", (("containers", f"c{number:03}", "log"),), None, bounded=False),
        state=ContainerState.RUNNING if number % 2 else ContainerState.UNKNOWN,
        volumes=(f"v{number:03}",) if number < 50 else ("v050",),
    )
    return replace(made, name=f"name{number % 7}")


def _figures(count: int = 120) -> Figures:
    """Containers, images and volumes, of which each has another size, and some have none that is known."""
    layers = [layer(f"l{number:03}", Use.IMAGE) for number in range(count)]
    writable = [layer(f"w{number:03}", Use.CONTAINER) for number in range(count)]
    measured = {("overlay2", f"l{number:03}"): tree(1000 + number) for number in range(count)}
    measured |= {("overlay2", f"w{number:03}"): tree(number) for number in range(count) if number % 10}
    volumes = {("volumes", f"v{number:03}", "_data"): tree(number) for number in range(1, count)}
    containers = [_container(number) for number in range(count)]
    found = snapshot(
        {**measured, **volumes},
        layers=(*layers, *writable),
        images=tuple(image(f"i{number:03}", f"l{number:03}") for number in range(count)),
        containers=tuple(containers),
        volumes=tuple(volume(f"v{number:03}") for number in range(count)),
    )
    logs = {one.id: 10_000 - number for number, one in enumerate(containers) if number % 3}
    return Figures(replace(found, logs=logs))


def _page(figures: Figures, name: ListName, sort: str, only: str = "", page: int = 1) -> ListPage:
    return listing(figures, Wanted(name, sort, sort not in TEXTS, only, page))


def test_containers_are_sorted_by_writable_layer_and_log() -> None:
    figures = _figures()
    pages = [_page(figures, ListName.CONTAINERS, "total", page=page) for page in (1, 2, 3)]
    rows = [row for one in pages for row in one.containers]
    assert len(rows) == 120
    sizes = [row.written for row in rows]
    known = [one for one in sizes if one is not None]
    assert known == sorted(known, reverse=True)
    assert sizes == known + [None] * (len(sizes) - len(known)), "what is not known is last, and not 0"
    assert {row.written for row in rows if row.writable is None and row.log is None} == {None}
    part = next(row for row in rows if row.writable is not None and row.log is None)
    assert not part.written_whole
    assert part.written == part.writable


@pytest.mark.parametrize("name", ListName)
@pytest.mark.parametrize("descending", [True, False])
def test_every_order_lists_every_object_once_and_what_is_not_known_last(name: ListName, descending: bool) -> None:
    figures = _figures()
    value = LISTS[name].orders
    for sort in ORDERS[name]:
        first = listing(figures, Wanted(name, sort, descending))
        pages = [listing(figures, Wanted(name, sort, descending, page=page + 1)) for page in range(first.pages)]
        found = [one for page in pages for one in _objects(page)]
        assert len(found) == first.count == len(set(found))
        ordered = [value[sort](figures, one) for one in _in_order(figures, Wanted(name, sort, descending))]
        known = [one for one in ordered if one is not None]
        assert ordered == [*sorted(known, reverse=descending), *[None] * (len(ordered) - len(known))]


def _objects(page: ListPage) -> list[str]:
    """The names of all objects of a page."""
    found = [one.id for one in page.images] + [one.id for one in page.containers] + [one.name for one in page.volumes]
    return [*found, *(one.id for one in page.layers), *(one.id for one in page.records)]


def _in_order(figures: Figures, wanted: Wanted) -> list[object]:
    return in_order(figures, wanted, chosen(figures, wanted)[0])


def test_a_page_behind_the_last_one_is_the_last_one() -> None:
    found = _page(_figures(), ListName.IMAGES, "virtual", page=999)
    assert (found.wanted.page, found.pages, len(found.images)) == (3, 3, 120 - 2 * ROWS)
    empty = _page(_figures(), ListName.BUILD_CACHE, "size", page=7)
    assert (empty.wanted.page, empty.pages, empty.count, empty.records) == (1, 1, 0, ())


def test_only_the_objects_of_a_page_become_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = objects._image

    def noted(figures: Figures, one: Image, parents: Mapping[LayerKey, LayerId | None]) -> ImageRow:
        made.append(one.id)
        return real(figures, one, parents)

    monkeypatch.setattr(objects, "_image", noted)
    _page(_figures(), ListName.IMAGES, "virtual")
    assert len(made) == ROWS
    made.clear()
    summarize(_figures())
    assert len(made) == ROWS


def test_choices_say_of_how_many_it_is_not_known() -> None:
    figures = _figures()
    running = _page(figures, ListName.CONTAINERS, "total", "running")
    assert (running.count, running.unsure) == (60, 60)
    assert _page(figures, ListName.CONTAINERS, "total", "stopped").count == 0
    assert _page(figures, ListName.CONTAINERS, "total", "unlimited-log").count == 120
    unused = _page(figures, ListName.VOLUMES, "size", "unused")
    assert (unused.count, unused.unsure) == (69, 0)
    assert _page(figures, ListName.VOLUMES, "size", UNKNOWN).count == 1
    assert _page(figures, ListName.IMAGES, "virtual", ImageState.UNUSED).count == 120
    assert dict(without_size(figures)) == {ListName.CONTAINERS: 40 + 8, ListName.VOLUMES: 1, ListName.LAYERS: 12}


def test_who_uses_a_volume_and_a_layer() -> None:
    figures = _figures()
    users = _page(figures, ListName.VOLUMES, "containers").users
    assert users[0] == Users(("name0", "name0", "name0"), 70)
    by_id = _page(figures, ListName.LAYERS, "id")
    assert [one.names for one in by_id.users[:2]] == [("image i000",), ("image i001",)]
    own = _page(figures, ListName.LAYERS, "id", "container")
    assert own.users[0].names == ("container name0",)


def test_a_store_of_containerd_has_namespaces_and_users(tmp_path: Path) -> None:
    figures = Figures(scan(store_root(tmp_path / "docker").root))
    images = _page(figures, ListName.IMAGES, "name")
    assert images.namespaces
    assert {row.namespace for row in images.images} == {"moby", "k8s.io"}
    layers = _page(figures, ListName.LAYERS, "on-disk", "image")
    assert all(users.names for users in layers.users)
    assert _page(figures, ListName.BUILD_CACHE, "size").count == 2
    assert _page(figures, ListName.BUILD_CACHE, "size", "shared").count == 1
    whole = {row.id: row for row in objects.images(figures)}
    assert {row.id: row.further for row in images.images} == {
        row: whole[row].further for row in whole if whole[row].listed
    }


def test_what_was_not_read_is_said(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.container("web", image="app")
    (built.path / "containers" / hex_id("other")).mkdir()
    (built.path / "containers" / hex_id("other") / "config.json").write_text("{")
    (built.path / "repositories-aufs").write_text("{")
    figures = Figures(scan(built.path))
    assert "repositories-aufs" in _page(figures, ListName.IMAGES, "virtual").why
    assert _page(figures, ListName.VOLUMES, "size").why == ""


def test_the_largest_are_the_first_of_the_list() -> None:
    figures = _figures()
    assert [one.id for one in largest(figures, ListName.IMAGES, 3)] == ["i119", "i118", "i117"]
    assert [one.id for one in largest(figures, ListName.LAYERS, 2)] == ["l119", "l118"]
    assert listing(figures, by_default(ListName.LAYERS)).layers[0].id == "l119"


def test_a_list_that_cannot_be_made_says_so_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, counters = Publisher(), Counters()
    publisher.publish(_figures().snapshot, counters)
    monkeypatch.setattr(lists, "chosen", lambda *_: 1 / 0)
    view = publisher.view(ViewKind.LISTING, counters, by_default(ListName.IMAGES))
    assert view is not None
    assert view.listing is not None
    assert "see its log" in view.listing.why
    assert not view.listing.read
    assert counters.errors == {(Collector.DIRECTORIES, Reason.INTERNAL): 1}


def test_of_a_root_that_is_not_read_no_number_is_known() -> None:
    figures = Figures(Snapshot("/nowhere", 0.0, error="does not exist"))
    assert listing(figures, by_default(ListName.IMAGES)) == ListPage(by_default(ListName.IMAGES), read=False)
