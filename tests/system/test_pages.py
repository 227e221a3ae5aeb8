"""The pages in a real browser: as they are drawn, and as a screen reader is told of them."""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import Browser, browser
from tests.support.evil import EVIL, evil_root
from tests.support.exporter import Exporter, exporter
from tests.support.product import needs
from tests.support.waiting import eventually

_PAGES = (
    *("/", "/images", "/containers", "/containers?sort=name&page=2", "/containers?only=stopped", "/volumes"),
    *("/layers", "/build-cache", "/status", "/runbooks", "/runbooks/DockerStorageNotKnown"),
)
#: What is wrong: less contrast than 4.5 : 1 (WCAG 2.2, 1.4.3), a text beyond the edge, or one with no room for words.
_LOOK = """(() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(
      (one) => one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/^rgba.*, 0\\)$/.test(colour)) return colour;
    }
    return getComputedStyle(document.documentElement).colorScheme.includes('dark') ? 'rgb(0,0,0)' : 'rgb(255,255,255)';
  };
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  while (texts.nextNode()) {
    const text = texts.currentNode, element = text.parentElement;
    if (!text.data.trim() || element.className === 'skip') continue;
    checked += 1;
    const [a, b] = [getComputedStyle(element).color, behind(element)].map(light).sort((x, y) => x - y);
    if ((b + 0.05) / (a + 0.05) < 4.5) found.push(['contrast', (b + 0.05) / (a + 0.05), text.data]);
    const range = document.createRange();
    range.selectNodeContents(text);
    for (const box of range.getClientRects()) {
      if (box.right > innerWidth + 0.5) found.push(['beyond the edge', box.right, text.data]);
    }
  }
  for (const one of document.querySelectorAll('*')) {
    if (one.scrollWidth > one.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(one).overflowX)) {
      found.push(['scrolls sideways', one.scrollWidth, one.tagName]);
    }
  }
  for (const one of document.querySelectorAll('td, tbody th')) {
    const longest = Math.max(...one.innerText.split(/\\s/).map((word) => word.length));
    if (longest >= 10 && one.clientWidth < 60) found.push(['squeezed', one.clientWidth, one.innerText]);
  }
  const root = document.scrollingElement;
  if (root.scrollWidth > innerWidth) found.push(['the page scrolls sideways', root.scrollWidth, '']);
  return {checked, found, paper: getComputedStyle(document.body).backgroundColor};
})()"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """An exporter on a root with hostile, long and many names, and with something that could not be read."""
    built = evil_root(tmp_path_factory.mktemp("root"))
    for number in range(60):
        built.container(f"c{number:02}-{'long' * (number % 9) * 5}", image="app", writable={"w": number})
    for name in ("data", "v" * 150, EVIL.replace("/", "")):
        (built.path / "volumes" / name / "_data").mkdir(parents=True)
        (built.path / "volumes" / name / "_data" / "f").write_text("x" * 100)
    with exporter(built.path) as running:
        eventually(lambda: running.get("/-/ready")[0] == 200)
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def _first_pixel(picture: bytes) -> tuple[int, ...]:
    """The upper left pixel of a PNG: no filter changes it, for there is nothing before it."""
    at, packed = 8, b""
    while at < len(picture):
        length = int.from_bytes(picture[at : at + 4], "big")
        if picture[at + 4 : at + 8] == b"IDAT":
            packed += picture[at + 8 : at + 8 + length]
        at += 12 + length
    return tuple(zlib.decompress(packed)[1:4])


@needs("chromium")
def test_it_is_drawn_light_and_dark_and_runs_nothing(served: Exporter, chromium: Browser, tmp_path: Path) -> None:
    brightness = []
    for dark in (True, False):
        chromium.open(f"http://127.0.0.1:{served.port}/status", dark=dark)
        chromium.picture(tmp_path / "page.png")
        brightness.append(sum(_first_pixel((tmp_path / "page.png").read_bytes())))
    assert brightness[0] < 150
    assert brightness[1] > 600
    for path in _PAGES:
        chromium.open(f"http://127.0.0.1:{served.port}{path}")
        assert chromium.run("document.querySelectorAll('script, img, b2, [onerror]').length") == 0
        assert chromium.run("document.title") != "owned"


def _check_tree(chromium: Browser, path: str) -> None:
    """A screen reader finds its way: landmarks, headings in order, and tables that say what their cells are."""
    tree = chromium.tree()
    roles = Counter(one["role"] for one in tree)
    assert (roles["banner"], roles["main"], roles["contentinfo"]) == (1, 1, 1)
    names = [one["name"] for one in tree if one["role"] == "navigation"]
    assert {"Pages", "For programs"} <= set(names)
    assert len(names) == len(set(names)), "landmarks of one kind have names of their own"
    assert all(one["name"] for one in tree if one["role"] in ("link", "heading", "table", "navigation", "rowheader"))
    _check_headings([one["level"] for one in tree if one["role"] == "heading"])
    for table in _tables(tree):
        _check_table(table)
    first = next(one for one in tree if one["role"] == "link")
    assert first["name"] == "Skip to the content"
    current = chromium.run(
        "[...document.querySelectorAll('nav[aria-label=Pages] [aria-current]')].map(e => e.innerText)"
    )
    assert len(current) == 1
    assert current[0].replace(" ", "-") in ("overview" if path == "/" else path)


def _check_headings(levels: list[int]) -> None:
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels


def _tables(tree: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Each table with what is in it."""
    for start, one in enumerate(tree):
        if one["role"] == "table":
            rest = tree[start + 1 :]
            end = next((at for at, other in enumerate(rest) if other["depth"] <= one["depth"]), len(rest))
            yield rest[:end]


def _check_table(table: list[dict[str, Any]]) -> None:
    """A table has headings for its columns, and says of each row what it is about."""
    roles = [one["role"] for one in table]
    columns = roles.count("columnheader")
    assert columns
    rows = " ".join(roles).split("row ")[1:]
    bodies = [Counter(row.split()) for row in rows]
    assert bodies[0]["columnheader"] == columns
    for body in bodies[1:]:
        assert (body["rowheader"], body["cell"]) == (1, columns - 1), table


@needs("chromium")
@pytest.mark.parametrize("path", _PAGES)
def test_it_can_be_read_light_dark_wide_narrow_and_aloud(path: str, served: Exporter, chromium: Browser) -> None:
    papers = set()
    for width in (400, 1280):
        for dark in (False, True):
            chromium.open(f"http://127.0.0.1:{served.port}{path}", width=width, dark=dark)
            seen = chromium.run(_LOOK)
            assert seen["checked"] > 20
            assert seen["found"] == [], (width, dark)
            papers.add(seen["paper"])
            if not dark:
                _check_tree(chromium, path)
    assert len(papers) == 2, "light and dark"


@needs("chromium")
def test_the_content_is_one_key_away(served: Exporter, chromium: Browser) -> None:
    chromium.open(f"http://127.0.0.1:{served.port}/containers")
    _press(chromium, "Tab", 9)
    assert chromium.run("document.activeElement.innerText") == "Skip to the content"
    assert chromium.run("document.activeElement.getBoundingClientRect().left >= 0"), "it is seen when it is reached"
    _press(chromium, "Enter", 13)
    assert chromium.run("document.activeElement.id") == "content"
    _press(chromium, "Tab", 9)
    assert chromium.run("document.querySelector('main').contains(document.activeElement)")


def _press(chromium: Browser, key: str, code: int) -> None:
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        chromium.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)


@needs("chromium")
def test_links_alone_lead_to_every_container(served: Exporter, chromium: Browser) -> None:
    chromium.open(f"http://127.0.0.1:{served.port}/")
    seen: list[str] = []
    address = chromium.run("document.querySelector('.tiles a[href=\"/containers\"]').href")
    while address:
        chromium.open(address)
        seen += chromium.run("[...document.querySelectorAll('tbody th')].map(e => e.innerText)")
        address = chromium.run("[...document.links].find(one => one.innerText === 'next page')?.href || ''")
    assert len(seen) == len(set(seen)) == 61
    assert EVIL in seen
    assert re.fullmatch("c59-.*", seen[0] if seen[0] != EVIL else seen[1])
