"""What every request passes before the application: rate limit, headers, basic authentication."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.access.basic_auth import Authenticator, Verdict

if TYPE_CHECKING:
    from exporter.web.access.config import (
        WebConfig,
    )  # reading YAML takes memory that a server without a file has no use for


class TokenBucket:
    """A token bucket: one token comes every `interval` seconds, `burst` are saved up; an interval of 0 is no limit."""

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.shape = (interval, burst)
        self._clock = clock
        self._tokens = float(burst)
        self._filled = clock()

    def take(self) -> bool:
        """Take a token if there is one."""
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
    """An ASGI application around another, as a web configuration has it; `use` changes it at any time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._bucket = TokenBucket(0, 0)
        self._headers: tuple[tuple[str, str], ...] = ()
        self.authenticator = Authenticator()
        self.refused = 0

    def use(self, config: "WebConfig") -> None:
        """Guard as `config` says from now on; what is the same keeps its state."""
        if self._bucket.shape != (config.interval, config.burst):
            self._bucket = TokenBucket(config.interval, config.burst)
        self._headers = config.headers
        self.authenticator.use(dict(config.users))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or have the application answer it."""
        sender = self._with_headers(send) if self._headers else send
        answer = await self._objection(scope)
        if answer is None:
            await self._app(scope, receive, sender)
        else:
            await answer(scope, receive, sender)

    async def _objection(self, scope: Scope) -> PlainTextResponse | None:
        if not self._bucket.take():
            return PlainTextResponse("Too Many Requests\n", 429)
        if not self.authenticator.needed:
            return None
        client = (scope.get("client") or ("", 0))[0]
        verdict = await self.authenticator.judge(Headers(scope=scope).get("authorization"), client)
        if verdict is Verdict.ADMITTED:
            return None
        self.refused += 1
        if verdict is Verdict.BUSY:
            return PlainTextResponse("Too many passwords are being checked.\n", 429, {"retry-after": "1"})
        return PlainTextResponse("Unauthorized\n", 401, {"www-authenticate": 'Basic realm="docker-storage-exporter"'})

    def _with_headers(self, send: Send) -> Send:
        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers:
                    headers[name] = value
            await send(message)

        return sender
