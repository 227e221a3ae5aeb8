"""Values of untrusted JSON: every one may be missing, or of another type."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from exporter.core.data_root import MAX_FILE_BYTES

Json = Mapping[str, object]

_LARGEST = 2**63 - 1
#: An int64 with its sign.
_LONGEST_INTEGER = 20
#: A number that may be no int64. It is searched where there are so many digits, with what makes all digits zeros: that
#: is faster than a pattern.
_MAY_BE_LARGER = re.compile(rb"9[0-9]{18}|[0-9]{20}")
_MANY_DIGITS = b"0" * 19
_ZEROS = bytes.maketrans(b"123456789", b"000000000")


def decode(raw: bytes) -> Json | None:
    """Decode JSON as leniently as Go does: a name that is not Unicode must not hide the others.

    Go has no number with so many digits that it is no int64 either: such a one is a float here. NaN is no JSON to it.
    None for all that is no JSON object, and for one that is longer than a metadata file may be.
    """
    if len(raw) > MAX_FILE_BYTES:
        return None
    value = _decoded(raw)
    return value if isinstance(value, dict) else None


def value_in(raw: bytes) -> object:
    """What is under "value" in a JSON object, None for nothing; raises ValueError where `decode` finds no object.

    A build cache has a hundred thousand such objects, nearly all with a text or a number.
    """
    try:
        value = _WITH_VALUE.decode(raw).value if len(raw) <= MAX_FILE_BYTES else None
        if isinstance(value, str) or (type(value) is int and -_LARGEST <= value <= _LARGEST):
            return value
    except _REFUSED:
        pass
    found = decode(raw)
    if found is None:
        message = "not a JSON object"
        raise ValueError(message)
    return found.get("value")


def _decoded(raw: bytes) -> object:
    """The value of a JSON text; None where it is none.

    msgspec decodes nearly all in a quarter of the time. It has no floats for large integers, and refuses what is not
    Unicode.
    """
    try:
        if _MANY_DIGITS not in raw.translate(_ZEROS) or not _MAY_BE_LARGER.search(raw):
            return _STRICT.decode(raw)
    except _REFUSED:
        pass
    try:
        return _DECODER.decode(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> float:
    number = int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)
    return number if -_LARGEST <= number <= _LARGEST else float(digits)


def _no_constant(name: str) -> float:
    message = f"{name} is not JSON"
    raise ValueError(message)


class _WithValue(msgspec.Struct, gc=False):
    value: object = None


_STRICT = msgspec.json.Decoder()
_WITH_VALUE = msgspec.json.Decoder(_WithValue)
#: What these raise. The first is no ValueError before msgspec 0.20.
_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)
_DECODER = json.JSONDecoder(parse_int=_integer, parse_constant=_no_constant)


def is_table(source: object, *keys: str) -> bool:
    """Whether there is an object at a path of keys."""
    return isinstance(_at(source, keys), dict)


def text(source: object, *keys: str) -> str:
    """The string at a path of keys; "" where anything on the way is missing or of another type."""
    value = source
    for key in keys:  # as `_at`: a call less for each of many
        if not isinstance(value, dict):
            return ""
        value = value.get(key)
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
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _at(source: object, keys: tuple[str, ...]) -> object:
    for key in keys:
        if not isinstance(source, dict):
            return None
        source = source.get(key)
    return source
