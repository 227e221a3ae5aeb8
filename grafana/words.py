"""Words for figures that are a yes or a no, and the levels at which a figure changes its colour."""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.dashboard import DashboardRangeMapOptions
from grafana_foundation_sdk.models import dashboard as board

#: Values from which on a figure has a colour; below the first it is green.
Levels = Sequence[tuple[float | None, str]]

YEAR = 31536000
GOOD, LATER, NOW, PLAIN = "green", "orange", "red", "text"


def steps(levels: Levels) -> dashboard.ThresholdsConfig:
    """Thresholds of a panel; a level of None is the colour below all others."""
    colours = list(levels)
    if not colours or colours[0][0] is not None:
        colours.insert(0, (None, GOOD))
    made = [board.Threshold(value=at, color=colour) for at, colour in colours]
    return dashboard.ThresholdsConfig().mode(board.ThresholdsMode.ABSOLUTE).steps(made)


def yes_or_no(yes: str = GOOD, no: str = GOOD) -> list[board.ValueMapping]:
    """Shows 1 as yes and 0 as no, each in its colour."""
    words = {"1": ("yes", yes), "0": ("no", no)}
    results = {
        value: board.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(words.items())
    }
    return [board.ValueMap(options=results)]


def not_filling() -> list[board.ValueMapping]:
    """Shows a year or more as a text."""
    result = board.ValueMappingResult(text="not filling", color=GOOD)
    options = DashboardRangeMapOptions().from_val(YEAR).to(100 * YEAR).result(result).build()
    return [board.RangeMap(options=options)]


def nothing(text: str) -> list[board.ValueMapping]:
    """Shows 0 as a text."""
    return [board.ValueMap(options={"0": board.ValueMappingResult(text=text, color=GOOD)})]
