"""One HTTP connection: requests are parsed, each in its turn, and responses are sent in pieces.

A connection holds one piece of a response at most. It reads no further request before the response to the one before
is in the kernel, so that a client which sends many at once, or reads slowly, takes no memory for them.
"""

from http import HTTPStatus

from msgspec import Struct

from exporter.core.fault_log import FAULT_LOG
from exporter.core.text import shorten
from exporter.web.connections.fair_queue import FairQueue
from exporter.web.connections.limits import ConnectionLimits, ConnectionSlot, Stage
from exporter.web.connections.stream import Stream
from exporter.web.protocol.http1 import BAD_REQUEST, BadRequestError, Http1
from exporter.web.protocol.message import Handler, Request, Response, text
from exporter.web.protocol.pieces import in_pieces

#: How much of a response is sent in one turn, so that a client that reads fast delays nobody either.
_BYTES_IN_A_TURN = 256 * 1024


class Shared(Struct):
    """What all connections of a server have in common. `stopping` ends each with its current response."""

    answer: Handler
    limits: ConnectionLimits
    turns: FairQueue
    stopping: bool = False


class Connection:
    """Serves the requests of one client on `stream`. `slot`: its entry in the limits."""

    def __init__(self, stream: Stream, slot: ConnectionSlot, shared: Shared) -> None:
        self.stream = stream
        self._slot = slot
        self._shared = shared
        self._http = Http1()
        self._was_slow = False  # the client did not read this response as fast as it was sent

    async def serve(self) -> None:
        """Serve until the client, or a response, ends the connection. Raises OSError when it breaks."""
        try:
            ended_by_client = await self._serve_requests()
        except BadRequestError:
            self.stream.send(BAD_REQUEST)
            ended_by_client = False
        if not ended_by_client:
            self._move(Stage.WAITING)
            await (self.stream.finish(0) if self._shared.stopping else self.stream.finish())

    async def _serve_requests(self) -> bool:
        """Serve requests; return True when the client ends the connection, False after a last response."""
        while (request := await self._next_request()) is not None:
            self._move(Stage.SERVING)
            await self._respond(request)
            if self._shared.stopping or not self._http.start_next():
                return False
        return True

    async def _next_request(self) -> Request | None:
        """Wait for a request; None when the client sends no more. Raises BadRequestError.

        It is parsed when it is this connection's turn: to parse what many send takes time, too. A head that comes byte
        by byte does not prolong the time for it.
        """
        if self._http.has_unread:
            self._move(Stage.SERVING)
            await self._wait_for_turn()
        while (request := self._http.request(self._slot.address)) is None:
            if self._slot.stage is Stage.SERVING:
                self._move(Stage.WAITING if self._http.has_unread else Stage.IDLE)
            data = await self._receive()
            if not data:
                return None
            self._http.receive(data)
        return request

    async def _receive(self) -> bytes:
        while True:
            await self.stream.readable()
            if self._slot.stage is Stage.IDLE:
                self._move(Stage.WAITING)
            data = self.stream.receive()
            if data is not None:
                if data:
                    await self._wait_for_turn()
                return data

    async def _respond(self, request: Request) -> None:
        response = await self._response(request)
        self._was_slow = False
        self._slot.held = response.making
        self._slot.taken = 0
        self.stream.join_packets(join=True)
        sent = 0
        for piece in in_pieces(self._http.response(request, response, last=self._shared.stopping)):
            if sent >= _BYTES_IN_A_TURN:
                sent = 0
                await self._wait_for_turn()
            await self._send(piece, response.making)
            sent += len(piece)
        self._slot.held = 0
        self.stream.join_packets(join=False)

    async def _response(self, request: Request) -> Response:
        try:
            return await self._shared.answer(request)
        except Exception as error:  # noqa: BLE001 - a fault in one page ends no other, and no connection
            FAULT_LOG.note(error, shorten(request.path))
            return text("Internal Server Error", HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _send(self, piece: bytes | memoryview, making: int) -> None:
        """Send all of a piece. The time that a client gets for reading is that for the whole response.

        `making`: what else is held for the response, bytes.
        """
        rest = memoryview(piece)
        while rest:
            sent = self.stream.send(rest)
            rest = rest[sent:]
            self._slot.taken += sent
            if not sent:
                self._slot.held = len(rest) + making + self.stream.record_bytes
                self._move(Stage.DRAINING, keep_time=self._was_slow)
                self._was_slow = True
                await self.stream.writable()
        if self._slot.stage is Stage.DRAINING:
            self._slot.held = making
            self._move(Stage.SERVING, keep_time=True)

    async def _wait_for_turn(self) -> None:
        await self._shared.turns.wait(self._slot.client, self._slot.use)

    def _move(self, stage: Stage, *, keep_time: bool = False) -> None:
        if self._slot.stage is not stage:
            self._shared.limits.move(self._slot, stage, keep_time=keep_time)
