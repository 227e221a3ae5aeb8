"""The rows of the results: figures beside their budgets and beside those of the last time."""

import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import sched_getaffinity
from pathlib import Path

from exporter.core.version import VERSION

_CELLS = re.compile(r"^\| (?P<what>.*?) \| (?P<figure>.*?) \| (?P<budget>.*?) \|", re.MULTILINE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
#: A figure that is worse by more than this is noted.
_WORSE = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    budget: str = ""
    met: bool | None = None


def ratio(what: str, pairs: Sequence[tuple[float, float]], budget: float | None = None) -> Row:
    """The row for two programs that were timed in pairs: both medians, and the median of the ratios."""
    one, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    found = statistics.median(a / b for a, b in pairs)
    figure = f"{found:.2f} ({one:.2f} s, {other:.2f} s)"
    return Row(what, figure) if budget is None else Row(what, figure, f"<= {budget}", found <= budget)


class Last:
    """The figures of the last time, as they are in the file of the results."""

    def __init__(self, text: str) -> None:
        found = _DATE.search(text)
        self.date = found[0] if found else "never"
        #: By what a row is about: some come several times.
        self._figures: dict[str, list[str]] = {}
        for one in _CELLS.finditer(text):
            self._figures.setdefault(_name(one["what"]), []).append(one["figure"])

    def line(self, row: Row) -> str:
        """A row as Markdown, with the figure of the last time and a note where it got worse by more than a tenth."""
        known = self._figures.get(_name(row.what))
        before = known.pop(0) if known else ""
        verdict = {True: "met", False: "missed", None: ""}[row.met]
        worse = _worse(row, before)
        if worse > _WORSE:
            verdict += f"{', ' if verdict else ''}worse by {100 * worse:.0f} %"
        return f"| {row.what} | {row.figure} | {row.budget} | {before.partition(' (')[0]} | {verdict} |\n"


def _name(what: str) -> str:
    """What a row is about, without the numbers that a run finds by itself, such as that of the series."""
    return _NUMBER.sub("#", what)


def _worse(row: Row, before: str) -> float:
    """By which part the number that has a budget is worse than it was; 0 where it has none, or was not measured."""
    # Of `p50 / p99` the budget is that of the last one.
    at = -1 if "p99" in row.budget else 0
    now, then = (_NUMBER.findall(figure.partition("(")[0]) for figure in (row.figure, before))
    if not row.budget or not now or not then:
        return 0.0
    one, other = (float(numbers[at].replace(",", "")) for numbers in (now, then))
    grown = one / other - 1 if other else 0.0
    return -grown if ">=" in row.budget else grown


def head(last: Last) -> str:
    """The text above the rows: the machine, the versions and the date."""
    cores = len(sched_getaffinity(0))
    about = [
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores of {_first('model name', '/proc/cpuinfo')}",
        f"{int(_first('MemTotal', '/proc/meminfo').split()[0]) / 1e6:.0f} GB of memory, Linux {platform.release()}",
        f"Python {platform.python_version()}, exporter {VERSION}, {_version(['du', '--version'])}",
    ]
    text = f"Measured by `make benchmark`: {', '.join(about)}.\n\n"
    return f"{text}| what | figure | budget | last time ({last.date}) | |\n|---|---|---|---|---|\n"


def _first(name: str, file: str) -> str:
    """The first value of a name in a file of /proc."""
    for line in Path(file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0 unknown"


def _version(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
