from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.core.model import Counters, Snapshot
from exporter.expose.metrics.families import families
from exporter.expose.metrics.render import render
from exporter.expose.metrics.status import status_families
from exporter.figures.figures import Figures
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.roots import graph_root


def _pages(tmp_path: Path) -> tuple[bytes, bytes]:
    built = graph_root(tmp_path).image("base", size=3, tag="base:1").container("c\n", image="base")
    with LocalPool() as pool:
        scanner = Scanner(str(built.path), 600, pool)
        snapshot = scanner.scan()
    made = [*families(Figures(snapshot)), *status_families(snapshot, scanner.counters)]
    return render(made, "text"), render(made, "openmetrics")


def test_openmetrics_parses_and_ends(tmp_path: Path) -> None:
    page = _pages(tmp_path)[1].decode()
    assert page.endswith("# EOF\n")
    names = {family.name for family in text_string_to_metric_families(page)}  # type: ignore[no-untyped-call]
    assert {"docker_storage_image_virtual_size_bytes", "docker_storage_image"} <= names


def test_counters_are_counted_from_zero() -> None:
    text = render(status_families(Snapshot("/root", 0, error="is gone"), Counters()), "text").decode()
    assert 'docker_storage_scan_errors_total{collector="images",reason="decode"} 0.0' in text
