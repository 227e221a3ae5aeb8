"""The filters that several listings have: Docker's, by what they ask of a row."""

import re
import time
from collections.abc import Callable, Iterable
from typing import TypeAlias, TypeVar

from exporter.cli.commands.columns import Filter, Test
from exporter.cli.commands.habits import matches
from exporter.cli.commands.index import Index

Row = TypeVar("Row")
#: The values of a row that a filter looks at; None where they are not known.
Values: TypeAlias = Callable[[Index, Row], Iterable[str] | None]
#: When a row came, in Unix seconds.
Created: TypeAlias = Callable[[Index, Row], float | None]
_TRUTH = {"true": True, "1": True, "false": False, "0": False}
_AGE_PART = r"(\d+(?:\.\d+)?)([smhdw])"
_AGE = re.compile(f"(?:{_AGE_PART})+", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def is_true(asked: Callable[[Index, Row], bool | None]) -> Filter[Row]:
    """A filter whose value is true or false."""

    def test(index: Index, value: str) -> Test[Row]:
        wanted = _TRUTH[value.lower()]
        return lambda row: None if (found := asked(index, row)) is None else found is wanted

    return Filter(test, lambda value: "" if value.lower() in _TRUTH else "true or false")


def equals(values: Values[Row], known: Iterable[str] = ()) -> Filter[Row]:
    """A filter for a value that a row has. `known` are all that there can be."""
    words = tuple(known)
    return Filter(
        _any(values, lambda asked, one: asked == one),
        lambda value: "" if not words or value in words else f"one of {', '.join(words)}",
    )


def contains(values: Values[Row]) -> Filter[Row]:
    """A filter for a part of a name, as `name` of Docker."""
    return Filter(_any(values, lambda asked, one: asked in one))


def begins(values: Values[Row]) -> Filter[Row]:
    """A filter for the beginning of an id."""
    return Filter(_any(values, lambda asked, one: one.startswith(asked.removeprefix("sha256:"))))


def like(values: Values[Row]) -> Filter[Row]:
    """A filter for a name with wildcards, as `reference` of Docker."""
    return Filter(_any(values, matches))


def _any(values: Values[Row], fits: Callable[[str, str], bool]) -> Callable[[Index, str], Test[Row]]:
    """A test of whether any of the values of a row fits what is asked for."""

    def test(index: Index, value: str) -> Test[Row]:
        return lambda row: None if (own := values(index, row)) is None else any(fits(value, one) for one in own)

    return test


def compared(created: Created[Row], of: Callable[[Index, str], float | None], *, before: bool) -> Filter[Row]:
    """A filter for what came before or after another object: `before` and `since` of Docker.

    `of` is when that object came; it raises click.UsageError where there is no such object.
    """

    def test(index: Index, value: str) -> Test[Row]:
        other = of(index, value)

        def is_there(row: Row) -> bool | None:
            own = created(index, row)
            if own is None or other is None:
                return None
            return own < other if before else own > other

        return is_there

    return Filter(test)


def until(created: Created[Row]) -> Filter[Row]:
    """A filter for what is older than a time such as 24h, as `until` of Docker's prunes."""

    def check(value: str) -> str:
        return "" if _AGE.fullmatch(value) else "a time such as 30m, 24h or 7d"

    def test(index: Index, value: str) -> Test[Row]:
        limit = time.time() - sum(float(number) * _SECONDS[unit] for number, unit in re.findall(_AGE_PART, value))
        return lambda row: None if (own := created(index, row)) is None else own < limit

    return Filter(test, check)
