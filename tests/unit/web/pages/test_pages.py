import re
import shutil
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import asdict, replace

from exporter.core.measured import Reason
from exporter.core.model import Collector
from exporter.expose.advice import ADVICE
from exporter.expose.growing import Growth
from exporter.expose.page_summary import ROWS, summarize
from exporter.expose.snapshot_api.rows import FilesystemRow, LayerRow, VolumeRow
from exporter.expose.summary import NOT_YET, Summary
from exporter.figures.figures import Figures
from exporter.web.pages.frame import PageFrame
from exporter.web.pages.overview import overview
from exporter.web.pages.status import status
from tests.support.evil import EVIL, evil_root
from tests.support.product import scan
from tests.support.roots import GraphRoot, graph_root, hex_id
from tests.support.roots.containerd import store_root

#: The attributes that no value of the disk may add to.
_ATTRIBUTES = {
    *("lang", "charset", "name", "content", "href", "class", "style", "scope", "id", "tabindex"),
    *("aria-label", "aria-current", "aria-hidden", "aria-sort", "data-of"),
}


def _overview(summary: Summary, growth: Growth | None = None) -> str:
    return overview(PageFrame(), summary, (), growth)


def _status(summary: Summary, space: Sequence[FilesystemRow]) -> str:
    return status(PageFrame(), summary, space)


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
    return evil_root(tmp_path)


def test_every_value_from_the_disk_is_escaped(evil: GraphRoot) -> None:
    summary = summarize(Figures(scan(evil.path)))
    for page in (_overview(summary), _status(summary, [])):
        found = Elements(page)
        assert not found.names & {"script", "img", "b2"}
        assert not found.attributes - _ATTRIBUTES
        assert EVIL in found.text
        assert "\u202e" not in page
    assert ADVICE[Reason.DECODE] in Elements(_status(summary, [])).text


def _hostile(value: object) -> object:
    """The same, with every text in it an attack but for those that are looked up in tables of ours."""
    if isinstance(value, Reason | Collector):
        return value
    if isinstance(value, str):
        return EVIL
    if isinstance(value, tuple):
        return tuple(map(_hostile, value))
    if isinstance(value, Struct):
        return replace(value, **{name: _hostile(one) for name, one in asdict(value).items()})
    return value


def test_a_text_is_escaped_wherever_it_stands(evil: GraphRoot) -> None:
    (evil.path / "volumes" / "data" / "_data").mkdir(parents=True)
    (evil.path / "volumes" / "data" / "_data" / "f").write_text("x")
    shutil.copytree(evil.path / "aufs" / "diff" / hex_id("app"), evil.path / "aufs" / "diff" / hex_id("orphan"))
    summary = summarize(Figures(scan(evil.path)))
    names = {"root", "error", "drivers", "directories", "reclaimable", "images", "containers", "mounts", "problems"}
    assert all(getattr(summary, name) for name in names - {"error"})
    counts = summary.counts
    for error in ("", EVIL):
        hostile = _hostile(replace(summary, error=error and EVIL, orphans=(LAYER,), volumes=(VOLUME,)))
        assert isinstance(hostile, Summary)
        hostile = replace(hostile, error=error, counts=counts, unmeasured=(EVIL,))
        space = [FilesystemRow(EVIL, EVIL, EVIL, EVIL, 10, 5, 5)]
        for page in (_overview(hostile), _status(hostile, space)):
            found = Elements(page)
            assert found.text.count(EVIL) > 5
            assert not found.names & {"script", "img"}
            assert not found.attributes - _ATTRIBUTES
            assert EVIL not in page


LAYER = LayerRow(EVIL, EVIL, EVIL, EVIL, EVIL, 1, 1, 1, EVIL, EVIL)
VOLUME = VolumeRow(EVIL, False, EVIL, 1, 1, 1, 1, EVIL)


def test_what_cannot_be_read_at_all_comes_with_advice(tmp_path: Path) -> None:
    def said(error: str) -> str:
        summary = replace(summarize(Figures(scan(tmp_path / "none"))), error=error)
        page = Elements(_status(summary, [])).text
        assert "Everything could be read" not in page
        assert "Nothing that" not in page
        assert error in page
        return page

    assert "--root" in said("does not exist")
    assert "--root" in said("holds no known Docker layout")
    assert ADVICE[Reason.PERMISSION] in said("cannot be read: Permission denied")
    assert ADVICE[Reason.IO] in said("cannot be opened: Input/output error")
    assert "--root" not in said(NOT_YET)
    long = f"holds no known Docker layout; near it is a data root: /{'x' * 300}; docker info -f {{.DockerRootDir}}"
    assert said(long).count("DockerRootDir") == 1, "in full, and once"


def test_errors_are_seen_at_the_front_and_link_to_what_to_do(evil: GraphRoot) -> None:
    page = _overview(summarize(Figures(scan(evil.path))))
    assert re.search(r'<a href="/status#errors"><b>\d+</b><span>errors<', page)
    good = _overview(summarize(Figures(scan(graph_root(evil.path.parent / "good").image("app").path))))
    assert "errors<" not in good
    assert "Nothing: everything could be read." in good


def test_no_page_needs_anything_from_elsewhere(evil: GraphRoot) -> None:
    for page in (_overview(summarize(Figures(scan(evil.path)))), _status(summarize(Figures(scan(evil.path))), [])):
        links = re.findall(r'(?:href|src|url\(|@import)[="(\s]*([^"\s)>]+)', re.sub(r"&[a-z#0-9]+;", "", page))
        assert all(one.startswith(("/", "#")) and not one.startswith("//") for one in set(links) - {"x", "onerror"})


def test_there_is_advice_for_every_reason() -> None:
    assert set(ADVICE) == set(Reason)


def test_a_page_is_bounded_however_much_there_is(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    for number in range(3 * ROWS):
        built.container(f"c{number}", image="app", writable={"w": number})
    page = _status(summarize(Figures(scan(built.path))), [])
    assert f"{3 * ROWS} in all, {2 * ROWS} more not shown" in page
    assert len(re.findall(r">c\d+</th>", page)) == ROWS


def test_before_the_first_scan_and_without_a_root_it_says_so(tmp_path: Path) -> None:
    page = _status(summarize(Figures(scan(tmp_path / "none"))), [])
    assert "does not exist" in page


def test_a_containerd_store_is_shown_by_use_and_by_namespace(tmp_path: Path) -> None:
    summary = summarize(Figures(scan(store_root(tmp_path / "docker").root)))
    text = Elements(_status(summary, [])).text
    assert "Image store of containerd" in text
    assert "build history: logs, traces, provenance" in text
    assert "docker buildx history rm --all does" in text
    assert "Docker's build history" in text
    assert "default/agent-1/agent" in text
    assert "snapshotters overlayfs" in text
    assert "content of images" in Elements(_overview(summary)).text


def test_without_containerd_nothing_is_said_of_it(tmp_path: Path) -> None:
    summary = summarize(Figures(scan(graph_root(tmp_path).image("base").path)))
    assert "Image store" not in Elements(_status(summary, [])).text
    assert "Namespace" not in Elements(_status(summary, [])).text
