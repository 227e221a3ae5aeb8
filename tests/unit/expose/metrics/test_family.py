"""Families of samples: which labels a series has."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.expose.metrics.catalogue import Metric
from exporter.expose.metrics.family import family, single
from exporter.expose.metrics.render import render, render_both

_SIZE = Metric("docker_storage_x_size_bytes", "gauge", "A size.", ("root", "namespace", "driver"), "bytes")
_SAMPLES = [(("", "", ""), 1), (("/a", "", "x"), 2), (("", "moby", "x"), 3), (("/a", "moby", ""), 4)]
_LABELS = [
    {"driver": ""},
    {"root": "/a", "driver": "x"},
    {"namespace": "moby", "driver": "x"},
    {"root": "/a", "namespace": "moby", "driver": ""},
]


def test_an_empty_namespace_or_root_is_left_out_of_both_formats() -> None:
    made = [family(_SIZE, _SAMPLES)]
    for parsed in (
        *parse_text(render(made, "text").decode()),
        *parse_openmetrics(render(made, "openmetrics").decode()),  # type: ignore[no-untyped-call]
    ):
        assert [one.labels for one in parsed.samples] == _LABELS
        assert [one.value for one in parsed.samples] == [1, 2, 3, 4]
    both = render_both(family(_SIZE, _SAMPLES))
    assert both.text == render(made, "text")
    assert both.openmetrics + b"# EOF\n" == render(made, "openmetrics")


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (Metric("docker_storage_x_info", "info", "Facts.", ("root", "layout")), "docker_storage_x_info"),
        (Metric("docker_storage_x_total", "counter", "A count.", ("root", "layout")), "docker_storage_x_total"),
        (Metric("docker_storage_x", "gauge", "A number.", ("root", "layout")), "docker_storage_x"),
    ],
)
def test_each_kind_of_family_leaves_out_an_empty_root(metric: Metric, name: str) -> None:
    made = family(metric, [(("", "graph"), 1), (("/a", ""), 1)])
    assert [(one.name, one.labels) for one in made.samples] == [
        (name, {"layout": "graph"}),
        (name, {"root": "/a", "layout": ""}),
    ]


def test_a_number_of_values_that_is_not_that_of_the_labels_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        single(_SIZE, 1)
