"""Caches the data of each object until its entry is dirty, so that a scan reads only changed objects."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from exporter.core.dirty import Dirty
from exporter.core.listings import Names
from exporter.core.measured import Tree

T = TypeVar("T")
_Key = tuple[str, Tree]


class StoreEntries(dict[str, T]):
    """Values of the entries of one store, by their names, see `Memo.entries`."""

    __slots__ = ("_dropped", "_names")

    def __init__(self) -> None:
        super().__init__()
        #: The listing of the store to which these are up to date; None: they are not.
        self._names: Names | None = None
        #: Those that were dropped since then.
        self._dropped: set[str] = set()

    def drop(self, name: str) -> None:
        """Drop a value: its entry is dirty."""
        if name in self:
            del self[name]
            self._dropped.add(name)

    def drop_all(self) -> None:
        """Drop all values."""
        self.clear()
        self._names = None
        self._dropped.clear()

    def come_to(self, names: Sequence[str]) -> set[str] | None:
        """Come to another listing of the store, without the values of entries that are gone.

        Returns the names that came, went, or were dropped since the listing before; None: it may be any.
        """
        before, self._names = self._names, names if isinstance(names, Names) else None
        if before is None or self._names is None:
            for name in self.keys() - {*names}:
                del self[name]
            self._dropped.clear()
            return None
        changed = {*self._names.since(before), *self._dropped}
        self._dropped.clear()
        for name in changed:
            if name in self and name not in self._names:
                del self[name]
        return changed


class Memo:
    """Values by kind and entry. Values that are not requested between `begin` and `end` are dropped."""

    def __init__(self) -> None:
        self._values: dict[_Key, Any] = {}
        #: Tuples, because there are thousands, and few have more than one key.
        self._of_entry: dict[Tree, tuple[_Key, ...]] = {}
        #: The further entries that a value depends on.
        self._also: dict[_Key, tuple[Tree, ...]] = {}
        #: The directories that these entries lie in: when one of those was replaced, so were its entries.
        self._above: set[Tree] = set()
        self._used: set[_Key] = set()
        self._lasting: dict[_Key, Any] = {}
        self._derived: dict[_Key, Any] = {}
        #: By store, the values of its entries; see `entries`.
        self._stores: dict[Tree, dict[str, StoreEntries[Any]]] = {}

    def entries(self, kind: str, store: Tree, also: tuple[Tree, ...] = ()) -> StoreEntries[Any]:
        """Values of the entries of one store, by their names: for whoever asks for all of them at once.

        Those of dirty entries are dropped. Whoever uses it fills it, and drops those of entries that are gone.
        `also`: stores with entries by the same names, on which the values depend as well.
        """
        kinds = self._stores.setdefault(store, {})
        found = kinds[kind] if kind in kinds else kinds.setdefault(kind, StoreEntries())
        for other in also:
            self._stores.setdefault(other, {})[kind] = found
        return found

    def lasting(self, kind: str, entry: Tree, make: Callable[[], T]) -> T:
        """What was made for an entry, whether that is dirty or not: it must be right for any content."""
        key = (kind, entry)
        if key not in self._lasting:
            self._lasting[key] = make()
        return cast("T", self._lasting[key])

    def derived(self, kind: str, entry: Tree, make: Callable[[], T]) -> T:
        """What was made for an entry, until everything is dirty: whoever uses it looks whether it is still right."""
        key = (kind, entry)
        if key not in self._derived:
            self._derived[key] = make()
        return cast("T", self._derived[key])

    def begin(self, dirty: Dirty) -> None:
        """Drop the dirty values."""
        self._used = set()
        if dirty.everything:
            self._derived.clear()
        gone: Iterable[Tree] = dirty.entries
        if dirty.everything or not self._above.isdisjoint(dirty.entries):
            gone = [entry for entry in self._of_entry if dirty.covers(entry)]
        for entry in gone:
            for key in self._of_entry.pop(entry, ()):
                self._drop(key)
        self._forget_entries(dirty)

    def _forget_entries(self, dirty: Dirty) -> None:
        for entry in dirty.entries:
            for kept in self._stores.get(entry[:-1], {}).values() if entry else ():
                kept.drop(entry[-1])
        for store, kinds in self._stores.items():
            if dirty.everything or dirty.covers(store):
                for kept in kinds.values():
                    kept.drop_all()

    def _drop(self, key: _Key) -> None:
        self._values.pop(key, None)
        for entry in (key[1], *self._also.pop(key, ())):
            left = tuple(one for one in self._of_entry.pop(entry, ()) if one != key)
            if left:
                self._of_entry[entry] = left

    def get(self, kind: str, entry: Tree, read: Callable[[], tuple[T, bool]], also: tuple[Tree, ...] = ()) -> T:
        """Return what is known of an entry, or `read` it; that says whether the value may be kept.

        `also` are other entries that the value depends on.
        """
        key = (kind, entry)
        self._used.add(key)
        if key in self._values:
            return cast("T", self._values[key])
        value, keep = read()
        if keep:
            self._values[key] = value
            if also:
                self._also[key] = also
            for one in (entry, *also):
                known = self._of_entry.get(one, ())
                self._of_entry[one] = known if key in known else (*known, key)
                if one[:-1] not in self._above:
                    self._above.update(one[:end] for end in range(1, len(one)))
        return value

    def end(self) -> None:
        """Drop the values that this scan has not requested."""
        for key in self._values.keys() - self._used:
            self._drop(key)
        self._used = set()
