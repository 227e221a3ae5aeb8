"""JSON is decoded in a fast way where that says the same as the lenient one."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.inventory.files.values import _lenient, decode

_NUMBERS = (
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([2**63 - 1, 2**63, -(2**63)])
)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
_OBJECTS = st.dictionaries(st.text(max_size=5), _JSON, max_size=5)


def _both(raw: bytes) -> tuple[object, object]:
    slow = _lenient(raw)
    # As texts: 1 and 1.0 are equal, and not the same.
    return repr(decode(raw)), repr(slow if isinstance(slow, dict) else None)


@given(_OBJECTS, st.booleans(), st.sampled_from([None, 2]))
def test_what_is_json_says_the_same_either_way(value: dict[str, object], ascii_only: bool, indent: int | None) -> None:
    fast, slow = _both(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass"))
    assert fast == slow


@given(_OBJECTS, st.integers(0, 200), st.binary(min_size=0, max_size=3), st.integers(0, 3))
@example({"a": ""}, 6, b"\n", 0)
@example({"a": ""}, 6, b"\xff", 0)
@example({"a": ""}, 6, b"\\ud800", 0)
def test_so_does_what_is_damaged(value: dict[str, object], at: int, put: bytes, cut: int) -> None:
    whole = json.dumps(value).encode()
    fast, slow = _both(whole[:at] + put + whole[at + cut :])
    assert fast == slow


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"a": 9223372036854775807}', 2**63 - 1),
        (b'{"a": 9223372036854775808}', 2.0**63),
        (b'{"a": -9223372036854775809}', -(2.0**63)),
        (b'{"a": 1' + b"0" * 400 + b"}", float("inf")),
        (b'{"a": 1e999}', float("inf")),
    ],
)
def test_an_integer_beyond_an_int64_is_a_float(raw: bytes, found: float) -> None:
    value = (decode(raw) or {})["a"]
    assert (value, type(value)) == (found, type(found))


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"a": NaN}', b"{} x", b'{"a": "\n"}', b"\xef\xbb\xbf{}", b"[" * 100_000]
)
def test_what_is_no_json_object_is_none(raw: bytes) -> None:
    assert decode(raw) is None


def test_a_name_that_is_not_unicode_hides_no_other() -> None:
    assert decode(b'{"\xff": 1, "b": "\\ud800"}') == {"\udcff": 1, "b": "\ud800"}
