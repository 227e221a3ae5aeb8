"""POST /-/reload, for those who allow it."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


def reload_route(reload: Callable[[], bool] | None) -> Route:
    """The route; `reload` returns whether all went well, and is None where it is not allowed."""

    async def handle(_: Request) -> Response:
        if reload is None:
            return PlainTextResponse("Lifecycle API is not enabled (--web.enable-lifecycle).\n", status_code=403)
        if reload():
            return PlainTextResponse("Reloaded: everything is scanned again.\n")
        return PlainTextResponse("The web configuration is broken, see the log; the rest is reloaded.\n", 500)

    return Route("/-/reload", handle, methods=["POST", "PUT"])
