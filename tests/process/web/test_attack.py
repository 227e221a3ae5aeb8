"""An exporter under attack: who asks for the metrics gets them, and what the attacker may hold is bounded."""

import base64
import contextlib
import http.client
import random
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from exporter.web.connections.limits import MAX_CONNECTIONS
from tests.support import pki
from tests.support.exporter import Exporter, exporter
from tests.support.product import Samples, needs
from tests.support.roots import graph_root
from tests.support.waiting import DEADLINE, eventually

_GROWTH_BYTES = 64 * 1024 * 1024
#: What 400 readers of a page may hold, and what may be left when they have gone: Python's arenas are never all empty.
_HELD_BYTES = 40 * 1024 * 1024
_LEFT_BYTES = 10 * 1024 * 1024
_LARGE_PAGE_BYTES = 700_000
_SLOW_READERS = 100
#: An exporter that cuts nobody for the time that reading takes, however slow this machine is.
_PATIENT = """
from exporter.__main__ import main
from exporter.web.connections import limits
limits._SECONDS[limits.Stage.DRAINING] = 3600
main()
"""
_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture(autouse=True)
def _many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))


def open_many(stack: contextlib.ExitStack, running: Exporter, number: int, first: bytes = b"") -> list[socket.socket]:
    opened = []
    for _ in range(number):
        one = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=DEADLINE))
        with contextlib.suppress(OSError):
            one.sendall(first)
        opened.append(one)
    return opened


def reader(running: Exporter, kept: int, first: bytes) -> socket.socket:
    """A client that has sent `first` and for which the kernel keeps as much as twice `kept` bytes unread."""
    one = socket.socket()
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept)
        one.settimeout(DEADLINE)
        one.connect(("127.0.0.1", running.port))
        one.sendall(first)
    except BaseException:
        one.close()
        raise
    return one


def scrape(running: Exporter) -> Samples:
    status, _, body = running.get()
    assert status == 200
    return Samples(body.decode())


def resident(running: Exporter) -> int:
    return int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Exporter]:
    built = graph_root(tmp_path / "root")
    for number in range(300):
        built.image(f"i{number}", size=1, tag=f"name{number}:{'t' * 100}")
    with exporter(built.path) as one:
        assert len(one.wait_for("up", 1).all("up")) == 1
        yield one


def test_idle_connections(running: Exporter) -> None:
    before = resident(running)
    with contextlib.ExitStack() as stack:
        open_many(stack, running, 2 * MAX_CONNECTIONS)
        for _ in range(20):
            assert scrape(running)("web_connections") <= MAX_CONNECTIONS
        assert scrape(running)("web_connections_cut_total", reason="full") >= MAX_CONNECTIONS
        assert resident(running) - before < _GROWTH_BYTES


def test_heads_that_never_end(running: Exporter) -> None:
    with contextlib.ExitStack() as stack:
        slow = open_many(stack, running, 300, b"GET /metrics HTTP/1.1\r\nx: ")
        for _ in range(5):
            for one in slow:
                with contextlib.suppress(OSError):
                    one.sendall(b"y")
            assert scrape(running)("up") == 1


def test_readers_that_do_not_read(running: Exporter) -> None:
    before = resident(running)
    with contextlib.ExitStack() as stack:
        asked = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 50
        for _ in range(100):
            stack.enter_context(reader(running, 4096, asked))
        for _ in range(10):
            assert scrape(running)("up") == 1
        assert resident(running) - before < _GROWTH_BYTES


def test_bodies_that_never_end(running: Exporter) -> None:
    head = b"GET /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for one in open_many(stack, running, 100, head):
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := one.recv(1 << 16):
                    received += piece
            assert received.startswith(b"HTTP/1.1 200 OK"), "it is answered, and the rest is not waited for"
        running.until(lambda figures: figures("web_connections") <= 10)


def test_many_connections_one_after_the_other(running: Exporter) -> None:
    before = resident(running)
    for number in range(1000):
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", running.port), timeout=DEADLINE) as one,
        ):
            if number % 3:
                one.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"[: number % 40])
            if number % 2:
                one.shutdown(socket.SHUT_WR)
    running.until(lambda figures: figures("web_connections") <= 10)
    assert resident(running) - before < _GROWTH_BYTES


_MALFORMED = (
    b"GET /metrics HTTP/1.1\r\n" + b"x: " + b"y" * (1 << 20) + b"\r\n\r\n",
    b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
    b"".join(b"x%d: y\r\n" % number for number in range(20_000)),
    b"\0\1\2\r\n\r\n",
    b"BREW /metrics HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\nhost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nzzz",
    b"POST /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n" + b"z" * 100_000,
    b"GET /%ff%00%2e%2e/ HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Basic !!!\r\naccept: \xff;q=\xff\r\n\r\n",
    _HELLO,
)


def test_malformed_requests_are_refused_and_fill_no_log(running: Exporter) -> None:
    random_one = random.Random(7)
    for number in range(300):
        raw = bytearray(_MALFORMED[number % len(_MALFORMED)])
        if number >= len(_MALFORMED):
            for _ in range(random_one.randrange(1, 9)):
                raw[random_one.randrange(min(len(raw), 200))] = random_one.randrange(256)
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", running.port), timeout=DEADLINE) as one,
        ):
            one.sendall(raw)
            one.shutdown(socket.SHUT_WR)
            one.recv(100)
    assert scrape(running)("up") == 1
    running.stop()
    assert running.process.stderr is not None
    lines = running.lines + running.process.stderr.readlines()
    assert not any("level=error" in line or "level=warning" in line for line in lines), lines


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/snapshot"])
def test_readers_that_never_read_leave_no_memory_behind(tmp_path: Path, path: str) -> None:
    built = graph_root(tmp_path / "root")
    for number in range(1000):
        built.image(f"i{number}", size=1, tag=f"name{number}:{'t' * 120}")
    with exporter(built.path) as running:
        eventually(lambda: len(running.get(path)[2]) >= _LARGE_PAGE_BYTES)
        before = resident(running)
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                for _ in range(400):
                    asked = f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode() * 20
                    stack.enter_context(reader(running, 4096, asked))
                running.until(lambda figures: figures("web_connections") >= _SLOW_READERS)
                eventually(lambda: resident(running) - before < _HELD_BYTES)
            running.until(lambda figures: figures("web_connections") <= 10)
            eventually(lambda: resident(running) - before < _LEFT_BYTES)


def test_a_reader_that_stops_for_a_moment_is_not_cut_for_those_that_never_read(tmp_path: Path) -> None:
    built = graph_root(tmp_path / "root")
    for number in range(1000):
        built.image(f"i{number}", size=1, tag=f"name{number}:{'t' * 120}")
    with exporter(built.path, program=("-c", _PATIENT)) as running, contextlib.ExitStack() as stack:
        eventually(lambda: len(running.get()[2]) >= _LARGE_PAGE_BYTES)
        request = b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"
        one = stack.enter_context(reader(running, 64 * 1024, request))
        answer = http.client.HTTPResponse(one)
        answer.begin()
        for _ in range(400):
            stack.enter_context(reader(running, 4096, request * 20))
        running.until(lambda figures: figures("web_connections_cut_total", reason="slow") >= _SLOW_READERS)
        assert len(answer.read()) >= _LARGE_PAGE_BYTES


@needs("openssl")
def test_readers_over_tls_that_do_not_read(tmp_path: Path) -> None:
    pki.authority(tmp_path)
    pki.signed(tmp_path, "server", "IP:127.0.0.1")
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    built = graph_root(tmp_path / "root")
    for number in range(1000):
        built.image(f"i{number}", size=1, tag=f"name{number}:{'t' * 120}")

    def ask() -> bytes:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=DEADLINE, context=context)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read()

    patient = exporter(built.path, "--web.config.file", str(web), program=("-c", _PATIENT))
    with patient as server, contextlib.ExitStack() as stack:
        eventually(lambda: len(ask()) >= _LARGE_PAGE_BYTES)
        before = resident(server)
        for _ in range(_SLOW_READERS):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.connect(("127.0.0.1", server.port))
            slow = stack.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))
            slow.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 50)
        figures = Samples(ask().decode())
        assert figures("web_connections") > _SLOW_READERS
        assert figures("web_connections_cut_total", reason="slow") == 0, "what they hold is no reason to cut them"
        assert resident(server) - before < _SLOW_READERS * _LARGE_PAGE_BYTES / 2


@needs("openssl")
def test_stalled_handshakes_and_wrong_passwords(tmp_path: Path) -> None:
    pki.authority(tmp_path)
    pki.signed(tmp_path, "server", "IP:127.0.0.1")
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(11)).decode()
    web = tmp_path / "web.yml"
    web.write_text(
        f"tls_server_config: {{cert_file: server.crt, key_file: server.key}}\nbasic_auth_users: {{prom: {hashed}}}\n"
    )
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    stop = threading.Event()
    statuses: set[int] = set()

    def ask(user: str, password: str, path: str = "/metrics") -> tuple[int, bytes]:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=DEADLINE, context=context)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"authorization": f"Basic {token}"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def guess(user: str) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses.add(ask(user, f"{user}{number}", "/-/healthy")[0])

    with exporter(graph_root(tmp_path / "root").path, "--web.config.file", str(web)) as server:
        assert ask("prom", "secret")[0] == 200
        before = resident(server)
        guessers = [threading.Thread(target=guess, args=(user,)) for user in ("prom", "prom", "nobody", "root") * 2]
        with contextlib.ExitStack() as stack:
            for one in guessers:
                one.start()
                stack.callback(one.join)
            stack.callback(stop.set)
            open_many(stack, server, 200, _HELLO)
            open_many(stack, server, 500)
            for _ in range(10):
                status, body = ask("prom", "secret")
                assert status == 200
            assert Samples(body.decode())("web_connections") <= MAX_CONNECTIONS
            assert resident(server) - before < _GROWTH_BYTES
        assert statuses <= {401, 429}
        assert 401 in statuses


def test_a_descriptor_limit_stops_nobody_for_long(tmp_path: Path) -> None:
    with exporter(graph_root(tmp_path).path) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (40, 40))
        with contextlib.ExitStack() as stack:
            open_many(stack, running, 100)

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return running.get("/-/healthy")[0] == 200
            return False

        eventually(answers)
