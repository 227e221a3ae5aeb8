"""Counts that go up and down while objects come and go."""

from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def count(counts: Counter[T], names: Iterable[T], sign: int) -> None:
    """Count names, or take them out with a `sign` of -1. What is not there any more has no entry."""
    for name in names:
        counts[name] += sign
        if not counts[name]:
            del counts[name]
