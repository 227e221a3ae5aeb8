import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST

from exporter.web.negotiation import CONTENT_TYPES, exposition_format, preferred_coding
from exporter.web.protocol.accept import _TOKENS, accepted

_OPENMETRICS = "application/openmetrics-text"
_PROMETHEUS_2 = f"{_OPENMETRICS};version=1.0.0,{_OPENMETRICS};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*"
_PROMETHEUS_3 = (
    f"{_OPENMETRICS};version=1.0.0;escaping=allow-utf-8;q=0.6,{_OPENMETRICS};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "style"),
    [
        (_PROMETHEUS_2, "openmetrics"),
        (_PROMETHEUS_3, "openmetrics"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text"),
        ("", "text"),
        ("text/plain;version=x", "text"),
        ("text/plain;version=2.0.0;escaping=dots", "text"),
        (_OPENMETRICS, "openmetrics"),
        (_OPENMETRICS.upper(), "openmetrics"),
        (f"{_OPENMETRICS};version=99", "openmetrics"),
        (f"{_OPENMETRICS};version=99.0.0;escaping=dots", "openmetrics"),
        (f'{_OPENMETRICS}; version="1.0.0"', "openmetrics"),
        (f"{_OPENMETRICS};version=0.0.1", "text"),
        (f"{_OPENMETRICS};version=x", "text"),
        (f"{_OPENMETRICS};version=1.x", "text"),
        (f"{_OPENMETRICS};version=-1", "text"),
        (f"{_OPENMETRICS};version={'9' * 10_000}", "openmetrics"),
        (f"{_OPENMETRICS};q=0", "text"),
        (f"{_OPENMETRICS};q=0.5, text/plain;q=0.6", "text"),
        (f"{_OPENMETRICS};q=0.5, */*;q=0.4", "openmetrics"),
        (f"{_OPENMETRICS};q=nan, text/plain;q=1e999", "text"),
        (f"{_OPENMETRICS};q=2", "text"),
        (f'x/y;z=",{_OPENMETRICS},"', "text"),
        ("image/png", "text"),
    ],
)
def test_the_format_is_one_that_is_served(accept: str, style: str) -> None:
    assert exposition_format(accept) == style


def test_the_content_types_are_those_of_the_library_that_writes_the_bytes() -> None:
    assert CONTENT_TYPES == {"text": "text/plain; version=0.0.4; charset=utf-8", "openmetrics": CONTENT_TYPE_LATEST}


_WORDS = st.sampled_from(
    [_OPENMETRICS, "text/plain", "*/*", "gzip", "*", "q", "version", "escaping", "1.0.0", "99", "1" * 5000, "0.0.4"]
)
_RUBBISH = st.lists(_WORDS | st.sampled_from(list(';,="\\ \t.0-+')) | st.text(max_size=3), max_size=40).map("".join)


@given(_RUBBISH | st.text())
@example('"\\"\\"')
def test_no_header_is_an_error(header: str) -> None:
    assert exposition_format(header) in CONTENT_TYPES
    assert preferred_coding(header, lambda: True) in ("gzip", "zstd", "")
    for one in accepted(header):
        assert 0 <= one.quality <= 1


@given(st.lists(st.sampled_from(["gzip", "br", "*", "identity"]), unique=True), st.data())
def test_gzip_is_sent_to_those_only_who_accept_it(codings: list[str], data: st.DataObject) -> None:
    qualities = {one: data.draw(st.sampled_from(["0", "0.0", "0.000", "0.001", "1", "1.0", "0.5"])) for one in codings}
    header = ", ".join(f"{one};q={quality}" for one, quality in qualities.items())
    quality = qualities.get("gzip", qualities.get("*", "0"))
    assert preferred_coding(header, lambda: True) == ("gzip" if float(quality) > 0 else "")


@pytest.mark.parametrize(
    ("header", "with_it", "without_it"),
    [
        ("zstd", "zstd", ""),
        ("zstd, gzip", "zstd", "gzip"),
        ("gzip, zstd", "gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip", "gzip"),
        ("gzip;q=0.5, zstd", "zstd", "gzip"),
        ("zstd;q=0.5, gzip;q=0.9", "gzip", "gzip"),
        ("zstd;q=0, gzip", "gzip", "gzip"),
        ("zstd;q=0", "", ""),
        ("zstd, *;q=0", "zstd", ""),
        ("*, zstd;q=0.5", "gzip", "gzip"),
        ("zstd, *", "zstd", "gzip"),
        ("*", "gzip", "gzip"),
        ("ZSTD", "zstd", ""),
        ("", "", ""),
        ("identity", "", ""),
    ],
)
def test_zstd_is_sent_to_those_who_prefer_it(header: str, with_it: str, without_it: str) -> None:
    assert preferred_coding(header, lambda: True) == with_it
    assert preferred_coding(header, lambda: None) == without_it


def test_nobody_looks_for_zstd_unless_a_client_names_it() -> None:
    def unexpected() -> None:
        pytest.fail("imported for nothing")

    assert preferred_coding("gzip, *", unexpected) == "gzip"


def test_an_unclosed_quote_is_read_once() -> None:
    """One piece, and not one for each character, each of which would be looked for up to the end."""
    assert len(_TOKENS.findall('"' + '\\"' * 8000)) == 1
