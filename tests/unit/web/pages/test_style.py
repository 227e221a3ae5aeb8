"""The contrast of all texts on all that can be behind them (WCAG 2.2, 1.4.3), and of what is not text (1.4.11)."""

from collections.abc import Mapping

import pytest

from exporter.web.pages.style import DARK, LIGHT, STYLE


def _light(colour: str) -> float:
    """The relative luminance of WCAG 2.2."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_light(one), _light(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert _contrast("#ffffff", "#000000") == 21
    assert round(_contrast("#777777", "#ffffff"), 2) == 4.48, "the well-known grey that just fails"


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_bars_can_be_seen(colours: Mapping[str, str]) -> None:
    for text in ("ink", "dim", "link", "bad", "warn", "good"):
        for behind in ("paper", "card"):
            assert _contrast(colours[text], colours[behind]) >= 4.5, (text, behind)
    for text in ("ink", "link"):
        assert _contrast(colours[text], colours["back"]) >= 4.5
    for bar in ("bar", "bad"):
        for behind in ("rest", "card"):
            assert _contrast(colours[bar], colours[behind]) >= 3, (bar, behind)


def test_every_colour_is_one_of_these() -> None:
    rules = STYLE.replace(str([*LIGHT.values()]), "")
    for colours in (LIGHT, DARK):
        for name, colour in colours.items():
            rules = rules.replace(f"--{name}: {colour};", "")
    assert "#" not in rules
    assert "rgb" not in rules
