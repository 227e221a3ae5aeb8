"""What a JSON text says, as leniently as Go reads it."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.inventory.files.values import decode

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
