import re
from html import unescape
from pathlib import Path

from msgspec.structs import replace

from exporter.core.model import Counters
from exporter.expose.growing import Grown, Growth, SpaceThen
from exporter.expose.page_summary import summarize
from exporter.expose.snapshot_api.rows import FilesystemRow
from exporter.expose.summary import Summary
from exporter.figures.figures import Figures
from exporter.web.pages.frame import PageFrame
from exporter.web.pages.overview import overview
from tests.support.product import scan
from tests.support.roots import graph_root
from tests.support.served import served

_DISK = FilesystemRow("/var/lib/docker", "/dev/vda1", "/", "ext4", 1000_000, 300_000, 250_000)


def _text(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html[html.index("<main") :])))


def _summary(tmp_path: Path) -> Summary:
    built = graph_root(tmp_path / "root").image("app", size=300, tag="app:1")
    for number in range(12):
        built.container(f"c{number:02}", image="app", writable={"w": number * 1000})
    return summarize(Figures(scan(built.path)))


def test_how_full_each_filesystem_is_and_when_it_is_full(tmp_path: Path) -> None:
    summary = replace(_summary(tmp_path), allocated=((_DISK.path, 123_000),))
    then = SpaceThen(1800.0, 1800.0, {_DISK.path: 650_000})
    text = _text(overview(PageFrame(), summary, (_DISK,), None, then))
    # df: 700 used of 700 + 250; 50 more in half an hour, so 250 are gone in two and a half hours.
    assert "/ ext4 74% 1 MB 250 kB 123 kB +50 kB about 2 h" in text
    assert re.search(r"in the last 30 min \(since \d\d:\d\d UTC, when this began to be kept", text)
    for seconds, used, said in ((300.0, 650_000, "+50 kB ?"), (1800.0, 700_000, "0 B not growing")):
        then = SpaceThen(seconds, 1800.0, {_DISK.path: used})
        assert said in _text(overview(PageFrame(), summary, (_DISK,), None, then))
    silent = FilesystemRow("/x", "d", "/mnt", "nfs4")
    text = _text(overview(PageFrame(), summary, (silent,), None, SpaceThen(4000.0, 9000.0, {})))
    assert "/mnt nfs4 ? ? ? ? ? ?" in text
    assert "filesystem /mnt how full it is" in text
    assert "UTC" not in text, "a whole hour is known"
    assert "/ ext4 74% 1 MB 250 kB 123 kB ? ?" in _text(overview(PageFrame(), summary, (_DISK,)))


def test_what_grew_is_shown_with_since_when(tmp_path: Path) -> None:
    summary = _summary(tmp_path)
    kinds = (
        Grown("layers of images", None, 5),
        Grown("logs of containers", 1000, 5000, 2),
        Grown("volumes", 9000, 8000),
    )
    growth = Growth(700.0, 700.0, kinds, (Grown("tmp", 0, 70_000),), (Grown("web", 1000, 91_000, kind="container"),))
    html = overview(PageFrame(), summary, (), growth)
    text = _text(html)
    assert "In the last 11 min (since " in text
    assert "layers of images ? 5 B" in text
    assert "logs of containers +4 kB ≥ 5 kB" in text
    assert "volumes −1 kB 8 kB" in text  # noqa: RUF001 - a minus
    assert "web container +90 kB 91 kB" in text
    assert "tmp +70 kB 70 kB" in text
    assert '<a href="/containers?sort=log">logs of containers</a>' in html
    assert "Totals are kept from the end of the first scan on" in _text(overview(PageFrame(), summary, (), Growth()))
    assert "does not answer" in _text(overview(PageFrame(), summary, (), None))


def test_every_tile_and_every_ranking_leads_to_its_objects(tmp_path: Path) -> None:
    html = overview(PageFrame(), _summary(tmp_path), ())
    tiles = re.findall(r'<li[^>]*><a href="([^"]*)"><b>([^<]*)</b><span>([^<]*)', html)
    assert {name: leads for leads, _, name in tiles} == {
        "on disk": "/status#parts",
        "layers": "/layers",
        "images": "/images",
        "containers": "/containers",
        "volumes": "/volumes",
        "build cache records": "/build-cache",
        "reclaimable": "/status#freed",
    }
    shown = html[html.index('<ul class="tiles') :]
    assert len(tiles) == shown[: shown.index("</ul>")].count("<li")
    assert '<a href="/containers">All containers (12)</a>' in html
    assert '<a href="/containers?only=stopped">stopped containers</a>' in html


def test_containers_are_ranked_by_writable_layer_and_log(tmp_path: Path) -> None:
    summary = _summary(tmp_path)
    assert [one.name for one in summary.containers[:3]] == ["c11", "c10", "c09"]
    logged = [replace(one, log=50_000) if one.name == "c00" else one for one in summary.containers]
    html = overview(PageFrame(), replace(summary, containers=tuple(logged)), ())
    assert ">writable layer + log<" in html.lower() or "writable layer + log" in html


def test_what_is_not_known_is_listed_with_where_it_is_said(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    built.container("web", image="app")
    (built.path / "repositories-aufs").write_text("{")
    summary = served(scan(built.path), Counters()).summary
    html = overview(PageFrame(), summary, ())
    assert summary.unknown
    text = _text(html)
    assert f"{summary.unknown} kinds of figures what they need was not read" in text
    assert "repositories-aufs the names of images" in text
    assert '<a href="/status#errors">All, and what to do</a>' in html


def test_the_words_of_the_page_are_explained(tmp_path: Path) -> None:
    html = overview(PageFrame("/m"), _summary(tmp_path), ())
    assert all(f"<dt>{word}</dt>" in html for word in ("layout", "reclaimable", "?", "≥"))
    assert '<a href="/m">metrics</a>' in html
