import re
from html import unescape

import pytest
from msgspec.structs import replace

from exporter.core.wanted import CHOICES, ORDERS, UNKNOWN, ListName, Wanted, by_default
from exporter.expose.listing import ListPage, Users
from exporter.expose.snapshot_api.rows import BuildRecordRow, ContainerRow, ImageRow, LayerRow, VolumeRow
from exporter.web.pages.frame import PageFrame
from exporter.web.pages.listing import listing_page
from exporter.web.pages.query import wanted_by
from tests.support.evil import EVIL

_IMAGE = ImageRow("overlay2", "i" * 64, ("app:1",), (), True, None, None, None, None, None, None, "", 0)
_CONTAINER = ContainerRow(
    *("overlay2", "c" * 64, "web", "", "app:1", "stale", None, None, "", None, None, None, None, "json-file", None),
    *(False, "", "", ()),
)
_VOLUME = VolumeRow("data", False, "local", None, None, None, None, "")
_LAYER = LayerRow("overlay2", "l" * 64, "", "", "orphaned", None, None, None, "", "overlay2/l")
_RECORD = BuildRecordRow("r1", "regular", None, None, None, None, None)
_ROWS = {
    ListName.IMAGES: {"images": (_IMAGE,)},
    ListName.CONTAINERS: {"containers": (_CONTAINER,)},
    ListName.VOLUMES: {"volumes": (_VOLUME,), "users": (Users(),)},
    ListName.LAYERS: {"layers": (_LAYER,), "users": (Users(),)},
    ListName.BUILD_CACHE: {"records": (_RECORD,)},
}


def _page(name: ListName, count: int = 1, **given: object) -> ListPage:
    return replace(ListPage(by_default(name), count), **_ROWS[name], **given)  # type: ignore[arg-type]


def _html(page: ListPage, taken: float | None = 1.0, error: str = "") -> str:
    return listing_page(PageFrame(), page, taken, "/var/lib/docker", error)


def _cells(html: str) -> list[str]:
    body = html[html.index("<tbody>") : html.index("</tbody>")]
    return [unescape(re.sub("<[^>]*>", "", one)) for one in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", body)]


@pytest.mark.parametrize("name", ListName)
def test_what_is_not_known_is_a_question_mark_and_never_0(name: ListName) -> None:
    cells = _cells(_html(_page(name)))
    assert cells.count("?") >= 2
    assert "0" not in cells
    assert "0 B" not in cells


def test_an_image_that_the_engine_does_not_load_is_told_from_others() -> None:
    rows = (replace(_IMAGE, state="unused"), replace(_IMAGE, state="unused", loaded=False))
    html = _html(replace(_page(ListName.IMAGES), images=rows))
    assert [cell for cell in _cells(html) if cell.startswith("unused")] == ["unused", "unused, not loaded"]
    assert "<dt>not loaded</dt>" in html


def test_a_sum_of_which_a_part_is_not_known_is_at_least_the_other_part() -> None:
    rows = (
        replace(_CONTAINER, writable=5000),
        replace(_CONTAINER, log=7000),
        replace(_CONTAINER, log_driver="journald"),
    )
    cells = [_cells(_html(replace(_page(ListName.CONTAINERS), containers=(row,)))) for row in rows]
    assert [row[3:6] for row in cells] == [["≥ 5 kB", "5 kB", "?"], ["≥ 7 kB", "?", "7 kB"], ["?", "?", "journald"]]
    whole = replace(_CONTAINER, writable=5000, log_driver="journald")
    assert _cells(_html(replace(_page(ListName.CONTAINERS), containers=(whole,))))[3] == "5 kB"


def test_an_image_that_is_not_listed_has_no_share_instead_of_an_unknown_one() -> None:
    rows = [replace(_page(ListName.IMAGES), images=(replace(_IMAGE, listed=listed),)) for listed in (True, False)]
    assert [_cells(_html(row))[3:5] for row in rows] == [["?", "?"], ["", ""]]


@pytest.mark.parametrize("name", ListName)
def test_every_order_and_choice_is_a_link_away_and_each_link_is_understood(name: ListName) -> None:
    html = _html(_page(name))
    links = {unescape(one) for one in re.findall(rf'href="(/{name}[^"]*)"', html)}
    wanted = [wanted_by(name, one.partition("?")[2]) for one in links]
    assert {one.sort for one in wanted} == set(ORDERS[name])
    assert {one.only for one in wanted} == {"", *CHOICES[name]}
    assert html.count('aria-sort="descending"') == 1


def test_the_heading_that_it_is_sorted_by_leads_to_the_reverse() -> None:
    html = _html(_page(ListName.IMAGES, wanted=Wanted(ListName.IMAGES, "name", descending=False, only="used", page=1)))
    assert '<th scope="col" aria-sort="ascending"><a href="/images?sort=name&amp;order=desc&amp;only=used">' in html
    assert '<a href="/images?only=used">Virtual</a>' in html
    assert re.search('<a href="/images\\?sort=name&amp;only=used" aria-current="true">used', html)


@pytest.mark.parametrize(
    ("at", "leads"),
    [
        (1, {"next": 2, "last": 25}),
        (2, {"first": 1, "previous": 1, "next": 3, "last": 25}),
        (25, {"first": 1, "previous": 24}),
    ],
)
def test_a_page_leads_to_its_neighbours(at: int, leads: dict[str, int]) -> None:
    wanted = replace(by_default(ListName.VOLUMES), page=at)
    html = _html(_page(ListName.VOLUMES, 1234, wanted=wanted))
    assert "<h2>1,234 volumes</h2>" in html
    assert html.count(f"page {at} of 25") == 2
    found = {name: wanted_by(ListName.VOLUMES, unescape(query)).page for query, name in _PAGER.findall(html)}
    assert found == leads


_PAGER = re.compile(r'<a href="/volumes\??([^"]*)">(first|previous|next|last) page</a>')


def test_where_one_page_has_all_there_are_no_links_to_others() -> None:
    assert not _PAGER.search(_html(_page(ListName.VOLUMES, 50)))
    assert "<p>None.</p>" in _html(ListPage(by_default(ListName.LAYERS)))


def test_what_is_not_whole_is_said_first() -> None:
    assert "There may be more than are listed: volumes: &lt;b&gt;." in _html(
        _page(ListName.VOLUMES, why="volumes: <b>")
    )
    assert "Of 3 others it is not known" in _html(_page(ListName.VOLUMES, unsure=3))
    assert "The first scan is under way" in _html(_page(ListName.VOLUMES), taken=None)
    unread = _html(ListPage(by_default(ListName.VOLUMES), read=False), taken=None)
    assert "<h2>? volumes</h2>" in unread
    assert "None." not in unread
    assert "0 volumes" not in unread
    assert "<h2>1 volume, maybe more</h2>" in _html(_page(ListName.VOLUMES, why="x"))
    assert "does not exist" in _html(_page(ListName.VOLUMES), None, "does not exist")


@pytest.mark.parametrize("name", ListName)
def test_names_are_escaped(name: ListName) -> None:
    page = _page(name, why=EVIL, namespaces=True)
    page = replace(
        page,
        images=tuple(replace(one, namespace=EVIL, references=(EVIL,) * 5, id=EVIL, state=EVIL) for one in page.images),
        containers=tuple(replace(one, namespace=EVIL, name=EVIL, image=EVIL, state=EVIL) for one in page.containers),
        volumes=tuple(replace(one, name=EVIL, driver=EVIL, compose_project=EVIL) for one in page.volumes),
        layers=tuple(replace(one, name=EVIL, driver=EVIL, use=EVIL, home=EVIL) for one in page.layers),
        records=tuple(replace(one, id=EVIL, kind=EVIL) for one in page.records),
        users=tuple(Users((EVIL,), 9) for _ in page.users),
    )
    html = _html(page)
    assert EVIL not in html
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 2


def test_words_of_the_page_are_explained_on_it() -> None:
    for name, words in (
        (ListName.CONTAINERS, ("stale", "log limit", "writable layer")),
        (ListName.IMAGES, ("share", "unique", "dangling", "intermediate")),
        (ListName.LAYERS, ("layout", "orphaned", "pending")),
        (ListName.BUILD_CACHE, ("shared", "private")),
        (ListName.VOLUMES, ("anonymous",)),
    ):
        html = _html(_page(name))
        assert all(f"<dt>{word}</dt>" in html for word in words)
        assert UNKNOWN in CHOICES[name]
