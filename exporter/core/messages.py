"""Typed messages in frames: named tuples and structs. Each field is checked when a message is decoded.

A field is a str, int, float, bool, bytes, an enumeration of texts, another such class, a tuple, list, set or mapping of
these, or one of these or None. The types are read from the annotations once, before the first message.
"""

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from exporter.core.framing import Frame, ProtocolError, frame

Message = TypeVar("Message")
_Parts = tuple[bytes, ...]


class _Form(NamedTuple):
    """How values of one type are sent: `pack` makes a value for JSON, None where JSON takes it as it is.

    `unpack` checks what JSON gave, and makes the value; it raises TypeError, ValueError, IndexError or KeyError. A form
    with `scalars` needs no more than that check: it takes what JSON gives if its type is one of these.
    """

    pack: Callable[[Any], Any] | None
    unpack: Callable[[Any, _Parts], Any]
    scalars: tuple[type, ...] = ()


class Messages(Generic[Message]):
    """The messages that one process may send to another. Both ends name the same classes in the same order."""

    def __init__(self, *kinds: type[Message]) -> None:
        self._kinds = kinds
        self._numbers = {kind: number for number, kind in enumerate(kinds)}
        self._known: list[_Form] = []

    def encode(self, messages: Sequence[Message]) -> list[bytes]:
        """Encode messages as one frame: pieces of bytes, to be written in this order."""
        forms, numbers = self._forms(), self._numbers
        body = []
        for message in messages:
            number = numbers[type(message)]
            pack = forms[number].pack
            body.append((number, message if pack is None else pack(message)))
        return frame(body)

    def decode(self, received: Frame) -> list[Message]:
        """The messages of a frame; raises ProtocolError where one is none of these, or a field has another type."""
        forms, parts = self._forms(), received.parts
        try:
            return [forms[_index(number, forms)].unpack(value, parts) for number, value in _list(received.body)]
        except (TypeError, ValueError, IndexError, KeyError, RecursionError) as error:
            raise ProtocolError(f"a message of another form: {error}") from None

    def _forms(self) -> list[_Form]:
        if not self._known:
            self._known = [_form(kind) for kind in self._kinds]
        return self._known


def _form(kind: Any) -> _Form:
    while isinstance(kind, typing.NewType):
        kind = kind.__supertype__
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return _optional(*(_form(one) for one in arguments if one is not type(None)))
    if origin is None:
        return _record(kind) if hasattr(kind, "__struct_fields__") or issubclass(kind, tuple) else _scalar(kind)
    forms = [_form(one) for one in arguments if one is not Ellipsis]
    if issubclass(origin, Mapping):
        return _mapping(*forms)
    if origin is tuple and Ellipsis not in arguments:
        return _fixed(forms)
    if origin is tuple and arguments[0] is str:
        return _Form(None, _texts)
    return _sequence(origin, forms[0])


def _scalar(kind: Any) -> _Form:
    if kind is bytes:  # a body holds the number of its part
        return _Form(None, lambda value, parts: parts[_index(value, parts)])
    if issubclass(kind, StrEnum):
        return _Form(None, lambda value, _: kind(value))
    allowed = (float, int) if kind is float else (kind,)
    assert kind in {str, int, float, bool}, f"no message has a {kind}"

    def unpack(value: Any, _: _Parts) -> Any:
        if type(value) not in allowed:
            raise TypeError(f"{kind.__name__} is expected")
        return value

    return _Form(None, unpack, allowed)


def _optional(inner: _Form) -> _Form:
    pack, unpack, scalars = inner
    return _Form(
        pack and (lambda value: None if value is None else pack(value)),
        lambda value, parts: None if value is None else unpack(value, parts),
        scalars and (*scalars, type(None)),
    )


_RECORDS: dict[type, _Form] = {}


def _record(kind: Any) -> _Form:
    """A named tuple or struct, as a list of its fields."""
    if kind in _RECORDS:
        return _RECORDS[kind]
    _RECORDS[kind] = _late(kind)  # for a record that has its like as a field
    hints = typing.get_type_hints(kind)
    is_tuple = issubclass(kind, tuple)
    names = list(hints) if is_tuple else list(kind.__struct_fields__)
    forms = [_form(hints[name]) for name in names]
    packed = [(at, form.pack) for at, form in enumerate(forms) if form.pack is not None]
    fields = _Fields(forms)

    def pack(record: Any) -> list[Any]:
        values = list(record) if is_tuple else [getattr(record, name) for name in names]
        for at, pack_field in packed:
            values[at] = pack_field(values[at])
        return values

    def unpack(value: Any, parts: _Parts) -> Any:
        return kind(*fields.unpack(value, parts))

    _RECORDS[kind] = _Form(None if is_tuple and not packed else pack, unpack)
    return _RECORDS[kind]


class _Fields:
    """Values of several forms, one after the other. There are many messages: scalars are checked all at once."""

    def __init__(self, forms: Sequence[_Form]) -> None:
        self._allowed = [form.scalars for form in forms]
        self._others = [(at, form.unpack) for at, form in enumerate(forms) if not form.scalars]
        #: The types of values that were found to be good; the few that a record can have.
        self._good: set[tuple[type, ...]] = set()

    def unpack(self, value: Any, parts: _Parts) -> list[Any]:
        """Check a list, and make each of its values."""
        kinds = tuple(map(type, _list(value)))
        if kinds not in self._good:
            for kind, allowed in zip(kinds, self._allowed, strict=True):
                if allowed and kind not in allowed:
                    raise TypeError(f"{allowed[0].__name__} is expected")
            self._good.add(kinds)
        values: list[Any] = value.copy()
        for at, unpack in self._others:
            values[at] = unpack(values[at], parts)
        return values


def _late(kind: type) -> _Form:
    """The form of a record while it is being made."""

    def pack(value: Any) -> Any:
        known = _RECORDS[kind].pack
        return value if known is None else known(value)

    def unpack(value: Any, parts: _Parts) -> Any:
        return _RECORDS[kind].unpack(value, parts)

    return _Form(pack, unpack)


def _mapping(key: _Form, value: _Form) -> _Form:
    """A mapping, as a list of pairs: the keys of JSON are texts only."""
    pack_key, pack_value = key.pack or _same, value.pack or _same
    return _Form(
        lambda pairs: [(pack_key(one), pack_value(other)) for one, other in pairs.items()],
        lambda pairs, parts: {key.unpack(one, parts): value.unpack(other, parts) for one, other in _list(pairs)},
    )


def _fixed(forms: list[_Form]) -> _Form:
    """A tuple of so many values."""
    packs, fields = [form.pack or _same for form in forms], _Fields(forms)
    return _Form(
        (lambda values: [pack(one) for pack, one in zip(packs, values, strict=True)])
        if any(form.pack for form in forms)
        else None,
        lambda values, parts: tuple(fields.unpack(values, parts)),
    )


def _sequence(origin: Any, item: _Form) -> _Form:
    """A tuple of any length, a list or a set."""
    make = {tuple: tuple, list: list, set: set, frozenset: frozenset}[origin]
    pack, unpack, _ = item
    each = pack or _same
    as_it_is = pack is None and origin in {tuple, list}
    return _Form(
        None if as_it_is else lambda values: [each(one) for one in values],
        lambda values, parts: make([unpack(one, parts) for one in _list(values)]),
    )


def _texts(value: Any, _: _Parts) -> tuple[str, ...]:
    """A tuple of texts, such as a path: there are some in every message."""
    "".join(_list(value))  # raises TypeError for all else, and is the quickest check
    return tuple(value)


def _same(value: Any) -> Any:
    return value


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError("a list is expected")
    return value


def _index(number: Any, within: Sequence[Any]) -> int:
    if type(number) is not int or not 0 <= number < len(within):
        raise IndexError("no such number")
    return number
