"""Values that are made of other values, and made again only where these are other objects than before."""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
S = TypeVar("S")
V = TypeVar("V")

_NONE = object()


def changed_keys(new: Mapping[K, object], old: Mapping[K, object]) -> set[K]:
    """The keys of two mappings under which these have not the same object."""
    if new is old:
        return set()
    get = old.get
    changed = {key for key, one in new.items() if get(key, _NONE) is not one}
    if len(old) != len(new) - sum(key not in old for key in changed):  # else all of the old ones are there
        changed.update(old.keys() - new.keys())
    return changed


class Kept(Generic[K, S, V]):
    """Values by key, each made of a source. A value must depend on nothing but its key and its source."""

    __slots__ = ("_sources", "values")

    def __init__(self) -> None:
        self._sources: Mapping[K, S] = {}
        #: The values at the last update. They are another mapping where one has changed, and never changed themselves.
        self.values: Mapping[K, V] = {}

    def update(self, sources: Mapping[K, S], make: Callable[[K, S], V]) -> Mapping[K, V]:
        """The values of these sources."""
        if changed := changed_keys(sources, self._sources):
            values = dict(self.values)
            for key in changed:
                if key in sources:
                    values[key] = make(key, sources[key])
                else:
                    values.pop(key, None)
            self.values = values
        self._sources = sources
        return self.values
