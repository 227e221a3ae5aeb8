"""The table of the benchmark: each figure beside that of the last time, and a note where it got worse."""

import pytest

from benchmarks import rows
from benchmarks.rows import Last, Row, head, ratio

_BEFORE = """Measured by `make benchmark`: 2026-01-02, 2 cores.

| what | figure | budget | |
|---|---|---|---|
| scan / `du` | 0.76 (0.74 s, 0.98 s) | <= 0.8 | met |
| ... a bare loop | 0.70 (0.72 s, 0.98 s) |  |  |
| ... a bare loop | 0.50 (0.72 s, 0.98 s) |  |  |
| scrape at 18,211 series, p50 / p99 | 1.6 / 2.0 ms (3,032 scrapes) | p99 <= 10 ms | met |
| engine / scrape | 1,000 (3 s) | >= 100 | met |
"""


@pytest.mark.parametrize(
    ("row", "end"),
    [
        (Row("scan / `du`", "0.80 (1 s, 2 s)", "<= 0.8", True), "| 0.76 | met |"),
        (Row("scan / `du`", "0.95 (1 s, 2 s)", "<= 0.8", False), "| 0.76 | missed, worse by 25 % |"),
        (Row("... a bare loop", "1.40 (1 s, 2 s)"), "| 0.70 |  |"),
        (Row("scrape at 9 series, p50 / p99", "9.6 / 2.1 ms (1)", "p99 <= 10 ms", True), "| 1.6 / 2.0 ms | met |"),
        (
            Row("scrape at 9 series, p50 / p99", "1.6 / 3.0 ms (1)", "p99 <= 10 ms", True),
            "| 1.6 / 2.0 ms | met, worse by 50 % |",
        ),
        (Row("engine / scrape", "800 (2 s)", ">= 100", True), "| 1,000 | met, worse by 20 % |"),
        (Row("engine / scrape", "2,000 (2 s)", ">= 100", True), "| 1,000 | met |"),
        (Row("engine / scrape", "the engine is not installed", ">= 100"), "| 1,000 |  |"),
        (Row("new", "1.0", "<= 2"), "|  |  |"),
    ],
)
def test_a_row_shows_what_it_was_and_that_it_got_worse(row: Row, end: str) -> None:
    assert Last(_BEFORE).line(row).rstrip("\n").endswith(end)


def test_rows_of_one_name_are_told_apart_by_their_order() -> None:
    last = Last(_BEFORE)
    lines = [last.line(Row("... a bare loop", "1")) for _ in range(3)]
    assert [line.split(" | ")[3] for line in lines] == ["0.70", "0.50", ""]


def test_the_head_has_the_date_of_the_last_time_and_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_version", lambda _: "du 1.0")
    text = head(Last(_BEFORE))
    assert "last time (2026-01-02)" in text
    assert "| last time (never) |" in head(Last(""))
    assert Last(text).date != "2026-01-02"


def test_a_ratio_is_the_median_of_the_pairs() -> None:
    row = ratio("a / b", [(1.0, 1.0), (9.0, 3.0), (2.0, 1.0)], 1.5)
    assert (row.figure, row.met) == ("2.00 (2.00 s, 1.00 s)", False)
