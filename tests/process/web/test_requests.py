"""Requests in all the forms that HTTP has, to a real exporter."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exporter import Exporter, exporter
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE, eventually


def ask(running: Exporter, *lines: str) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the body of the response to a request of these lines."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=DEADLINE) as one:
        one.sendall("\r\n".join((*lines, "connection: close", "", "")).encode("latin-1"))
        received = b""
        while piece := one.recv(1 << 16):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    status, *headers = head.decode("latin-1").split("\r\n")
    found = (line.partition(": ") for line in headers)
    return int(status.split()[1]), {name.lower(): value for name, _, value in found}, body


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    with exporter(graph_root(tmp_path_factory.mktemp("root")).image("app", size=3).path) as one:
        one.wait_for("up", 1)
        yield one


_ACCEPT = (
    *("text/plain;version=x", "text/plain; version=2.0.0; escaping=dots", "application/openmetrics-text;version=99"),
    *("application/openmetrics-text; version=" + "9" * 9000, "\xff\xfe", '"', "q=q=q", ";;;,,,", "*/*;q=1e999", ""),
)


@pytest.mark.parametrize("accept", _ACCEPT)
def test_whatever_is_accepted_the_type_is_true_of_the_bytes(running: Exporter, accept: str) -> None:
    status, headers, body = ask(running, "GET /metrics HTTP/1.1", "host: x", f"accept: {accept}")
    assert status == 200
    openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    expected = openmetrics if body.endswith(b"# EOF\n") else "text/plain; version=0.0.4; charset=utf-8"
    assert headers["content-type"] == expected


def test_a_target_in_absolute_form_is_that_of_its_path(running: Exporter) -> None:
    for target in ("http://other/metrics", "HTTP://x:1/metrics?y", "https://[::1]/%6detrics"):
        assert ask(running, f"GET {target} HTTP/1.1", "host: x")[0] == 200, target
    assert ask(running, "GET http://other HTTP/1.1", "host: x")[2].startswith(b"<!doctype html>")
    assert ask(running, "GET http://other/none HTTP/1.1", "host: x")[0] == 404


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        *(("GET /metrics HTTP/1.1", 200), ("GET / HTTP/1.1", 200), ("GET /status HTTP/1.1", 200)),
        *(("GET /runbooks HTTP/1.1", 200), ("GET /runbooks/DockerStorageNotKnown HTTP/1.1", 200)),
        *(("GET /runbooks/Nothing HTTP/1.1", 404), ("POST /runbooks HTTP/1.1", 405)),
        *(("GET /api/v1/snapshot HTTP/1.1", 200), ("GET /-/healthy HTTP/1.1", 200), ("GET /x HTTP/1.1", 404)),
        *(("POST /metrics HTTP/1.1", 405), ("POST /-/reload HTTP/1.1", 403), ("HEAD /layers HTTP/1.1", 200)),
        *(("GET /images HTTP/1.1", 200), ("GET /build-cache?sort=last-used HTTP/1.1", 200)),
        *(("GET /volumes?page=0 HTTP/1.1", 400), ("POST /containers HTTP/1.1", 405)),
    ],
)
def test_no_answer_may_be_kept_or_framed(running: Exporter, request_line: str, status: int) -> None:
    found, headers, _ = ask(running, request_line, "host: x")
    assert found == status
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_lists_come_from_the_scanning_process_page_by_page(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("app", tag="app:1")
    for number in range(101):
        built.container(f"c{number:03}", image="app", writable={"w": number})
    with exporter(built.path, "--web.telemetry-path", "/m") as running:
        eventually(lambda: running.get("/-/ready")[0] == 200)
        pages = [running.get(f"/containers?page={page}")[2].decode() for page in (1, 2, 3, 99)]
        names = [re.findall(r'<th[^>]* scope="row">(c\d+)</th>', page) for page in pages]
        assert [*names[0], *names[1], *names[2]] == [f"c{number:03}" for number in range(100, -1, -1)]
        assert names[3] == names[2]
        assert all('href="/m"' in page and "/metrics" not in page for page in pages)
        status, kind, said = running.get("/containers?sort=colour")
        assert (status, kind) == (400, "text/plain; charset=utf-8")
        assert said.startswith(b"there is no sort 'colour'; known are: total, ")
        known = "when this began to be kept"  # of the filesystems, and of the objects
        first = eventually(lambda: page if (page := running.get("/")[2].decode()).count(known) == 2 else None)
        assert "What grew in the last hour" in first
        assert "By how much" not in first


def test_only_requests_for_an_allowed_host_are_answered(tmp_path: Path) -> None:
    flags = ("--web.allowed-hosts", "exporter.example,127.0.0.1", "--web.allowed-hosts", "other:9588")
    with exporter(graph_root(tmp_path).path, *flags) as running:
        assert running.get()[0] == 200
        for host in ("EXPORTER.example.:80", "other:9588", "127.0.0.1"):
            assert ask(running, "GET /metrics HTTP/1.1", f"host: {host}")[0] == 200, host
        for host in ("evil.example", "other", "exporter.example.evil", ""):
            for path in ("/metrics", "/", "/-/healthy", "/-/ready", "/none"):
                assert ask(running, f"GET {path} HTTP/1.1", f"host: {host}")[0] == 421, host
        assert ask(running, "GET /metrics HTTP/1.0")[0] == 421
        assert ask(running, "GET http://evil.example/metrics HTTP/1.1", "host: exporter.example")[0] == 421
        assert ask(running, "GET http://exporter.example/metrics HTTP/1.1", "host: evil.example")[0] == 200
        page = ask(running, "GET / HTTP/1.1", "host: evil.example", "x-forwarded-host: exporter.example")
        assert (page[0], b"docker" in page[2]) == (421, False)
