"""Objects that have not changed between two readings are the same objects in both inventories.

Whoever keeps what was made of an object looks whether it is still that object: that costs nothing.
"""

from collections.abc import Callable, Hashable
from operator import attrgetter

from msgspec.structs import asdict, replace

from exporter.core.model import Inventory
from exporter.core.splices import with_equals

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
    values = asdict(found)
    for name, key in _KEYS.items():
        values[name] = with_equals(values[name], getattr(before, name), key)
    cache, old = found.build_cache, before.build_cache
    if cache is not old:
        records = with_equals(cache.records, old.records, _RECORDS)
        values["build_cache"] = cache if records is cache.records else replace(cache, records=records)
    for name, value in values.items():
        old_value = getattr(before, name)
        if value is not old_value and value == old_value:
            values[name] = old_value
    return Inventory(**values)
