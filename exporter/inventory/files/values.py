"""Values of untrusted JSON: every one may be missing, or of another type."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

Json = Mapping[str, object]


def decode(raw: bytes) -> Json | None:
    """Decode JSON as leniently as Go does: a name that is not Unicode must not hide the others."""
    try:
        value = json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_table(source: object, *keys: str) -> bool:
    """Whether there is an object at a path of keys."""
    return isinstance(_at(source, keys), dict)


def text(source: object, *keys: str) -> str:
    """The string at a path of keys; "" where anything on the way is missing or of another type."""
    value = _at(source, keys)
    return value if isinstance(value, str) else ""


def flag(source: object, *keys: str) -> bool:
    """Whether the value at a path of keys is JSON's true."""
    return _at(source, keys) is True


def table(source: object, *keys: str) -> Json:
    """The object at a path of keys; an empty one where anything on the way is missing or another type."""
    value = _at(source, keys)
    return value if isinstance(value, dict) else {}


def items(source: object, *keys: str) -> list[object]:
    """The array at a path of keys; an empty one where anything on the way is missing or of another type."""
    value = _at(source, keys)
    return value if isinstance(value, list) else []


def moment(source: object, *keys: str) -> float | None:
    """The RFC 3339 time at a path of keys in Unix seconds; None where missing, malformed or Go's time zero."""
    value = text(source, *keys)
    if not value or value.startswith("0001-01-01T"):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _at(source: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        if not isinstance(source, dict):
            return None
        source = source.get(key)
    return source
