"""The routes: metrics, landing page, health."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.metrics.render import Format
from exporter.publication import Body
from exporter.web.lifecycle import reload_route
from exporter.web.pages import landing


class Source(Protocol):
    """What the pages are made of."""

    @property
    def body(self) -> Body:
        """What is served now."""

    @property
    def taken(self) -> float | None:
        """When it was taken, Unix time; None as long as nothing is measured."""

    @property
    def ready(self) -> bool:
        """Whether there is a snapshot of the data root."""

    async def live(self, style: Format) -> bytes:
        """The end of the exposition, read at the scrape."""


def make_app(source: Source, reload: Callable[[], bool] | None = None) -> Starlette:
    """Build the web application; every request reads `source` and nothing else.

    `reload` is what POST /-/reload does, None where that is not allowed.
    """

    async def metrics(request: Request) -> Response:
        content_type = choose_encoder(request.headers.get("accept", ""))[1]
        style: Format = "openmetrics" if content_type.startswith("application/openmetrics-text") else "text"
        page = source.body.openmetrics if style == "openmetrics" else source.body.text
        headers = {"vary": "accept, accept-encoding"}
        end = await source.live(style)
        if _accepts_gzip(request.headers.get("accept-encoding", "")):
            headers["content-encoding"] = "gzip"
            return Response(page.finish_gzip(end), media_type=content_type, headers=headers)
        return Response(page.finish(end), media_type=content_type, headers=headers)

    async def index(_: Request) -> Response:
        headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
        return HTMLResponse(landing(replace(source.body.summary, taken=source.taken)), headers=headers)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("The exporter is healthy.\n")

    async def ready(_: Request) -> Response:
        if source.ready:
            return PlainTextResponse("The exporter is ready.\n")
        error = source.body.summary.error
        reason = f"the data root {error}" if error else "the first scan is not finished"
        return PlainTextResponse(f"The exporter is not ready: {reason}.\n", status_code=503)

    routes: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/metrics": metrics,
        "/": index,
        "/-/healthy": healthy,
        "/-/ready": ready,
    }
    return Starlette(routes=[*(Route(path, endpoint) for path, endpoint in routes.items()), reload_route(reload)])


def _accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding allows gzip: named, or by `*`, and not with a quality of zero."""
    accepted = {}
    for part in header.lower().split(","):
        coding, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            accepted[coding.strip()] = not (name.strip() == "q" and float(value) == 0)
        except ValueError:
            accepted[coding.strip()] = False
    return accepted.get("gzip", accepted.get("*", False))
