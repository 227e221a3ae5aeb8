import re
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from exporter.account import Account
from exporter.advice import ADVICE
from exporter.measured import Reason
from exporter.summary import ROWS, summarize
from exporter.web.pages import landing, status
from tests.conftest import needs, scan
from tests.roots import GraphRoot, graph_root, hex_id
from tests.test_service import exporter

_EVIL = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def evil(tmp_path: Path) -> GraphRoot:
    built = graph_root(tmp_path).image("app", size=7)
    built.writer.tag(_EVIL, "1", hex_id("app"))
    built.container(_EVIL, image="app", image_name=_EVIL, writable={"w": 3}, volumes={_EVIL: "/srv/" + _EVIL})
    (built.path / "\u202e<b>.txt").write_text("x")
    (built.path / "graph" / hex_id("broken")).mkdir()
    (built.path / "graph" / hex_id("broken") / "json").write_text("{")
    return built


def test_every_value_from_the_disk_is_escaped(evil: GraphRoot) -> None:
    summary = summarize(Account(scan(evil.path)))
    for page in (landing(summary), status(summary, [])):
        found = Elements(page)
        assert not found.names & {"script", "img", "b2"}
        assert not found.attributes - {"lang", "charset", "name", "content", "href", "class", "style", "scope"}
        assert _EVIL in found.text
        assert "\u202e" not in page
    assert ADVICE[Reason.DECODE] in Elements(status(summary, [])).text


def test_there_is_advice_for_every_reason() -> None:
    assert set(ADVICE) == set(Reason)


def test_a_page_is_bounded_however_much_there_is(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    for number in range(3 * ROWS):
        built.container(f"c{number}", image="app", writable={"w": number})
    page = status(summarize(Account(scan(built.path))), [])
    assert f"{3 * ROWS} in all, {2 * ROWS} more not shown" in page
    assert len(re.findall(r">c\d+</td>", page)) == ROWS


def test_before_the_first_scan_and_without_a_root_it_says_so(tmp_path: Path) -> None:
    page = status(summarize(Account(scan(tmp_path / "none"))), [])
    assert "does not exist" in page


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
def test_chromium_shows_it_light_and_dark_and_runs_nothing(evil: GraphRoot, tmp_path: Path) -> None:
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    pixels = []
    with exporter(evil.path) as running:
        running.wait_for("up", 1)
        running.wait_for("image_virtual_size_bytes", 7)
        address = f"http://127.0.0.1:{running.port}/status"
        for scheme in ("0", "1"):
            file = tmp_path / f"{scheme}.png"
            options = [f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={file}"]
            subprocess.run([*browser, *options, address], capture_output=True, check=True, timeout=120)
            pixels.append(_first_pixel(file.read_bytes()))
        dumped = subprocess.run(
            [*browser, "--dump-dom", address], capture_output=True, text=True, check=True, timeout=120
        )
    dark, light = map(sum, pixels)
    assert dark < 150
    assert light > 600
    assert "<title>docker-storage-exporter: status</title>" in dumped.stdout
    assert not Elements(dumped.stdout).names & {"script", "img"}
