"""Keeps an error inside of the exporter with the object that it is about, where figures are worked out and rendered."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from exporter.core.fault_log import FAULT_LOG
from exporter.core.measured import Reason
from exporter.core.objects import Problem
from exporter.core.states import Collector

_KEPT_PROBLEMS = 100

T = TypeVar("T")
Object = TypeVar("Object")


class Barrier:
    """Runs work on one object after the other. `failed`: how often that failed; `problems`: the first hundred."""

    def __init__(self) -> None:
        self.failed: Counter[Collector] = Counter()
        self.problems: list[Problem] = []

    def attempt(self, collector: Collector, what: str, work: Callable[[], T], instead: T) -> T:
        """Return what `work` on one object returns. Where it fails, that is counted and logged, and `instead` returned.

        `what` names the object for people.
        """
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - what nobody has foreseen
            self._note(collector, what, error)
            return instead

    def attempt_with(self, collector: Collector, what: str, one: Object, work: Callable[[Object], T], instead: T) -> T:
        """Do the same with an object that has an id or a name, or is a name itself; `what` is made of it."""
        name = getattr(one, "id", None) or getattr(one, "name", one)
        return self.attempt(collector, f"{what} of {name}", partial(work, one), instead)

    def until_failure(self, collector: Collector, what: str, work: Iterable[T]) -> Iterator[T]:
        """Yield what `work` yields. Where that fails, it ends there, which is counted and logged as with `attempt`."""
        each = iter(work)
        while True:
            try:
                one = next(each)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001 - what nobody has foreseen
                self._note(collector, what, error)
                return
            yield one

    def _note(self, collector: Collector, what: str, error: Exception) -> None:
        self.failed[collector] += 1
        kind = FAULT_LOG.note(error, what)
        if len(self.problems) < _KEPT_PROBLEMS:
            self.problems.append(Problem(collector, Reason.INTERNAL, what, kind))
