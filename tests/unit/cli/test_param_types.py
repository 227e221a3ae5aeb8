"""Sizes, shares, durations and levels as people write them."""

import click
import pytest

from exporter.cli.param_types import DurationType, LevelType, ShareType, SizeType

_LEVELS = ["debug", "info", "warning", "error"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20GB", 20 * 10**9), ("20 GiB", 20 * 2**30), ("1.5kB", 1500), ("7", 7), ("20g", 20 * 10**9), ("1Mi", 2**20)],
)
def test_a_size(text: str, expected: int) -> None:
    assert SizeType().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["0", "", "-1", "GB", "20XB", "1e9", "20GB more", "9" * 30])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(click.BadParameter):
        SizeType().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "expected"), [("80%", 0.8), ("0.8", 0.8), ("0", 0), ("100%", 1), ("5.5%", 0.055), (0.05, 0.05)]
)
def test_a_share(text: str, expected: float) -> None:
    assert ShareType().convert(text, None, None) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["80", "101%", "1.1", "-5%", "%", "", "nan"])
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(click.BadParameter):
        ShareType().convert(text, None, None)
    with pytest.raises(click.BadParameter):
        ShareType(min=0.001).convert("0%", None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("90", 90), ("90s", 90), ("1m30s", 90), ("1.5m", 90), ("500ms", 0.5), ("1h", 3600), ("2d", 172_800)),
        *(("1w2d3h4m5s6ms", 788_645.006), (" 5m ", 300), (60.0, 60), ("0.5", 0.5), ("1m500ms", 60.5)),
    ],
)
def test_a_duration(text: str, expected: float) -> None:
    assert DurationType(min=0.5).convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["", "s", "1x", "30s1m", "1m1m", "-1m", "0.1s", "inf", "nan", "1 m", "m5", "1h-5m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DurationType(min=0.5).convert(text, None, None)


def test_a_level_has_the_name_that_other_exporters_give_it_too() -> None:
    assert LevelType(_LEVELS).convert("warn", None, None) == "warning"
    assert LevelType(_LEVELS).convert("error", None, None) == "error"
    with pytest.raises(click.BadParameter):
        LevelType(_LEVELS).convert("loud", None, None)
