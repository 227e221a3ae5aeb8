"""Limits on series."""

from pathlib import Path

from exporter.account import Account
from exporter.metrics.families import families
from exporter.metrics.limits import Shown
from exporter.metrics.render import render
from tests.conftest import Figures, scan
from tests.roots.layerdb import DbRoot


def test_the_largest_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"])
    for number in range(5):
        built.volume(f"v{number}", 100 * number)
    shown = Shown(most=(("volumes", 11),))
    figures = Figures(render(families(Account(scan(built.path)), shown), "text").decode())
    assert {labels["volume"] for labels, _ in figures.all("volume_size_bytes")} == {"v3", "v4"}
    assert len(figures.all("volume_info")) == 2
    assert figures("series_dropped", collector="volumes") == 3
    assert figures("series_dropped", collector="images") == 0
    assert figures.sum("volumes") == 5
