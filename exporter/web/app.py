"""The routes: metrics, the snapshot as a document, pages for people, runbooks, health."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Protocol

from exporter.config.settings import WebSettings
from exporter.core.gzip_body import GzipBody
from exporter.core.wanted import ListName, Wanted
from exporter.expose.growing import Growth, SpaceThen
from exporter.expose.listing import ListPage
from exporter.expose.metrics.render import Format
from exporter.expose.published import Body
from exporter.expose.snapshot_api import rows
from exporter.expose.snapshot_api.rows import FilesystemRow
from exporter.expose.summary import Summary
from exporter.web.codings import Codings
from exporter.web.lifecycle import reload_handler
from exporter.web.negotiation import CONTENT_TYPES, exposition_format
from exporter.web.pages import listing, overview, status
from exporter.web.pages.frame import PageFrame
from exporter.web.pages.query import QueryError, wanted_by
from exporter.web.pages.runbooks import Runbooks, load
from exporter.web.protocol.message import Handler, Request, Response, text
from exporter.web.selection import Selection, SelectionError

DEFAULT_SETTINGS = WebSettings()
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_HEADERS = (("content-security-policy", _PAGE_POLICY), ("referrer-policy", "no-referrer"))
_HTML = "text/html; charset=utf-8"
#: For what is made only when it is asked for, and was not made before.
_NO_ANSWER = text("The scanning process does not answer; try again.\n", HTTPStatus.SERVICE_UNAVAILABLE)
_READ = ("GET", "HEAD")
_CHANGE = ("POST", "PUT")


class Source(Protocol):
    """What the responses are made of."""

    @property
    def root(self) -> str:
        """The path of the data root, as it can be shown."""

    @property
    def body(self) -> Body:
        """What is served now."""

    @property
    def taken(self) -> float | None:
        """When the snapshot was taken, Unix time; None as long as nothing is measured."""

    @property
    def ready(self) -> bool:
        """Whether there is a snapshot of the data root."""

    @property
    def missing(self) -> str:
        """Why nothing has been scanned for a minute; "" while a scanning process runs."""

    async def live(self, style: Format) -> tuple[Body, bytes]:
        """The body, and the end of the exposition, which is read at the scrape: of the same snapshot."""

    async def space(self) -> list[FilesystemRow]:
        """The filesystems below the root, as they are now."""

    async def summary(self) -> Summary | None:
        """What the pages show; None where the scanning process does not answer."""

    async def listing(self, wanted: Wanted) -> tuple[ListPage, float | None] | None:
        """One page of a list, and when what it shows was so; None where the scanning process does not answer."""

    async def growth(self) -> Growth | None:
        """What has grown in the last hour; None where the scanning process does not answer."""

    def space_then(self) -> SpaceThen | None:
        """How much of each filesystem was used an hour ago; None where nothing is known."""

    async def document(self) -> tuple[GzipBody, bytes] | None:
        """The document and its end, read when it is asked for; None where the scanning process does not answer."""


def make_app(
    source: Source, reload: Callable[[], bool] | None = None, settings: WebSettings = DEFAULT_SETTINGS
) -> Handler:
    """Make the handler of all routes; every request reads `source` and nothing else.

    `reload` is what POST /-/reload does, None where that is not allowed.
    """
    frame = PageFrame(settings.telemetry_path)
    page, runbooks = _Pages(source, frame), Runbooks(load(), frame)
    routes: dict[str, tuple[tuple[str, ...], Handler]] = {
        settings.telemetry_path: (_READ, _at_most(settings.max_requests, page.metrics)),
        rows.PATH: (_READ, page.snapshot),
        "/": (_READ, page.index),
        "/status": (_READ, page.details),
        **{f"/{name}": (_READ, partial(page.listing, name)) for name in ListName},
        "/-/healthy": (_READ, page.healthy),
        "/-/ready": (_READ, page.ready),
        "/-/reload": (_CHANGE, reload_handler(reload)),
    }

    async def runbook(request: Request) -> Response:
        return _html(runbooks.page(request.path))

    async def answer(request: Request) -> Response:
        if request.path not in routes and not runbooks.has(request.path):
            return text("Not Found", HTTPStatus.NOT_FOUND)
        methods, handler = routes.get(request.path, (_READ, runbook))
        if request.method not in methods:
            allow = ("allow", ", ".join(methods))
            return text("Method Not Allowed", HTTPStatus.METHOD_NOT_ALLOWED, headers=(allow,))
        return await handler(request)

    return answer


def _at_most(most: int, handler: Handler) -> Handler:
    """Let so many requests in at a time; 0: all."""
    under_way = 0

    async def answer(request: Request) -> Response:
        nonlocal under_way
        if most and under_way >= most:
            return text(f"{most} requests are being answered; try again.\n", HTTPStatus.SERVICE_UNAVAILABLE)
        under_way += 1
        try:
            return await handler(request)
        finally:
            under_way -= 1

    return answer


class _Pages:
    """One method for each route, made of `source`."""

    def __init__(self, source: Source, frame: PageFrame) -> None:
        self._source, self._frame = source, frame
        self._overview, self._status = _Rendered(), _Rendered()
        self._codings: dict[Format, Codings] = {"text": Codings(), "openmetrics": Codings()}
        self._documents = Codings()

    async def metrics(self, request: Request) -> Response:
        """The exposition, in the format and the coding that the scraper prefers."""
        try:
            selection = Selection(request.query)
        except SelectionError as error:
            return text(f"{error}\n", HTTPStatus.BAD_REQUEST)
        style = exposition_format(request.headers.get("accept", ""))
        content_type = CONTENT_TYPES[style]
        body, end = await self._source.live(style)
        page = body.openmetrics if style == "openmetrics" else body.text
        if selection:
            page, end = await selection.body(page.plain(end)), b""
        codings = self._codings[style] if not selection else Codings()
        return await codings.response(request, page, end, content_type, vary="accept, accept-encoding")

    async def snapshot(self, request: Request) -> Response:
        """The document of all objects."""
        found = await self._source.document()
        if found is None:
            return _NO_ANSWER
        return await self._documents.response(request, *found, "application/json", vary="accept-encoding")

    async def index(self, _: Request) -> Response:
        """The first page."""
        source = self._source
        summary, growth, space = await asyncio.gather(source.summary(), source.growth(), source.space())
        if summary is None:
            return _NO_ANSWER
        then = source.space_then()
        return _html(self._overview.page((summary, growth, space), lambda: self._made(summary, space, growth, then)))

    def _made(self, summary: Summary, space: list[FilesystemRow], growth: Growth | None, then: SpaceThen | None) -> str:
        return overview.overview(self._frame, summary, space, growth, then)

    async def details(self, _: Request) -> Response:
        """The page with the problems, and what no list has."""
        summary, space = await asyncio.gather(self._source.summary(), self._source.space())
        if summary is None:
            return _NO_ANSWER
        return _html(self._status.page((summary, space), lambda: status.status(self._frame, summary, space)))

    async def listing(self, name: ListName, request: Request) -> Response:
        """One page of a list."""
        try:
            wanted = wanted_by(name, request.query)
        except QueryError as refused:
            return text(f"{refused}\n", HTTPStatus.BAD_REQUEST)
        found = await self._source.listing(wanted)
        if found is None:
            return _NO_ANSWER
        root, error = self._source.root, self._source.body.error
        return _html(listing.listing_page(self._frame, *found, root, error).encode())

    async def healthy(self, _: Request) -> Response:
        """Whether this process answers, and a scanning process keeps the figures up to date."""
        if missing := self._source.missing:
            return text(f"The exporter is not healthy: {missing}.\n", HTTPStatus.SERVICE_UNAVAILABLE)
        return text("The exporter is healthy.\n")

    async def ready(self, _: Request) -> Response:
        """Whether there are figures, and a scanning process keeps them up to date."""
        missing = self._source.missing
        if self._source.ready and not missing:
            return text("The exporter is ready.\n")
        error = self._source.body.error
        reason = missing or (f"the data root {error}" if error else "the first scan is not finished")
        return text(f"The exporter is not ready: {reason}.\n", HTTPStatus.SERVICE_UNAVAILABLE)


class _Rendered:
    """A page for people. It is rendered again after a change, and once a second because it shows its age."""

    def __init__(self) -> None:
        self._of: tuple[object, int] | None = None
        self._page = b""

    def page(self, shown: object, make: Callable[[], str]) -> bytes:
        """The page as it is now, UTF-8. `shown` is what it is made of."""
        of = (shown, int(time.time()))
        if of != self._of:
            self._of, self._page = of, make().encode()
        return self._page


def _html(content: bytes) -> Response:
    return Response.of_parts((content,), len(content), _HTML, headers=_PAGE_HEADERS)
