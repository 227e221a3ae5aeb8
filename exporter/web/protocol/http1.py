"""The server's side of HTTP/1.1 on one connection: bytes become requests, and responses bytes. h11 parses."""

from collections.abc import Iterator
from http import HTTPStatus

import h11

from exporter.web.protocol.message import Request, Response
from exporter.web.protocol.target import split_target

#: The request line and the headers, together.
MAX_HEAD_BYTES = 16 * 1024
#: The response to what is not HTTP. It is sent as it is: h11 refuses to send one at some points of a request.
BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncache-control: no-store\r\n"
    b"connection: close\r\n\r\n"
    b"Invalid HTTP request received.\n"
)


#: A header of this name that comes several times means the same as one with all values (RFC 9110, 5.3).
_LISTS = ("accept", "accept-encoding")


class BadRequestError(Exception):
    """What was received is not HTTP/1, or its head is too long."""


class Http1:
    """One connection's state: requests come in order, and each gets its response before the next is read."""

    def __init__(self) -> None:
        self._state = h11.Connection(h11.SERVER, MAX_HEAD_BYTES)
        self._has_body = False

    def receive(self, data: bytes) -> None:
        """Add bytes that came from the client."""
        self._state.receive_data(data)

    @property
    def has_unread(self) -> bool:
        """Whether bytes were received that belong to no request yet."""
        return bool(self._state.trailing_data[0])

    def request(self, client: str) -> Request | None:
        """The next request; None until its head is complete. Raises BadRequestError."""
        event = self._event()
        if not isinstance(event, h11.Request):
            return None
        headers = _headers(event)
        self._has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        while isinstance(self._event(), h11.Data):
            """Discard the part of a body that came with the head."""
        authority, path, query = split_target(event.target)
        if authority:
            headers["host"] = authority  # RFC 9112, 3.2.2: it takes the place of the Host header
        return Request(event.method.decode("ascii"), path, headers, client, query)

    def response(self, request: Request, response: Response, *, last: bool) -> Iterator[bytes]:
        """The bytes of a response, in parts. With `last` it says that the connection ends after it.

        The connection also ends after a request with a body: where that body ends, a proxy in front of this server may
        see otherwise, so that what follows is not taken for a request.
        """
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.headers]
        if last or self._has_body:
            headers.append((b"connection", b"close"))
        reason = HTTPStatus(response.status).phrase.encode("ascii")
        head = self._state.send(h11.Response(status_code=response.status, headers=headers, reason=reason))
        yield head or b""
        if request.method != "HEAD":
            for part in response.parts:
                yield from self._state.send_with_data_passthrough(h11.Data(data=part)) or ()
        self._state.send(h11.EndOfMessage())

    def start_next(self) -> bool:
        """Prepare for the next request; return whether one may follow on this connection."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        return True

    def _event(self) -> object:
        try:
            return self._state.next_event()
        except h11.RemoteProtocolError as error:
            # h11's frames refer to the error and the error to the frames: such a circle waits for the garbage collector
            error.__traceback__ = None
        raise BadRequestError


def _headers(request: h11.Request) -> dict[str, str]:
    """The headers with names in lower case. Of several with one name the first counts, unless it is a list."""
    headers: dict[str, str] = {}
    for raw, content in request.headers:
        name, value = raw.decode("ascii"), content.decode("latin-1")
        if name in headers and name in _LISTS:
            headers[name] += f", {value}"
        else:
            headers.setdefault(name, value)
    return headers
