"""Checks each request before it is answered: rate limit, then basic authentication. Adds the configured headers."""

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from exporter.web.access.basic_auth import Authenticator, Verdict
from exporter.web.protocol.message import Handler, Request, Response, text

if TYPE_CHECKING:
    from exporter.web.access.config import WebConfig  # it imports PyYAML, which is needed only with such a file

_CHALLENGE = ("www-authenticate", 'Basic realm="docker-storage-exporter"')


class TokenBucket:
    """A token bucket: one token every `interval` seconds, at most `burst` are kept. An interval of 0 is no limit."""

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.shape = (interval, burst)
        self._clock = clock
        self._tokens = float(burst)
        self._filled = clock()

    def take_token(self) -> bool:
        """Take a token; return False if none is left."""
        interval, burst = self.shape
        if not interval:
            return True
        now = self._clock()
        self._tokens = min(float(burst), self._tokens + (now - self._filled) / interval)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Guard:
    """A handler that checks requests and passes them on. `use` may change the configuration at any time."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._bucket = TokenBucket(0, 0)
        self._headers: tuple[tuple[str, str], ...] = ()
        self.authenticator = Authenticator()
        #: How many requests had no valid password, or came while too many passwords were being checked.
        self.refused = 0

    def use(self, config: "WebConfig") -> None:
        """Apply another configuration. A rate limit that has not changed keeps its tokens."""
        if self._bucket.shape != (config.interval, config.burst):
            self._bucket = TokenBucket(config.interval, config.burst)
        self._headers = config.headers
        self.authenticator.use(dict(config.users))

    async def __call__(self, request: Request) -> Response:
        """Refuse a request or pass it on."""
        response = await self._refusal(request) or await self._handler(request)
        return response.with_headers(self._headers) if self._headers else response

    async def _refusal(self, request: Request) -> Response | None:
        if not self._bucket.take_token():
            return text("Too Many Requests\n", HTTPStatus.TOO_MANY_REQUESTS)
        if not self.authenticator.needed:
            return None
        verdict = await self.authenticator.judge(request.headers.get("authorization"), request.client)
        if verdict is Verdict.ADMITTED:
            return None
        self.refused += 1
        if verdict is Verdict.BUSY:
            content = "Too many passwords are being checked.\n"
            return text(content, HTTPStatus.TOO_MANY_REQUESTS, headers=(("retry-after", "1"),))
        return text("Unauthorized\n", HTTPStatus.UNAUTHORIZED, headers=(_CHALLENGE,))
