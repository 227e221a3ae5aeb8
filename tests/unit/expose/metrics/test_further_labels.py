"""Labels of the operator's own on all series."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.config.limits import EVERYTHING
from exporter.core.model import Counters
from exporter.expose.metrics.catalogue import CATALOGUE
from exporter.expose.metrics.further_labels import parse_labels
from exporter.expose.publication import exposition
from tests.support.product import scan
from tests.support.roots.layerdb import DbRoot

Series = tuple[str, frozenset[tuple[str, str]]]


def _series(path: Path, *labels: str) -> list[Series]:
    text = exposition(scan(path), Counters(), [], EVERYTHING, "text", parse_labels(labels)).decode()
    families = text_string_to_metric_families(text)
    return [(one.name, frozenset(one.labels.items())) for family in families for one in family.samples]


def test_every_series_has_them_so_that_those_of_two_roots_differ(tmp_path: Path) -> None:
    roots = [DbRoot(tmp_path / name).layer("base", 3).image("base", "base", ["base:1"]).path for name in ("a", "b")]
    plain = [{*_series(root)} for root in roots]
    assert plain[0] & plain[1]
    labelled = [_series(root, f"root={root}", "site=here") for root in roots]
    assert not {*labelled[0]} & {*labelled[1]}
    for root, series in zip(roots, labelled, strict=True):
        assert all({("root", str(root)), ("site", "here")} <= labels for _, labels in series)
        assert len({*series}) == len(series) == len(_series(root))


def test_the_metric_with_the_path_of_the_root_keeps_it(tmp_path: Path) -> None:
    root = DbRoot(tmp_path).path
    (only,) = [dict(labels) for name, labels in _series(root, "root=mine") if name == "docker_storage_root_info"]
    assert only["root"] == str(root)


def test_a_value_can_be_anything_and_is_presentable() -> None:
    assert parse_labels(["a=b=c", 'b="\n', "c=\udcff", "_d=" + "x" * 300]) == {
        "a": "b=c",
        "b": '"\n',
        "c": "\\xff",
        "_d": parse_labels(["_d=" + "x" * 300])["_d"],
    }
    assert len(parse_labels(["d=" + "x" * 300])["d"]) == 200


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["root"], "not NAME=VALUE"),
        (["root="], "not NAME=VALUE"),
        (["=x"], "cannot be the name"),
        (["1a=x"], "cannot be the name"),
        (["a-b=x"], "cannot be the name"),
        (["é=x"], "cannot be the name"),
        (["__name__=x"], "cannot be the name"),
        (["le=x"], "cannot be the name"),
        (["a\n=x"], "cannot be the name"),
        (["root=a", "root=b"], "given twice"),
        *(
            ([f"{name}=x"], "exporter's own")
            for name in sorted({name for metric in CATALOGUE for name in metric.labels} - {"root"})
        ),
    ],
)
def test_a_name_that_would_break_or_hide_a_series_is_refused(settings: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_labels(settings)
