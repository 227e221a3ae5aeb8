from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, NewType

import pytest
from msgspec import Struct, field

from exporter.core.framing import Frame, FrameReader, ProtocolError
from exporter.core.messages import Messages

Name = NewType("Name", str)


class Colour(StrEnum):
    RED = "red"


class Pair(NamedTuple):
    left: int
    right: tuple[str, ...] = ()


class Everything(Struct, frozen=True):
    name: Name
    share: float
    raw: bytes
    pair: Pair
    colours: Mapping[tuple[Colour, int], float | None]
    numbers: frozenset[int] = frozenset()
    maybe: Pair | None = None
    mixed: tuple[int, str] = (0, "")
    pairs: list[Pair] = field(default_factory=list)
    within: tuple["Everything", ...] = ()


_EVERYTHING: Messages[Everything | Pair] = Messages(Everything, Pair)


def _through(*messages: Everything | Pair) -> list[Everything | Pair]:
    (frame,) = FrameReader().feed(b"".join(_EVERYTHING.encode(messages)))
    return _EVERYTHING.decode(frame)


def test_messages_come_out_as_they_went_in() -> None:
    small = Everything(Name("a\udc80"), 1.5, b"\xff", Pair(1, ("b", "c")), {(Colour.RED, 1): None})
    large = Everything(
        Name(""),
        2.0,
        b"",
        Pair(-(2**70)),
        {(Colour.RED, 2): 0.5},
        frozenset({1, 2}),
        Pair(2),
        (3, "d"),
        [Pair(4), Pair(5)],
        (small, small),
    )
    received = _through(small, Pair(6), large)
    assert received == [small, Pair(6), large]
    assert isinstance(received[2], Everything)
    assert type(next(iter(received[2].colours))[0]) is Colour
    assert type(received[2].pair) is Pair


def test_bytes_that_two_messages_share_are_one_object_at_the_other_end() -> None:
    shared = b"samples" * 1000
    one, other = _through(*[Everything(Name(""), 1.0, shared, Pair(1), {}) for _ in range(2)])
    assert isinstance(one, Everything)
    assert isinstance(other, Everything)
    assert one.raw is other.raw


_PAIR = [1, ["a"]]
_GOOD = ["name", 1, 0, _PAIR, [[["red", 1], None]], [1], None, [0, ""], [_PAIR], []]


def _with(at: int, value: object) -> list[object]:
    return [*_GOOD[:at], value, *_GOOD[at + 1 :]]


@pytest.mark.parametrize(
    "message",
    [
        _with(0, 1),
        _with(0, None),
        _with(1, "1"),
        _with(1, True),
        _with(2, 1),
        _with(2, -1),
        _with(2, "x"),
        _with(3, [1]),
        _with(3, [1, ["a"], 2]),
        _with(3, [1, [1]]),
        _with(3, [1, "a"]),
        _with(3, [True, ["a"]]),
        _with(3, {"left": 1}),
        _with(4, [[["blue", 1], None]]),
        _with(4, [[["red"], None]]),
        _with(4, {"red": 1}),
        _with(5, 3),
        _with(6, []),
        _with(7, [0]),
        _with(8, [None]),
        _with(9, [[]]),
        _GOOD[:-1],
        [*_GOOD, 1],
        {},
        None,
    ],
)
def test_a_field_of_another_type_is_refused(message: Any) -> None:
    assert len(_EVERYTHING.decode(Frame([[0, _GOOD]], (b"part",)))) == 1
    with pytest.raises(ProtocolError):
        _EVERYTHING.decode(Frame([[0, message]], (b"part",)))


@pytest.mark.parametrize("body", [None, {}, 1, [1], [[2, _PAIR]], [[-1, _PAIR]], [["1", _PAIR]], [[1, _PAIR, 0]]])
def test_what_is_no_list_of_known_messages_is_refused(body: Any) -> None:
    assert _EVERYTHING.decode(Frame([[1, _PAIR]])) == [Pair(1, ("a",))]
    with pytest.raises(ProtocolError):
        _EVERYTHING.decode(Frame(body))
