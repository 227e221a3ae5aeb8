"""Objects that have not changed between two readings are the same objects in both inventories.

Whoever keeps what was made of an object looks whether it is still that object: that costs nothing.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import fields, replace
from operator import attrgetter
from typing import TypeVar

from exporter.core.model import Inventory

T = TypeVar("T")

#: The tuples of objects, and what tells one of their objects from the others.
_KEYS: dict[str, Callable[[object], Hashable]] = {
    "layers": attrgetter("driver", "id"),
    "images": attrgetter("driver", "namespace", "id"),
    "containers": attrgetter("namespace", "id"),
    "volumes": attrgetter("name"),
    "plugins": attrgetter("id"),
    "temporary": attrgetter("path"),
}
_RECORDS = attrgetter("id")


def with_known_objects(found: Inventory, before: Inventory) -> Inventory:
    """The inventory with the objects of the one `before` in the place of those that are equal to them."""
    values = {one.name: getattr(found, one.name) for one in fields(Inventory)}
    for name, key in _KEYS.items():
        values[name] = known_objects(values[name], getattr(before, name), key)
    cache, old = found.build_cache, before.build_cache
    if cache is not old:
        records = known_objects(cache.records, old.records, _RECORDS)
        values["build_cache"] = cache if records is cache.records else replace(cache, records=records)
    for name, value in values.items():
        old_value = getattr(before, name)
        if value is not old_value and value == old_value:
            values[name] = old_value
    return Inventory(**values)


def known_objects(found: tuple[T, ...], before: tuple[T, ...], key: Callable[[T], Hashable]) -> tuple[T, ...]:
    """Some objects, and as many as possible of those `before`; these themselves where all are equal."""
    if found is before:
        return before
    known = set(map(id, before))
    if not known.issuperset(map(id, found)):
        new = set(map(id, found))
        gone = {key(one): one for one in before if id(one) not in new}
        found = tuple(_known(one, gone, key) if id(one) not in known else one for one in found)
    return before if _are_same(found, before) else found


def _known(one: T, gone: dict[Hashable, T], key: Callable[[T], Hashable]) -> T:
    old = gone.get(key(one))
    return old if old is not None and old == one else one


def _are_same(found: tuple[T, ...], before: Iterable[T]) -> bool:
    return list(map(id, found)) == list(map(id, before))
