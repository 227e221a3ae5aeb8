"""A TLS connection ends in silence, whoever ends it, at any point of it, and also when both do so at once."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.web.connections.addresses import listen
from exporter.web.connections.limits import ConnectionSlot, Stage
from exporter.web.protocol.message import Request, Response, text
from exporter.web.server import Server
from tests.support import pki
from tests.support.product import needs
from tests.support.waiting import DEADLINE

pytestmark = needs("openssl")
_LARGE = bytes(4 << 20)
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: close(2) resets the connection
_ASKED = "GET {} HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pki")
    pki.authority(directory)
    pki.signed(directory, "server", "IP:127.0.0.1")
    (directory / "web.yml").write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    return directory


class Served:
    """A server with TLS, in this process, and a client of it on a socket of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = Server(self.answer, str(directory / "web.yml"))
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.errors: list[dict[str, Any]] = []
        self.sockets = listen(["127.0.0.1:0"])

    async def answer(self, request: Request) -> Response:
        self.asked.set()
        if request.path == "/wait":
            await self.go_on.wait()
        return Response.of_parts((_LARGE,), len(_LARGE), "text/plain") if request.path == "/large" else text("x")

    def connect(self) -> socket.socket:
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(self.sockets[0].getsockname())
        one.setblocking(False)
        return one

    async def secure(self, plain: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.directory / "ca.crt"))
        wrapped = context.wrap_socket(plain, server_hostname="127.0.0.1", do_handshake_on_connect=False)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                wrapped.do_handshake()
                return wrapped
            await asyncio.sleep(0)

    async def until(self, stage: Stage) -> ConnectionSlot:
        while True:
            for slot in self.server.limits.slots:
                if slot.stage is stage:
                    return slot
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Served]:
    one = Served(directory)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: one.errors.append(context))
    serving = asyncio.create_task(one.server.serve(one.sockets))
    try:
        async with asyncio.timeout(DEADLINE):
            yield one
    finally:
        one.server.stop()
        await serving


async def handshake(one: Served) -> tuple[socket.socket, ConnectionSlot]:
    client = one.connect()
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1").do_handshake()
    client.send(outgoing.read())
    return client, await one.until(Stage.HANDSHAKE)


async def first_message(one: Served) -> tuple[socket.socket, ConnectionSlot]:
    client = one.connect()
    client.send(b"\x16\x03\x01")
    return client, await one.until(Stage.WAITING)


async def waiting(one: Served) -> tuple[socket.socket, ConnectionSlot]:
    client = await one.secure(one.connect())
    client.send(b"GET / HT")
    return client, await one.until(Stage.WAITING)


async def idle(one: Served) -> tuple[socket.socket, ConnectionSlot]:
    client = await one.secure(one.connect())
    client.send(_ASKED.format("/").encode())
    return client, await one.until(Stage.IDLE)


async def draining(one: Served) -> tuple[socket.socket, ConnectionSlot]:
    client = await one.secure(one.connect())
    client.send(_ASKED.format("/large").encode() * 3)
    return client, await one.until(Stage.DRAINING)


async def serving(one: Served) -> tuple[socket.socket, ConnectionSlot]:
    client = await one.secure(one.connect())
    client.send(_ASKED.format("/wait").encode())
    await one.asked.wait()
    return client, await one.until(Stage.SERVING)


async def last_words(one: Served) -> tuple[socket.socket, ConnectionSlot]:
    client = await one.secure(one.connect())
    client.send(b"\0\r\n\r\n")
    while all(isinstance(each.stream.socket, ssl.SSLSocket) for each in one.server.connections):  # noqa: ASYNC110
        await asyncio.sleep(0)
    return client, await one.until(Stage.WAITING)


Point = Callable[[Served], Awaitable[tuple[socket.socket, ConnectionSlot]]]
_POINTS = (handshake, first_message, waiting, idle, draining, serving, last_words)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


@pytest.mark.parametrize("point", _POINTS)
@pytest.mark.parametrize("order", ["reset", "cut", "reset and cut", "cut and reset", "cut, a turn, and reset"])
def test_it_leaves_no_line_and_no_slot(web: Path, point: Point, order: str, capfd: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        async with served(web) as one:
            client, slot = await point(one)
            for what in order.replace(" and ", ", ").split(", "):
                if what == "cut":
                    slot.cut()
                elif what == "reset":
                    reset(client)
                else:
                    await asyncio.sleep(0)
            if "cut" not in order:
                one.go_on.set()  # nothing is read while a page is made: the reset shows when it is to be sent
            while len(one.server.limits):  # noqa: ASYNC110 - what is waited for is the loop itself
                await asyncio.sleep(0)
            client.close()
            assert not one.errors
            again = await one.secure(one.connect())
            again.send(_ASKED.format("/").encode())
            await one.until(Stage.IDLE)
            again.close()

    asyncio.run(test())
    assert capfd.readouterr() == ("", "")


def test_the_server_stops_while_connections_are_at_every_point(web: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def test() -> list[dict[str, Any]]:
        async with served(web) as one:
            clients = [await point(one) for point in _POINTS]
        for client, _ in clients:
            client.close()
        assert not len(one.server.limits)
        return one.errors

    assert asyncio.run(test()) == []
    assert capfd.readouterr() == ("", "")
