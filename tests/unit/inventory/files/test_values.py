"""What a JSON text says, as leniently as Go reads it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.inventory.files.values import decode, value_in

_TEXTS = st.text(st.characters(exclude_categories=()), max_size=5)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


def _as_go(value: object) -> object:
    """Numbers that are no int64 are floats."""
    if isinstance(value, dict):
        return {key: _as_go(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_as_go(one) for one in value]
    large = isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63
    return float(value) if large else value  # type: ignore[arg-type]


@given(content=st.dictionaries(_TEXTS, _VALUES, max_size=3), plain=st.booleans())
def test_it_reads_what_is_written(content: dict[str, object], plain: bool) -> None:
    raw = json.dumps(content, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    if not plain and b"\xed" in raw:
        return  # such bytes are no Unicode: each is kept by itself
    found = decode(raw)
    assert found == _as_go(content)
    assert repr(found) == repr(_as_go(content))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a":"\xff"}', "\udcff"),
        (b'{"a":"\\ud800"}', "\ud800"),
        (b'{"a":1,"a":2}', 2),
        (b'{"a":9223372036854775807}', 2**63 - 1),
        (b'{"a":9223372036854775808}', 2.0**63),
        (b'{"a":18446744073709551615}', 2.0**64),
        (b'{"a":1E400}', math.inf),
        (b' \t\r\n{"a" : -0} ', 0),
    ],
)
def test_what_is_seldom(raw: bytes, value: object) -> None:
    found = decode(raw)
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


@given(content=st.dictionaries(_TEXTS | st.just("value"), _VALUES, max_size=3), plain=st.booleans())
def test_one_value_is_read_as_with_the_others(content: dict[str, object], plain: bool) -> None:
    raw = json.dumps(content, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    found = decode(raw)
    assert found is not None
    assert repr(value_in(raw)) == repr(found.get("value"))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"value":1700000000000000000,"index":"\xff"}', 1_700_000_000_000_000_000),
        (b'{"value":9223372036854775807}', 2**63 - 1),
        (b'{"value":9223372036854775808}', 2.0**63),
        (b'{"value":-9223372036854775808}', -(2.0**63)),
        (b'{"value":' + b"9" * 400 + b"}", math.inf),
        (b'{"value":[1e400]}', [math.inf]),
        (b'{"value":1,"value":"a"}', "a"),
        (b'{"val\\u0075e":true}', True),
    ],
)
def test_values_that_are_seldom(raw: bytes, value: object) -> None:
    assert value_in(raw) == (decode(raw) or {})["value"] == value
    assert type(value_in(raw)) is type(value)


@pytest.mark.parametrize("raw", [b"", b"1", b'["value"]', b'{"value":1', b'{"value":1,"a":01}', b'{"value":NaN}'])
def test_there_is_no_value_in_what_is_no_object(raw: bytes) -> None:
    assert decode(raw) is None
    with pytest.raises(ValueError, match="not a JSON object"):
        value_in(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"1",
        b"[]",
        b'{"a":NaN}',
        b'{"a":01}',
        b'{"a":1,}',
        b'{"a":"\n"}',
        b'{"a":' + b"[" * 100_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_object_is_nothing(raw: bytes) -> None:
    assert decode(raw) is None
