"""Checks each request before it is answered: host, rate limit, basic authentication. Adds the configured headers."""

import math
from http import HTTPStatus
from typing import TYPE_CHECKING

from exporter.web.access.basic_auth import Authenticator, Verdict
from exporter.web.access.hosts import AllowedHosts
from exporter.web.access.token_bucket import TokenBucket
from exporter.web.protocol.message import Handler, Request, Response, text

if TYPE_CHECKING:
    from exporter.web.access.config import WebConfig  # it imports PyYAML, which is needed only with such a file

_CHALLENGE = ("www-authenticate", 'Basic realm="docker-storage-exporter"')


class Guard:
    """A handler that checks requests and passes them on. `use` may change the configuration at any time."""

    def __init__(self, handler: Handler, hosts: AllowedHosts) -> None:
        self._handler = handler
        self._hosts = hosts
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
        if not self._hosts.allow(request.headers.get("host")):
            content = "This host name is not one of --web.allowed-hosts.\n"
            return text(content, HTTPStatus.MISDIRECTED_REQUEST)
        if not self._bucket.take_token():
            return too_many_requests("Too Many Requests\n", self._bucket.seconds_to_next)
        if not self.authenticator.needed:
            return None
        verdict = await self.authenticator.judge(request.headers.get("authorization"), request.client)
        if verdict is Verdict.ADMITTED:
            return None
        self.refused += 1
        if verdict is Verdict.BUSY:
            return too_many_requests("Too many passwords are being checked.\n", 1)
        return text("Unauthorized\n", HTTPStatus.UNAUTHORIZED, headers=(_CHALLENGE,))


def too_many_requests(content: str, seconds: float) -> Response:
    """A response that tells the client to try again after so many seconds."""
    headers = (("retry-after", str(max(1, math.ceil(seconds)))),)
    return text(content, HTTPStatus.TOO_MANY_REQUESTS, headers=headers)
