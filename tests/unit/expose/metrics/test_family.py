"""Families of samples: which labels a series has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.expose.metrics.catalogue import Kind, Metric
from exporter.expose.metrics.family import OPTIONAL, family, single
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
    with pytest.raises(ValueError, match="has other labels"):
        single(_SIZE, 1)


_TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["", '"', "\\", "\n", "{}", "{0}", "%s"])
_NUMBERS = st.floats(allow_nan=True) | st.integers(-(2**70), 2**70)


@given(
    st.sampled_from(["gauge", "counter", "info"]),
    st.lists(st.sampled_from([*"abcdef", *OPTIONAL]), unique=True, max_size=6),
    st.data(),
)
def test_lines_are_those_of_the_client_library(kind: Kind, labels: list[str], data: st.DataObject) -> None:
    suffix = {"gauge": "", "counter": "_total", "info": "_info"}[kind]
    metric = Metric(f"docker_storage_x{suffix}", kind, "Its help.", tuple(labels))
    made = family(metric, data.draw(st.lists(st.tuples(st.tuples(*(_TEXTS for _ in labels)), _NUMBERS), max_size=4)))
    both = render_both(made)
    assert both.text == render([made], "text")
    assert both.openmetrics + b"# EOF\n" == render([made], "openmetrics")
