"""Values that are made of other values, and made again only where these are other objects than before.

Most mappings of a large root have thousands of keys, and few of them change. What is made of such a mapping is made of
the keys that differ. An `Edition` knows these without a comparison.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
N = TypeVar("N")
S = TypeVar("S")
V = TypeVar("V")

_NONE = object()
#: So many editions before it are known of each: a reader may miss some.
_MOST_BEFORE = 4


class Edition(dict[K, V]):
    """A mapping that nobody changes, and that knows in which keys it differs from the editions before it.

    That costs no memory for these: each edition has a mark, and the next one keeps the mark alone.
    """

    __slots__ = ("_before", "_mark")

    def __init__(
        self,
        content: Mapping[K, V] | Iterable[tuple[K, V]] = (),
        before: Mapping[K, V] | None = None,
        changed: Iterable[K] | None = None,
    ) -> None:
        """See `follow`."""
        super().__init__(content)
        self._mark = object()
        #: By the mark of an edition, the keys that changed in the step after it; the last step is the first.
        self._before: tuple[tuple[object, frozenset[K]], ...] = ()
        self.follow(before, changed)

    def follow(self, before: Mapping[K, V] | None, changed: Iterable[K] | None = None) -> None:
        """Note which edition was `before`, once the content is complete.

        `changed`: at least the keys in which it differs from that one; without it, these are compared.
        """
        if isinstance(before, Edition):
            keys = frozenset(changed_keys(self, before) if changed is None else changed)
            # Where much has changed, a comparison costs no more than what is done with it.
            if 4 * len(keys) <= len(self) + 256:
                earlier: tuple[tuple[object, frozenset[K]], ...] = before._before  # noqa: SLF001 - of its own kind
                self._before = ((before._mark, keys), *earlier[: _MOST_BEFORE - 1])  # noqa: SLF001

    def since(self, old: Mapping[K, object]) -> set[K] | None:
        """At least the keys in which it differs from an earlier edition; None where that is not known."""
        if not isinstance(old, Edition):
            return None
        found = set[K]()
        for mark, keys in self._before:
            found |= keys
            if mark is old._mark:  # noqa: SLF001 - of its own kind
                return found
        return None


def changed_keys(new: Mapping[K, object], old: Mapping[K, object]) -> set[K]:
    """The keys of two mappings under which these have not the same object."""
    if new is old:
        return set()
    if not old:
        return {*new}
    if isinstance(new, Edition) and (known := new.since(old)) is not None:
        return {key for key in known if new.get(key, _NONE) is not old.get(key, _NONE)}
    get = old.get
    changed = {key for key, one in new.items() if get(key, _NONE) is not one}
    if len(old) != len(new) - sum(key not in old for key in changed):  # else all of the old ones are there
        changed.update(old.keys() - new.keys())
    return changed


def with_changes(before: Mapping[K, V], put: Mapping[K, V], gone: Iterable[K] = ()) -> Mapping[K, V]:
    """The next edition of a mapping; that itself where nothing is put and nothing is gone."""
    gone = [key for key in gone if key in before]
    if not put and not gone:
        return before
    content = dict(before)
    content.update(put)
    for key in gone:
        del content[key]
    return Edition(content, before, (*put, *gone))


class ByKey(Mapping[K, V]):
    """Objects by a key of theirs, for whoever asks for few of thousands, and most often for none."""

    __slots__ = ("_key", "_made", "_objects")

    def __init__(self, objects: Iterable[V], key: Callable[[V], K]) -> None:
        self._objects, self._key = objects, key
        self._made: dict[K, V] | None = None

    @property
    def _all(self) -> dict[K, V]:
        if self._made is None:
            self._made = {self._key(one): one for one in self._objects}
        return self._made

    def __getitem__(self, key: K) -> V:
        return self._all[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


class Last(Generic[K, V]):
    """The last edition of a mapping that is read again and again."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Mapping[K, V] = Edition()

    def or_next(self, found: Mapping[K, V]) -> Mapping[K, V]:
        """The last edition where what was `found` has the same objects, else that from now on."""
        if changed_keys(found, self.value):
            self.value = found
        return self.value


class Kept(Generic[K, S, V]):
    """Values by key, each made of a source. A value must depend on nothing but its key and its source."""

    __slots__ = ("_sources", "values")

    def __init__(self) -> None:
        self._sources: Mapping[K, S] = {}
        #: The values at the last update. They are another mapping where one has changed, and never changed themselves.
        self.values: Mapping[K, V] = Edition()

    def update(self, sources: Mapping[K, S], make: Callable[[K, S], V]) -> Mapping[K, V]:
        """The values of these sources."""
        changed = changed_keys(sources, self._sources)
        put = {key: make(key, sources[key]) for key in changed if key in sources}
        self.values = with_changes(self.values, put, (key for key in changed if key not in sources))
        self._sources = sources
        return self.values


class Joined(Generic[N, K, V]):
    """Mappings without a common key, joined into one."""

    __slots__ = ("_parts", "values")

    def __init__(self) -> None:
        self._parts: Mapping[N, Mapping[K, V]] = {}
        #: The mapping at the last update, see `Kept.values`.
        self.values: Mapping[K, V] = Edition()

    def update(self, parts: Mapping[N, Mapping[K, V]]) -> Mapping[K, V]:
        """Join these mappings, each of which has the same name each time."""
        nothing: Mapping[K, V] = {}
        put: dict[K, V] = {}
        gone = set[K]()
        for name in self._parts.keys() | parts.keys():
            now, before = parts.get(name, nothing), self._parts.get(name, nothing)
            for key in changed_keys(now, before):
                if key in now:
                    put[key] = now[key]
                else:
                    gone.add(key)
        self.values = with_changes(self.values, put, gone - put.keys())
        self._parts = dict(parts)
        return self.values
