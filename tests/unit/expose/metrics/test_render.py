import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as TheirFamily
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exporter.core.model import Counters, Snapshot
from exporter.expose.metrics.catalogue import Metric
from exporter.expose.metrics.families import families
from exporter.expose.metrics.family import family
from exporter.expose.metrics.render import Format, render, render_both
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


class _Source:
    def __init__(self, made: TheirFamily) -> None:
        self.made = made

    def collect(self) -> list[TheirFamily]:
        return [self.made]


def _theirs(metric: Metric, samples: dict[str, float]) -> TheirFamily:
    """The family as the library of Prometheus makes it."""
    if metric.kind == "info":
        made: TheirFamily = InfoMetricFamily(metric.name.removesuffix("_info"), metric.help)
    elif metric.kind == "counter":
        made = CounterMetricFamily(metric.name.removesuffix("_total"), metric.help)
    else:
        made = GaugeMetricFamily(metric.name, metric.help, unit=metric.unit)
    for text, value in samples.items():
        made.add_sample(metric.name, {"z": text, "a": "x"}, value)
    return made


@pytest.mark.parametrize("style", ["text", "openmetrics"])
@pytest.mark.parametrize(
    "metric",
    [
        Metric("x_bytes", "gauge", 'A "size"\\.\nAll.', ("z", "a"), "bytes"),
        Metric("x_info", "info", "Facts.", ("z", "a")),
        Metric("x_total", "counter", "A count.", ("z", "a")),
    ],
    ids=lambda metric: metric.kind,
)
@given(st.dictionaries(st.text('ab\\\n"\ud55c'), st.floats() | st.integers(-(2**60), 2**60)))
@example({"": 1000000.0, "a": 123456.7, "b": 12345678.25, "aa": -12345678.0, "bb": 1e22, "ab": 10.0**15})
def test_a_family_is_rendered_as_the_library_of_prometheus_does(
    metric: Metric, style: Format, samples: dict[str, float]
) -> None:
    generate = openmetrics_exposition.generate_latest if style == "openmetrics" else exposition.generate_latest
    # Old versions write three digits where two are enough.
    expected = re.sub(rb"e\+0(\d\d)\b", rb"e+\1", generate(_Source(_theirs(metric, samples))))
    made = family(metric, [((text, "x"), value) for text, value in samples.items()])
    assert render([made], style) == expected
    assert getattr(render_both(made), style) == expected.removesuffix(b"# EOF\n")
