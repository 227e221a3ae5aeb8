import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.protocol.http1 import Http1
from exporter.web.protocol.target import split_authority, split_target


@pytest.mark.parametrize(
    ("target", "authority", "path"),
    [
        (b"/metrics", "", "/metrics"),
        (b"/metrics?name[]=up", "", "/metrics"),
        (b"http://host/metrics", "host", "/metrics"),
        (b"HTTPS://Host:9588/metrics?x", "Host:9588", "/metrics"),
        (b"http://host", "host", "/"),
        (b"http://host?x", "host", "/"),
        (b"http://[::1]:9588/%6detrics", "[::1]:9588", "/metrics"),
        (b"http:///metrics", "", "/metrics"),
        (b"ftp://host/metrics", "", "ftp://host/metrics"),
        (b"//host/metrics", "", "//host/metrics"),
        (b"*", "", "*"),
        (b"host:9588", "", "host:9588"),
    ],
)
def test_a_target_has_an_authority_and_a_path(target: bytes, authority: str, path: str) -> None:
    query = target.decode().partition("?")[2]
    assert split_target(target) == (authority, path, query)


@pytest.mark.parametrize(
    ("authority", "host", "port"),
    [
        ("Exporter.Example", "exporter.example", None),
        ("exporter.example.:9588", "exporter.example", 9588),
        ("exporter:", "exporter", None),
        ("[0:0:0:0:0:0:0:1]:9588", "[::1]", 9588),
        ("127.0.0.1", "127.0.0.1", None),
    ],
)
def test_a_host_has_one_spelling(authority: str, host: str, port: int | None) -> None:
    assert split_authority(authority) == (host, port)


@pytest.mark.parametrize(
    "text", ["", ".", ":9588", "user@host", "host:x", "host:65536", "host:1:2", "[::1", "[x]", "a b", "host\0", "hóst"]
)
def test_what_is_no_host_is_none(text: str) -> None:
    assert split_authority(text) is None


@given(st.binary())
def test_no_target_is_an_error(target: bytes) -> None:
    split_target(target)


@given(st.text())
def test_no_authority_is_an_error(text: str) -> None:
    split_authority(text)


def _request(*lines: bytes) -> Http1:
    connection = Http1()
    connection.receive(b"\r\n".join((*lines, b"", b"")))
    return connection


def test_the_host_of_the_target_takes_the_place_of_the_header() -> None:
    request = _request(b"GET http://other:1/metrics HTTP/1.1", b"host: exporter").request("")
    assert request is not None
    assert (request.headers["host"], request.path) == ("other:1", "/metrics")


def test_lists_in_several_headers_are_one_list_and_of_other_headers_the_first_counts() -> None:
    lines = (b"host: x", b"accept: a/b", b"Accept: c/d", b"x: 1", b"x: 2")
    request = _request(b"GET / HTTP/1.1", *lines).request("")
    assert request is not None
    assert (request.headers["accept"], request.headers["x"]) == ("a/b, c/d", "1")
