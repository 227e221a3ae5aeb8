"""Limits on series."""

from pathlib import Path

from exporter.config.limits import Shown
from exporter.expose.metrics.families import families
from exporter.expose.metrics.render import render
from exporter.figures.figures import Figures
from tests.support.product import Samples, scan
from tests.support.roots.layerdb import DbRoot


def test_the_largest_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    built = DbRoot(tmp_path).layer("a", 10).image("a", "a", ["a:1"])
    for number in range(5):
        built.volume(f"v{number}", 100 * number)
    shown = Shown(most=(("volumes", 11),))
    figures = Samples(render(families(Figures(scan(built.path)), shown), "text").decode())
    assert {labels["volume"] for labels, _ in figures.all("volume_size_bytes")} == {"v3", "v4"}
    assert len(figures.all("volume_info")) == 2
    assert figures("series_dropped", collector="volumes") == 3
    assert figures("series_dropped", collector="images") == 0
    assert figures.sum("volumes") == 5
