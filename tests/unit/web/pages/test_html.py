import re
import time

from exporter.web.pages.frame import PAGES, PageFrame
from exporter.web.pages.html import Ago, Count, Full, Grew, Html, Size, columns, section, table


def _body(html: str) -> list[str]:
    return re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", html[html.index("<tbody>") :])


def test_a_table_has_a_caption_headings_and_a_head_in_each_row() -> None:
    html = table("What <b>", columns("Name", ">Size"), [("a", 5), ("b", None)])
    assert html.startswith("<table><caption>What &lt;b&gt;</caption><thead><tr>")
    assert '<th scope="col">Name</th><th class="number" scope="col">Size</th>' in html
    assert html.count('scope="row"') == 2
    html = table("", columns("Namespace", "Name", "State"), [("moby", "web", "running")], head=1)
    assert '<td class="word" data-of="Namespace">moby</td><th class="word" scope="row">web</th>' in html


def test_cells_by_what_they_hold() -> None:
    cells = (
        5000,
        None,
        Count(5000),
        Count(None),
        Size(5000),
        Size(None),
        Size(5000, least=True),
        Full(0.9),
        Full(None),
    )
    more = (Grew(5000), Grew(-5000), Grew(0), Grew(None), Ago(time.time() - 7300), Ago(None), "<b>", Html("<i>x</i>"))
    headings = columns(*(str(number) for number in range(len(cells) + len(more))))
    found = [re.sub(r"<span.*", "", one) for one in _body(table("", headings, [(*cells, *more)]))]
    assert found[: len(cells)] == ["5 kB", "?", "5,000", "?", "5 kB", "?", "≥ 5 kB", "90%", "?"]
    assert found[len(cells) :] == ["+5 kB", "&minus;5 kB", "0 B", "?", "2 h ago", "?", "&lt;b&gt;", "<i>x</i>"]


def test_a_bar_is_in_proportion_and_within_its_place() -> None:
    def width(size: Size | Full) -> str:
        return str(re.findall("width:([0-9.]+)%", table("", columns("a"), [(size,)]))[0])

    assert [width(one) for one in (Size(50, 200), Size(300, 200), Size(-5, 200))] == ["25.0", "100.0", "0.0"]
    assert 'class="full"' in table("", columns("a"), [(Full(0.95),)])
    assert 'class="full"' not in table("", columns("a"), [(Full(0.5),)])
    assert "bar" not in table("", columns("a"), [(Size(5),)])


def test_the_page_says_where_it_is_in_the_links_to_all() -> None:
    frame = PageFrame("/m?<")
    for path, name in PAGES:
        html = frame.page("T<", path, "", kind="x")
        assert html.partition("</head>")[2].count("aria-current") == 1
        assert f'<a href="{path}" aria-current="page">{name}</a>' in html
        assert "<title>T&lt;</title>" in html
    assert '<a href="/runbooks" aria-current="true">' in frame.page("", "/runbooks/DockerStorageNotKnown", "")
    assert "aria-current" not in frame.page("", "/elsewhere", "").partition("</head>")[2]
    assert 'href="/m?&lt;"' in html


def test_a_section_can_be_linked_to() -> None:
    assert section("A & b", "<p>x</p>", wide=True, at="here") == (
        '<section class="wide" id="here"><h2>A &amp; b</h2><p>x</p></section>'
    )
