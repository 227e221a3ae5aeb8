"""One HTTP connection: uvicorn's, with a place in the lobby that says how far it is."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.web.lobby import Lobby, Stage, Visitor

_Admits = Callable[[Mapping[str, Any] | None], bool]


class Connection(H11Protocol):
    """A connection that is cut when it holds things up, or when its client has no certificate that is admitted."""

    def __init__(
        self, config: uvicorn.Config, state: ServerState, lobby: Lobby, visitor: Visitor, admits: _Admits
    ) -> None:
        super().__init__(config, state, {})
        self._lobby = lobby
        self._visitor = visitor
        self._admits = admits

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or end, by what the client's certificate says."""
        super().connection_made(transport)
        self._visitor.cut = transport.abort
        self._visitor.held = transport.get_write_buffer_size
        self._lobby.move(self._visitor, Stage.WAITING)
        if not self._admits(transport.get_extra_info("peercert")):
            self._lobby.cut["tls"] += 1
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._lobby.leave(self._visitor)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request. A head that comes in drops does not prolong the wait for it."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._busy:
            self._move(Stage.SERVING)
        elif self._visitor.stage is Stage.IDLE:
            self._move(Stage.WAITING)

    def on_response_complete(self) -> None:
        """Wait for the next request, or until this answer is read."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.close()  # nothing here takes a body: the rest of it is not waited for
        if self._busy:
            self._move(Stage.SERVING)
        elif self.transport.is_closing() or self.flow.write_paused:
            self._move(Stage.DRAINING)
        else:
            self._move(Stage.IDLE)

    def resume_writing(self) -> None:
        """Note that a slow reader has caught up."""
        super().resume_writing()
        if self._visitor.stage is Stage.DRAINING and not self.transport.is_closing():
            self._lobby.move(self._visitor, Stage.IDLE)

    @property
    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _move(self, stage: Stage) -> None:
        if self in self.connections and self._visitor.stage is not stage:
            self._lobby.move(self._visitor, stage)
