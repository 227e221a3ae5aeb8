"""The routes: metrics, the snapshot as a document, pages for people, health."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.expose.metrics.render import Format
from exporter.expose.page_summary import Summary
from exporter.expose.publication import Body
from exporter.expose.snapshot_api import rows
from exporter.expose.snapshot_api.rows import FilesystemRow
from exporter.web.connections.chunks import InPieces
from exporter.web.lifecycle import reload_route
from exporter.web.pages.pages import landing, status

#: Names from the disk are in text and JSON as well: no browser may take those for HTML.
_AS_IT_IS = {"x-content-type-options": "nosniff"}
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    **_AS_IT_IS,
}


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

    async def space(self) -> list[FilesystemRow]:
        """The filesystems below the root, as they are now."""

    async def document_end(self) -> bytes:
        """The end of the document, read when it is asked for."""


def make_app(source: Source, reload: Callable[[], bool] | None = None) -> Starlette:
    """Build the web application; every request reads `source` and nothing else.

    `reload` is what POST /-/reload does, None where that is not allowed.
    """

    async def metrics(request: Request) -> Response:
        content_type = choose_encoder(request.headers.get("accept", ""))[1]
        style: Format = "openmetrics" if content_type.startswith("application/openmetrics-text") else "text"
        page = source.body.openmetrics if style == "openmetrics" else source.body.text
        headers = {"vary": "accept, accept-encoding", **_AS_IT_IS}
        end = await source.live(style)
        if _accepts_gzip(request.headers.get("accept-encoding", "")):
            return _gzipped(page.gzip_parts(end), content_type, headers)
        return InPieces((*page.parts, end), page.length + len(end), content_type, headers)

    async def snapshot(request: Request) -> Response:
        described = source.body.document
        headers = {"vary": "accept-encoding", **_AS_IT_IS}
        end = await source.document_end()
        if _accepts_gzip(request.headers.get("accept-encoding", "")):
            return _gzipped(described.gzip_parts(end), "application/json", headers)
        return InPieces(described.parts(end), described.length + len(end), "application/json", headers)

    first, second = _Rendered(lambda summary, _: landing(summary)), _Rendered(status)

    async def index(_: Request) -> Response:
        return HTMLResponse(first.page(source, []), headers=_PAGE_HEADERS)

    async def overview(_: Request) -> Response:
        return HTMLResponse(second.page(source, await source.space()), headers=_PAGE_HEADERS)

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
        rows.PATH: snapshot,
        "/": index,
        "/status": overview,
        "/-/healthy": healthy,
        "/-/ready": ready,
    }
    app = Starlette(routes=[*(Route(path, endpoint) for path, endpoint in routes.items()), reload_route(reload)])
    app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
    return app


class _Rendered:
    """A page for people, made once a second at most unless what it shows has changed."""

    def __init__(self, make: Callable[[Summary, list[FilesystemRow]], str]) -> None:
        self._make = make
        self._of: tuple[float | None, int, list[FilesystemRow]] | None = None
        self._summary: Summary | None = None
        self._page = b""

    def page(self, source: Source, space: list[FilesystemRow]) -> bytes:
        """What the page says now."""
        summary, taken = source.body.summary, source.taken
        of = (taken, int(time.time()), space)
        if summary is not self._summary or of != self._of:
            self._summary, self._of = summary, of
            self._page = self._make(replace(summary, taken=taken), space).encode()
        return self._page


def _gzipped(parts: tuple[bytes, ...], media_type: str, headers: dict[str, str]) -> Response:
    return InPieces(parts, sum(map(len, parts)), media_type, {**headers, "content-encoding": "gzip"})


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
