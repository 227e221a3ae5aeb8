"""One HTTP connection: uvicorn's, with a place in the lobby that says how far it is."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Any

import h11
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.web.connections.fair_queue import FairQueue
from exporter.web.connections.limits import ConnectionLimits, ConnectionSlot, Stage

_Admits = Callable[[Mapping[str, Any] | None], bool]
#: What a TLS connection holds, besides what it tells, when it can send no more: asyncio's mark for the socket below.
_BELOW_TLS_BYTES = 64 * 1024
#: How much of an answer goes out in one turn: whoever reads fast holds up nobody either.
_BYTES_IN_A_TURN = 256 * 1024
_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n"
    b"Invalid HTTP request received.\n"
)


class Connection(H11Protocol):
    """A connection that is cut when it holds things up, or when its client has no certificate that is admitted.

    It holds next to nothing that is not sent: an answer comes in pieces, each when the one before is gone. A request
    waits for its turn, and one that was sent ahead of its time until the answer before it is gone as well.
    """

    def __init__(  # noqa: PLR0913 - one parameter for each thing it is part of
        self,
        config: uvicorn.Config,
        state: ServerState,
        limits: ConnectionLimits,
        turns: FairQueue,
        slot: ConnectionSlot,
        admits: _Admits,
    ) -> None:
        super().__init__(config, state, {})
        self._answer = self.app
        self.app = self._in_turn
        self._limits = limits
        self._turns = turns
        self._slot = slot
        self._admits = admits
        self._slow = False  # this answer has had to wait for its reader

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or end, by what the client's certificate says."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=1, low=0)
        self._slot.cut = transport.abort
        self._slot.held = self._held
        self._limits.move(self._slot, Stage.WAITING)
        if not self._admits(transport.get_extra_info("peercert")):
            self._limits.cut["tls"] += 1
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back, and let go of everything in a circle: a garbage collector is in no hurry with those.

        A TLS connection is a hundred kilobytes that it does not know of.
        """
        self._limits.leave(self._slot)
        super().connection_lost(exc)
        self._slot.let_go()
        self.app = self._answer
        self.cycle = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Take a part of a request. A head that comes in drops does not prolong the wait for it."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._slot.stage is Stage.DRAINING:
            return
        if self._busy:
            self._move(Stage.SERVING)
        elif self._slot.stage is Stage.IDLE:
            self._move(Stage.WAITING)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Answer what was asked before the client said that it has no more to say; with TLS that cannot be."""
        if not self._busy or self.scheme == "https":
            return False
        self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002
        """Refuse what is not HTTP, at any point of a request or answer; uvicorn's own way fails after a HEAD."""
        error = sys.exc_info()[1]
        if error is not None:
            error.__traceback__ = None  # with h11's errors it is a circle, see connection_lost
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.write(_BAD_REQUEST)
        self.conn.send_failed()
        if self._busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._close()

    async def _in_turn(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request when it is its turn, a large answer in several, if anybody still waits for it."""
        cycle = self.cycle
        if cycle is None:
            return  # it was lost before this began
        if _may_have_body(scope):
            # Nothing here takes a body. What follows one is not taken for a request: where it ends, a proxy before
            # this server may see otherwise.
            scope["headers"].append(CLOSE_HEADER)
        await self.flow.drain()
        await self._turns.take(self._slot.client, self._slot.use)
        sent = 0

        async def send_in_turn(message: Message) -> None:
            nonlocal sent
            await send(message)
            sent += len(message.get("body", b""))
            if sent >= _BYTES_IN_A_TURN and message.get("more_body"):
                sent = 0
                await self._turns.take(self._slot.client, self._slot.use)

        if not cycle.disconnected:
            await self._answer(scope, receive, send_in_turn)

    def on_response_complete(self) -> None:
        """Wait for the next request, or until this answer is read."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._close()  # nothing here takes a body: the rest of it is not waited for
        if self.transport.is_closing() or self.flow.write_paused:
            self._drain()  # also when it has asked again: the next answer waits until this one is read
        elif self._busy:
            self._move(Stage.SERVING)
        else:
            self._move(Stage.IDLE)

    def pause_writing(self) -> None:
        """Note that there is more to send than the reader takes."""
        super().pause_writing()
        if self._busy:
            self._drain()

    def resume_writing(self) -> None:
        """Note that a slow reader has caught up. In the middle of an answer that gives it no more time for it."""
        super().resume_writing()
        if self._slot.stage is Stage.DRAINING and not self.transport.is_closing():
            answering = self._busy and self.cycle.response_started
            if not answering:
                self._slow = False
            self._move(Stage.SERVING if self._busy else Stage.IDLE, keep_time=answering)

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _close(self) -> None:
        if not self.transport.is_closing():  # one of TLS that is closed twice forgets what it has to send
            self.transport.close()

    def _held(self) -> int:
        below = _BELOW_TLS_BYTES if self.scheme == "https" and self.flow.write_paused else 0
        return self.transport.get_write_buffer_size() + below

    def _drain(self) -> None:
        self._move(Stage.DRAINING, keep_time=self._slow)
        self._slow = True

    def _move(self, stage: Stage, *, keep_time: bool = False) -> None:
        if self in self.connections and self._slot.stage is not stage:
            self._limits.move(self._slot, stage, keep_time=keep_time)


def _may_have_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
