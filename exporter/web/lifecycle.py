"""POST /-/reload, if --web.enable-lifecycle allows it.

A page of another site can have a browser send such a request, and with the password that the browser has remembered. So
a request that says it comes from another site is refused. Browsers send Sec-Fetch-Site over TLS and to loopback
addresses, and Origin always; programs such as curl send neither.
"""

from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import urlsplit

from exporter.web.access.guard import too_many_requests
from exporter.web.access.token_bucket import TokenBucket
from exporter.web.protocol.message import Handler, Request, Response, text
from exporter.web.protocol.target import split_authority

#: Each reload has everything scanned again, so they are let through once in so many seconds, and a few at first.
_INTERVAL_SECONDS = 10.0
_BURST = 3
#: "none": the user asked for it, by a bookmark for example.
_OWN_SITE = ("same-origin", "none")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def reload_handler(reload: Callable[[], bool] | None) -> Handler:
    """The route's handler. `reload` returns whether everything was read; None where reloading is not allowed."""
    bucket = TokenBucket(_INTERVAL_SECONDS, _BURST)

    async def handle(request: Request) -> Response:
        if reload is None:
            return text("Lifecycle API is not enabled (--web.enable-lifecycle).\n", HTTPStatus.FORBIDDEN)
        if is_cross_site(request):
            return text("A page of another site must not ask for a reload.\n", HTTPStatus.FORBIDDEN)
        if not bucket.take_token():
            return too_many_requests("Reloading too often.\n", bucket.seconds_to_next)
        if reload():
            return text("Reloaded: everything is scanned again.\n")
        return text(
            "The web configuration stays as it was, see the log; the rest is reloaded.\n",
            HTTPStatus.INTERNAL_SERVER_ERROR,
        )

    return handle


def is_cross_site(request: Request) -> bool:
    """Whether a browser says that a page of another site has caused this request."""
    headers = request.headers
    if headers.get("sec-fetch-site", "none").strip().lower() not in _OWN_SITE:
        return True
    origin = headers.get("origin", headers.get("referer"))
    return origin is not None and not _is_origin(origin, headers.get("host", ""))


def _is_origin(origin: str, host: str) -> bool:
    """Whether an origin, or the address of a page, has this host. Behind a proxy its scheme may be another one."""
    try:
        parts = urlsplit(origin.strip())
    except ValueError:
        return False
    port = _DEFAULT_PORTS.get(parts.scheme)
    theirs, ours = split_authority(parts.netloc), split_authority(host)
    if port is None or theirs is None or ours is None or theirs[0] != ours[0]:
        return False
    # Without a port, the Host header means the default port of the scheme that the browser has used: the origin's.
    return (port if theirs[1] is None else theirs[1]) == (port if ours[1] is None else ours[1])
