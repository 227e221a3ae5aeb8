"""What one connection may have of the server, whatever it asks for."""

import asyncio
import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from exporter.web.connections.addresses import listen
from exporter.web.protocol.message import Handler, Request, Response
from exporter.web.protocol.pieces import PIECE_BYTES
from exporter.web.server import Server
from tests.support.waiting import DEADLINE

_PAGE = bytes(range(256)) * 8192


class Counting:
    """A handler that answers with `page` and notes who has asked."""

    def __init__(self, page: bytes) -> None:
        self.page = page
        self.asked: list[str] = []
        self.first = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request.path)
        self.first.set()
        return Response.of_parts((self.page,), len(self.page), "text/plain")


@contextlib.asynccontextmanager
async def served(page: bytes, handler: Handler | None = None) -> AsyncIterator[tuple[Server, Counting, int]]:
    app = Counting(page)
    server = Server(handler or app)
    sockets = listen(["127.0.0.1:0"])
    serving = asyncio.create_task(server.serve(sockets))
    try:
        yield server, app, sockets[0].getsockname()[1]
    finally:
        server.stop()
        await serving


async def slow(port: int, asked: bytes) -> socket.socket:
    """A client that asks, and has hardly any room for an answer."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(one, ("127.0.0.1", port))
    await loop.sock_sendall(one, asked)
    return one


async def fetch(port: int, path: str, method: str = "GET") -> tuple[bytes, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head, body


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await test()

    asyncio.run(bounded())


def test_a_fault_is_answered_with_500_and_logged_once(capfd: pytest.CaptureFixture[str]) -> None:
    async def fails(request: Request) -> Response:
        raise RuntimeError(request.path)

    async def test() -> None:
        async with served(b"", fails) as (_, _, port):
            heads = [(await fetch(port, f"/{number}"))[0] for number in range(200)]
            assert {head.split(b"\r\n")[0] for head in heads} == {b"HTTP/1.1 500 Internal Server Error"}

    run(test)
    written = capfd.readouterr().err
    assert written.count("\n") == written.count("RuntimeError: /0") == 1
    assert len(written) < 8000


def test_what_was_asked_ahead_is_answered_when_the_answer_before_is_gone() -> None:
    async def test() -> None:
        async with served(_PAGE) as (_, app, port):
            ahead = [await slow(port, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n" * 50) for _ in range(20)]
            await app.first.wait()
            for _ in range(20):
                assert (await fetch(port, "/honest"))[1] == _PAGE
            assert app.asked.count("/slow") == len(ahead)
            for one in ahead:
                one.close()

    run(test)


def test_what_slow_readers_make_it_hold_does_not_depend_on_the_page() -> None:
    async def test() -> None:
        async with served(_PAGE) as (server, app, port):
            held = [await slow(port, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n") for _ in range(10)]
            while len(app.asked) < len(held):
                await fetch(port, "/honest")
            await fetch(port, "/honest")
            waiting = [one.held for one in server.limits.slots if one.held]
            assert len(waiting) == len(held)
            assert max(waiting) <= PIECE_BYTES + 1024
            assert server.limits.cut["slow"] == 0
            for one in held:
                one.close()

    run(test)


def test_a_newcomer_does_not_wait_for_all_that_others_have_asked() -> None:
    async def test() -> None:
        async with served(b"x") as (_, app, port):
            greedy = [await slow(port, b"GET /greedy HTTP/1.1\r\nhost: x\r\n\r\n" * 100) for _ in range(20)]
            await app.first.wait()
            await fetch(port, "/honest")
            before = app.asked.index("/honest")
            while len(app.asked) < 1 + 100 * len(greedy):  # noqa: ASYNC110 - what is waited for is the loop itself
                await asyncio.sleep(0)
            assert before < 7 * len(greedy), "a turn of the loop is not one answer to each of them"
            assert app.asked.count("/greedy") == 100 * len(greedy), "and they get what they have asked for"
            for one in greedy:
                one.close()

    run(test)


def test_a_page_comes_whole_and_a_head_without_it() -> None:
    async def test() -> None:
        async with served(_PAGE) as (_, _app, port):
            length = f"content-length: {len(_PAGE)}".encode()
            head, body = await fetch(port, "/")
            assert (length in head, body) == (True, _PAGE)
            head, body = await fetch(port, "/", "HEAD")
            assert (length in head, body) == (True, b"")

    run(test)


def test_a_connection_that_is_gone_costs_nothing_more() -> None:
    async def test() -> None:
        async with served(b"x") as (server, app, port):
            for _ in range(50):
                one = await slow(port, b"GET /gone HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
                one.close()
            await fetch(port, "/honest")
            while len(server.limits):  # noqa: ASYNC110
                await asyncio.sleep(0)
            assert app.asked.count("/gone") < 50 * 100

    run(test)


def test_what_follows_a_body_is_no_request() -> None:
    first = b"GET /first HTTP/1.1\r\nhost: x\r\n"
    second = b"GET /second HTTP/1.1\r\nhost: x\r\n\r\n"
    bodies = (
        b"content-length: 5\r\n\r\n12345",
        b"content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nX",
        b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n5c\r\n",
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    )

    async def test() -> None:
        async with served(b"x") as (_, app, port):
            for body in bodies:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(first + body + second)
                answer = await reader.read()
                assert answer.count(b"HTTP/1.1 200") == 1
                assert b"connection: close" in answer
                writer.close()
            assert app.asked == ["/first"] * len(bodies)

    run(test)


def test_who_says_no_more_is_answered() -> None:
    async def test() -> None:
        async with served(_PAGE) as (_, _app, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            writer.write_eof()
            assert (await reader.read()).endswith(_PAGE)
            writer.close()

    run(test)


def test_a_small_answer_does_not_wait_for_the_one_before_to_be_acknowledged() -> None:
    """asyncio sets this only on sockets that name their protocol, which an accepted one does not."""

    async def test() -> None:
        async with served(b"x") as (server, _app, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\nx")
            (connection,) = server.connections
            assert connection.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()

    run(test)


def test_a_connection_that_has_ended_is_no_garbage() -> None:
    """What is in a circle waits for the collector, which knows nothing of what OpenSSL has with it."""
    ended: list[weakref.ref[object]] = []

    async def test() -> None:
        async with served(b"x") as (server, _app, port):
            for asked in (b"", b"GET / HTTP/1.1\r\nhost: x\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b"\0\r\n\r\n"):
                one = await slow(port, asked)
                while not server.connections:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                ended.extend(weakref.ref(connection) for connection in server.connections)
                await asyncio.sleep(0)
                one.close()
                while len(server.limits):  # noqa: ASYNC110
                    await asyncio.sleep(0)
            await fetch(port, "/")

    gc.collect()
    gc.disable()
    try:
        run(test)
        assert len(ended) >= 4
        assert not [one for one in ended if one() is not None]
    finally:
        gc.enable()
