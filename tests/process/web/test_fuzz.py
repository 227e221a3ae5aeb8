"""Requests put together at random: each is answered or refused, none leaves a trace in the log, and it goes on."""

import contextlib
import random
import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest

from tests.support import pki
from tests.support.exporter import Exporter, exporter
from tests.support.product import needs
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE

_CASES = 600
_AT_ONCE = 24
_READ_SECONDS = 0.3
_SAYS_NO_MORE = 0.2
_METHODS = (
    b"GET",
    b"GET",
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"OPTIONS",
    b"CONNECT",
    b"get",
    b"BREW",
    b"PRI",
    b"",
    b"\xff",
    b"G" * 9000,
)
_TARGETS = (
    *(b"/metrics", b"/", b"/status", b"/api/v1/snapshot", b"/-/ready", b"/-/reload", b"/%2e%2e/%2e%2e/etc/passwd"),
    *(
        b"/metrics?name[]=up&x=%ff",
        b"/images?sort=name&page=2&only=%00",
        b"/layers?page=99999",
        b"*",
        b"//evil.example/",
        b"http://evil.example/metrics",
        b"HTTPS://[::1]:99999/metrics",
        b"http://",
        b"http://a@b/%zz",
        b"/metrics#x",
        b"/\xff\xfe",
    ),
    *(b"/%00", b"/..;/metrics", b"", b"/" + b"a" * 20_000, b"/metrics/" * 500, b"?", b"/\t/"),
)
_VERSIONS = (
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.11",
    b"",
    b"ICY",
    b"HTTP/1.1 ",
)
_HEADERS = (
    *(b"host: x", b"host: x", b"host: x", b"host:", b"host: a\r\nhost: b", b"accept: */*", b"accept-encoding: gzip"),
    *(b"accept-encoding: gzip;q=0, *;q=nan", b"accept-encoding: " + b"gzip," * 2000, b"accept: \xff/\xff;q=2"),
    *(b"accept: application/openmetrics-text;version=1.0.0", b"connection: close", b"connection: upgrade"),
    *(
        b"upgrade: websocket",
        b"upgrade: h2c",
        b"expect: 100-continue",
        b"expect: 200-ok",
        b"transfer-encoding: chunked",
    ),
    *(b"transfer-encoding: gzip, chunked", b"transfer-encoding: identity", b"transfer-encoding : chunked"),
    *(
        b"content-length: 5",
        b"content-length: 0",
        b"content-length: -1",
        b"content-length: 5, 5",
        b"content-length: 5, 6",
    ),
    *(
        b"content-length: 99999999999999999999999",
        b"content-length: +5",
        b"authorization: Basic",
        b"authorization: Basic !",
    ),
    *(b"authorization: Basic cHJvbTpzZWNyZXQ=", b"authorization: Bearer x", b"authorization: Basic \xff", b"x: \0"),
    *(
        b"x: a\r\n folded",
        b" leading: x",
        b"no colon",
        b": no name",
        b"x: " + b"y" * 20_000,
        b"x\x7f: y",
        b"range: bytes=0-",
    ),
    *(b"accept: text/plain;version=x", b"accept: text/plain;version=" + b"9" * 9000, b'accept: "' + b'\\"' * 4000),
    *(b"accept: application/openmetrics-text;version=99;escaping=dots", b"accept:", b"accept: ,;=,;q=,q"),
    *(b"accept-encoding: gzip;q=1e999", b'accept-encoding: "gzip', b"range: bytes=-1,0-0", b"if-modified-since: x"),
    *(b"origin: null", b"origin: http://[", b"referer: http://x:99999999/", b"sec-fetch-site: cross-site"),
    *(b"if-none-match: *", b"te: trailers", b"trailer: x", b"cookie: " + b"a=b; " * 500, b"x-forwarded-for: 127.0.0.1"),
)
_BODIES = (
    *(
        b"",
        b"",
        b"",
        b"12345",
        b"5\r\n12345\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"5;x=" + b"y" * 20_000 + b"\r\n",
        b"-1\r\n",
    ),
    *(
        b"0\r\nx: y\r\n\r\n",
        b"zz\r\n",
        b"\0" * 1000,
        b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ),
)
_ENDS = (b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r")


def request(source: random.Random) -> bytes:
    end = source.choice(_ENDS)
    line = b" ".join((source.choice(_METHODS), source.choice(_TARGETS), source.choice(_VERSIONS)))
    lines = [line, *source.choices(_HEADERS, k=source.randrange(6)), b"", b""]
    raw = bytearray(end.join(lines) + source.choice(_BODIES))
    if source.random() < 0.2:
        for _ in range(source.randrange(1, 5)):
            raw[source.randrange(min(len(raw), 200))] = source.randrange(256)
    return bytes(raw[: source.randrange(1, len(raw) + 1)] if source.random() < 0.1 else raw)


def attempt(port: int, context: ssl.SSLContext | None, seed: int) -> bytes:
    source = random.Random(seed)
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.suppress(OSError))  # it may be cut at any point
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))
        if context:
            connection = stack.enter_context(context.wrap_socket(connection, server_hostname="127.0.0.1"))
        connection.settimeout(_READ_SECONDS)
        for _ in range(source.randrange(1, 4)):
            connection.sendall(request(source))
        if context is None and source.random() < _SAYS_NO_MORE:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(1 << 16)
    return b""


def fuzz(running: Exporter, context: ssl.SSLContext | None, cases: int) -> set[int]:
    """Send all of them, some at a time; return the statuses that came."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda seed: attempt(running.port, context, seed), range(cases))
        answers = [answer for answer in found if answer]
    statuses = [re.match(rb"HTTP/1\.[01] (\d{3}) ", one) for one in answers]
    assert all(statuses), [one for one, status in zip(answers, statuses, strict=True) if not status][:3]
    return {int(one[1]) for one in statuses if one}


def quiet_at_the_end(running: Exporter) -> None:
    running.stop()
    assert running.process.stderr is not None
    lines = running.lines + running.process.stderr.readlines()
    assert not [line for line in lines if not re.match(r"timestamp=\S+ level=(info|debug) ", line)]
    assert "secret" not in "".join(lines)


def test_plain_http(tmp_path: Path) -> None:
    with exporter(graph_root(tmp_path).image("app", tag="app:1").path, "--log.level", "debug") as running:
        running.wait_for("up", 1)
        statuses = fuzz(running, None, _CASES)
        assert {400, 404, 405} <= statuses
        assert statuses <= {100, 200, 400, 403, 404, 405, 503}, "503 is /-/ready during the first scan"
        assert running.get("/-/healthy")[0] == running.get()[0] == 200
        quiet_at_the_end(running)


@needs("openssl")
@pytest.mark.parametrize("password", [False, True])
def test_over_tls(tmp_path: Path, password: bool) -> None:
    pki.authority(tmp_path)
    pki.signed(tmp_path, "server", "IP:127.0.0.1")
    web = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    users = f"basic_auth_users: {{prom: {hashed}}}\n" if password else ""
    web.write_text(f"tls_server_config: {{cert_file: server.crt, key_file: server.key}}\n{users}")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    flags = ("--web.config.file", str(web), "--log.level", "debug")
    with exporter(graph_root(tmp_path / "root").path, *flags) as running:
        statuses = fuzz(running, context, _CASES // 3)
        assert (401 in statuses, 400 in statuses) == (password, True)
        assert 500 not in statuses
        assert fuzz(running, None, 50) <= {400}, "plain requests are told that this is TLS"
        quiet_at_the_end(running)
