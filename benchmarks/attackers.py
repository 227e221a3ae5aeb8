"""The attacks of `benchmarks.attack`: functions, each run in a process of its own and limited in number and time."""

import base64
import contextlib
import http
import http.client
import itertools
import random
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Event

USER, PASSWORD = "prom", "secret"
_SECONDS = 60
_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@dataclass(frozen=True)
class Target:
    """An exporter on loopback. `authority`: the file of the certificate to trust."""

    port: int
    authority: str

    def plain(self) -> socket.socket:
        """Connect."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def context(self) -> ssl.SSLContext:
        """Make a client's TLS context that trusts it. No session is resumed: each handshake is complete."""
        return ssl.create_default_context(cafile=self.authority)

    def ask(self, context: ssl.SSLContext, user: str = USER, password: str = PASSWORD, path: str = "/metrics") -> int:
        """Send a request on a new connection; return the status."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"authorization": _authorization(user, password)})
            answer = connection.getresponse()
            answer.read()
            return answer.status


Attack = Callable[[Target, Callable[[], None]], None]


def run(attack: Attack, target: Target, ready: Event) -> None:
    """Run an attack. `ready` is set once it is fully under way. Its connections stay open until this process ends."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    attack(target, ready.set)
    ready.set()
    time.sleep(_SECONDS)


def nothing(_target: Target, _begun: Callable[[], None]) -> None:
    """No attack: scrapes are measured alone."""


def idle(target: Target, begun: Callable[[], None]) -> None:
    """500 connections without any request."""
    _hold((target.plain() for _ in range(500)), begun)


def stalled_handshakes(target: Target, begun: Callable[[], None]) -> None:
    """200 TLS handshakes that stop within the first message."""
    _hold((_said(target.plain(), _HELLO) for _ in range(200)), begun)


def slow_readers(target: Target, begun: Callable[[], None], headers: str = "") -> None:
    """50 connections with 50 pipelined requests each, with the right password. They read nothing."""
    context = target.context()
    head = _head("/metrics", headers)
    _hold((_said(_wrapped(target, context, window=4096), head * 50) for _ in range(50)), begun)


def slow_readers_of_gzip(target: Target, begun: Callable[[], None]) -> None:
    """`slow_readers` that ask for compressed pages."""
    slow_readers(target, begun, "accept-encoding: gzip\r\n")


def never_readers(target: Target, path: str, number: int) -> contextlib.ExitStack:
    """Connections with 20 pipelined requests each, which read nothing. They are closed with what is returned."""
    held = contextlib.ExitStack()
    context = target.context()
    head = _head(path, "") * 20
    for _ in range(number):
        with contextlib.suppress(OSError):
            held.enter_context(_said(_wrapped(target, context, window=4096), head))
    return held


def seconds_to_refuse(target: Target, user: str, times: int) -> list[float]:
    """How long the answer to a wrong password takes, each time another one, seconds."""
    context = target.context()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        if target.ask(context, user, random.randbytes(6).hex()) != http.HTTPStatus.UNAUTHORIZED:  # noqa: S311 - any
            raise RuntimeError(f"a wrong password of {user!r} was not refused")
        found.append(time.perf_counter() - start)
    return found


def slow_heads(target: Target, begun: Callable[[], None]) -> None:
    """200 requests that send their head byte by byte and never end it."""
    context = target.context()
    held = [_said(_wrapped(target, context), b"GET /metrics HTTP/1.1\r\nx: ") for _ in range(200)]
    begun()
    _drip(held)


def slow_bodies(target: Target, begun: Callable[[], None]) -> None:
    """100 requests that send their body byte by byte and never end it."""
    context = target.context()
    head = _head("/metrics", "content-length: 1000000\r\n")
    held = [_said(_wrapped(target, context), head) for _ in range(100)]
    begun()
    _drip(held)


def wrong_passwords(target: Target, begun: Callable[[], None]) -> None:
    """8 threads that guess passwords: 4 for the known user, 4 for unknown users."""

    def guess(user: str) -> None:
        context = target.context()
        for number in itertools.count():
            with contextlib.suppress(OSError, http.client.HTTPException):
                target.ask(context, user, str(number))

    _threads([(guess, (user,)) for user in (USER, "nobody", "root", USER, "a" * 1000, USER, "", USER)])
    begun()
    time.sleep(_SECONDS)


def connections_in_sequence(target: Target, begun: Callable[[], None]) -> None:
    """5000 connections, one after the other."""
    begun()
    for number in range(5000):
        with contextlib.suppress(OSError), target.plain() as one:
            if number % 2:
                one.sendall(b"\x16")


def handshakes(target: Target, begun: Callable[[], None]) -> None:
    """1000 complete TLS handshakes, 8 at a time."""

    def shake() -> None:
        context = target.context()
        for _ in range(125):
            with contextlib.suppress(OSError):
                _wrapped(target, context).close()

    begun()
    for one in _threads([(shake, ())] * 8):
        one.join()


def keen_readers(target: Target, begun: Callable[[], None]) -> None:
    """200 connections, with the right password, that send the next request as soon as they have a response."""

    def ask(number: int) -> None:
        context = target.context()
        held = [_wrapped(target, context) for _ in range(number)]
        head = _head("/metrics")
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            for one in held:
                with contextlib.suppress(OSError):
                    one.sendall(head)
            for one in held:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    _read_answer(one)

    _threads([(ask, (50,))] * 4)
    begun()
    time.sleep(_SECONDS)


def games(target: Target, begun: Callable[[], None]) -> None:
    """1000 TLS connections that are half-closed, send close_notify or send garbage at different points."""
    context = target.context()
    source = random.Random(7)  # noqa: S311 - the same each time
    begun()
    for number in range(1000):
        with contextlib.suppress(OSError, ValueError):
            connection = _wrapped(target, context)
            connection.settimeout(0.05)
            if number % 5 == 0:
                connection.sendall(_head("/metrics"))
                connection.shutdown(socket.SHUT_WR)
            elif number % 5 == 1:
                connection.sendall(_head("/metrics"))
                connection.unwrap()
            elif number % 5 == 2:
                socket.socket(fileno=socket.dup(connection.detach())).sendall(source.randbytes(200))
            elif number % 5 == 3:
                connection.sendall(source.randbytes(20_000))
            else:
                connection.sendall(b"x: y\r\n" * 5000)
            connection.close()


def hostile_heads(target: Target, begun: Callable[[], None]) -> None:
    """Invalid requests: huge ones, ones of other protocols, ambiguous ones."""
    context = target.context()
    begun()
    until = time.monotonic() + _SECONDS
    for one in itertools.cycle(HOSTILE):
        if time.monotonic() > until:
            return
        with contextlib.suppress(OSError):
            connection = _wrapped(target, context)
            connection.settimeout(0.2)
            connection.sendall(one)
            connection.recv(100)
            connection.close()


HOSTILE = (
    b"GET /metrics HTTP/1.1\r\nx: " + b"y" * 500_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 500_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % number for number in range(2000)) + b"\r\n",
    b"GET /metrics\r\n",
    b"BREW / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n",
)


def _head(path: str, headers: str = "") -> bytes:
    authorization = _authorization(USER, PASSWORD)
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n{headers}authorization: {authorization}\r\n\r\n".encode()


def _authorization(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _wrapped(target: Target, context: ssl.SSLContext, window: int = 0) -> ssl.SSLSocket:
    plain = socket.socket()
    if window:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    plain.settimeout(10)
    plain.connect(("127.0.0.1", target.port))
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def _said(connection: socket.socket, first: bytes) -> socket.socket:
    with contextlib.suppress(OSError):
        connection.sendall(first)
    return connection


def _read_answer(connection: socket.socket) -> None:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()


def _hold(connections: Iterator[socket.socket], begun: Callable[[], None]) -> None:
    held = list(connections)
    begun()
    time.sleep(_SECONDS)
    del held


def _drip(connections: list[socket.socket]) -> None:
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        for one in connections:
            with contextlib.suppress(OSError):
                one.send(b"y")
        time.sleep(0.1)


def _threads(calls: list[tuple[Callable[..., None], tuple[object, ...]]]) -> list[threading.Thread]:
    threads = [threading.Thread(target=call, args=arguments, daemon=True) for call, arguments in calls]
    for one in threads:
        one.start()
    return threads
