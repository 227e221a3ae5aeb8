"""POST /-/reload, if --web.enable-lifecycle allows it."""

from collections.abc import Callable
from http import HTTPStatus

from exporter.web.protocol.message import Handler, Request, Response, text


def reload_handler(reload: Callable[[], bool] | None) -> Handler:
    """The route's handler. `reload` returns whether everything was read; None where reloading is not allowed."""

    async def handle(_: Request) -> Response:
        if reload is None:
            return text("Lifecycle API is not enabled (--web.enable-lifecycle).\n", HTTPStatus.FORBIDDEN)
        if reload():
            return text("Reloaded: everything is scanned again.\n")
        return text(
            "The web configuration is broken, see the log; the rest is reloaded.\n", HTTPStatus.INTERNAL_SERVER_ERROR
        )

    return handle
