"""The state that is served, and the parts of a response that are read anew for each scrape."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from functools import partial

from msgspec.structs import replace

from exporter.core.fault_log import FAULT_LOG
from exporter.core.gzip_body import GzipBody
from exporter.core.model import Counters, Filesystem, ViewKind
from exporter.core.text import label
from exporter.core.wanted import Wanted
from exporter.expose.growing import Growth, SpaceThen
from exporter.expose.listing import ListPage
from exporter.expose.metrics.family import MetricFamily
from exporter.expose.metrics.live import (
    Processes,
    WebStatus,
    clock_families,
    filesystem_families,
    sandbox_families,
    web_families,
)
from exporter.expose.metrics.render import Format, render
from exporter.expose.published import Body, Publication, View, unread
from exporter.expose.snapshot_api.pieces import ending, space
from exporter.expose.snapshot_api.rows import FilesystemRow
from exporter.expose.summary import NOT_YET, Summary
from exporter.service.space_ring import PAUSE_SECONDS, SpaceRing
from exporter.service.statvfs import Elsewhere, Filesystems
from exporter.service.views import Views

#: A scanning process that is missing for so long makes the exporter unhealthy.
MISSING_SECONDS = 60.0
#: How soon filesystems are asked again where none is known yet, or none has answered.
_NO_ANSWER_SECONDS = 5.0


class Current:
    """The publication that is served. No other state of the serving process depends on the data root."""

    def __init__(self, root: str, *, own_processes: bool = True) -> None:
        """`own_processes`: serve what is about the exporter's own processes."""
        #: The path of the data root, as it can be shown.
        self.root = label(root)
        self._status, views = unread(root)
        assert self._status.body is not None, "published with its body"
        self._body = self._status.body
        #: What is made only when somebody asks for it.
        self.views = Views(self._body.number)
        for view in views:
            self.views.show(view)
        self._filesystems = Filesystems()
        self._space = SpaceRing()
        self._processes = Processes() if own_processes else None
        self._readings: dict[Format, asyncio.Future[tuple[Body, bytes]]] = {}
        #: The process id of the scanning process; None where none runs.
        self.scanner: int | None = None
        #: Since when no scanning process has been there that published; None while there is one. Monotonic clock.
        self._missing_since: float | None = time.monotonic()
        self._lost_because = "it has published nothing"
        self.web: Callable[[], WebStatus] | None = None
        #: The process ids of the launchers, and why they are lost for good, if they are.
        self.launchers: Callable[[], list[int]] = list
        self.broken: Callable[[], str] = str
        #: The version of landlock in force in this process; 0 without it.
        self.landlock = 0

    @property
    def body(self) -> Body:
        """The rendered metrics."""
        return self._body

    @property
    def taken(self) -> float | None:
        """When the snapshot was taken, Unix time; None before the first scan is done."""
        return self._status.taken

    def reach(self, elsewhere: Elsewhere) -> None:
        """Have statvfs called by somebody else for paths that this process may not reach."""
        self._filesystems.elsewhere = elsewhere

    @property
    def ready(self) -> bool:
        """Whether there is a snapshot of the data root."""
        return self._status.taken is not None

    @property
    def counters(self) -> Counters:
        """The counters as they were published last."""
        return self._status.counters

    @property
    def missing_seconds(self) -> float:
        """For how long there has been no scanning process that published; 0 while there is one."""
        return 0.0 if self._missing_since is None else time.monotonic() - self._missing_since

    @property
    def missing(self) -> str:
        """Why there is no scanning process, or none can be started; "" otherwise, and for the first minute without."""
        seconds = self.missing_seconds
        if seconds < MISSING_SECONDS:
            return self.broken()
        return f"no scanning process for {seconds:.0f} s: {self._lost_because}"

    @property
    def _heard(self) -> int | None:
        """The scanning process, once it has published."""
        return self.scanner if self._missing_since is None else None

    def lost(self, why: str) -> None:
        """Note that the scanning process has ended, or was not started."""
        self._lost_because = why
        self.views.lost()
        if self._missing_since is None:
            self._missing_since = time.monotonic()

    def replace(self, publication: Publication) -> None:
        """Serve another publication; one without a body leaves the body as it is."""
        self._status, self._missing_since = publication, None
        if publication.body is not None:
            self._body = publication.body
            self.views.number = publication.body.number

    async def space(self) -> list[FilesystemRow]:
        """The filesystems below the root; those that answer in time have sizes."""
        filesystems = self._body.filesystems
        answered = {one.path: status for one, status in await self._filesystems.read(filesystems)}
        return [space(one, answered.get(one.path)) for one in filesystems]

    async def summary(self) -> Summary | None:
        """What the pages show; None where the scanning process does not answer."""
        view = await self.views.of(ViewKind.PAGES)
        return None if view is None or view.summary is None else replace(view.summary, taken=self._taken(view))

    async def listing(self, wanted: Wanted) -> tuple[ListPage, float | None] | None:
        """A page of a list, and when what it shows was the present state; None where nobody answers."""
        if self._body.error == NOT_YET:
            return ListPage(wanted, read=False), None
        view = await self.views.of(ViewKind.LISTING, wanted)
        return None if view is None or view.listing is None else (view.listing, self._taken(view))

    async def growth(self) -> Growth | None:
        """What has grown; None where the scanning process does not answer."""
        view = await self.views.of(ViewKind.GROWTH)
        return None if view is None else view.growth

    def space_then(self) -> SpaceThen | None:
        """The used bytes of filesystems an hour ago, or when the exporter was started; None where nothing is known."""
        return self._space.then(time.monotonic())

    async def keep_space(self) -> None:
        """Note how full the filesystems are, now and ever again."""
        while True:
            answers: list[tuple[Filesystem, os.statvfs_result]] = []
            try:
                answers = await self._filesystems.read(self._body.filesystems)
                self._space.note(time.monotonic(), answers)
            except Exception as error:  # noqa: BLE001 - what nobody has foreseen ends neither this nor the process
                FAULT_LOG.note(error, "space of filesystems")
            await asyncio.sleep(PAUSE_SECONDS if answers else _NO_ANSWER_SECONDS)

    async def document(self) -> tuple[GzipBody, bytes] | None:
        """The document of all objects, and its end: the free space, read now, and its time."""
        view = await self.views.of(ViewKind.DOCUMENT)
        if view is None or view.document is None:
            return None
        return view.document, ending(self._taken(view), await self.space())

    def _taken(self, view: View) -> float | None:
        """When what a view shows was the present state for the last time."""
        return self.taken if view.number == self._body.number else view.taken

    async def live(self, style: Format) -> tuple[Body, bytes]:
        """The body, and the families of the exporter itself, and of filesystems and processes, which are read now.

        Both are of one publication: another one may come while filesystems are asked. Scrapes at the same time share
        one reading.
        """
        reading = self._readings.get(style)
        if reading is None:
            reading = self._readings[style] = asyncio.ensure_future(self._read(style))
            reading.add_done_callback(lambda _: self._readings.pop(style))
        return await asyncio.shield(reading)

    async def _read(self, style: Format) -> tuple[Body, bytes]:
        statuses = await self._filesystems.read(self._body.filesystems)
        status, body = self._status, self._body
        families = [
            *_made("filesystems", lambda: filesystem_families(statuses)),
            *_made("clock", clock_families),
            *_made("web server", lambda: web_families(self.web()) if self.web else ()),
            *_made("sandbox", lambda: sandbox_families(self.landlock, self._heard, status.landlock)),
            *_made("processes", partial(self._of_processes, status.processes)),
        ]
        known = status.openmetrics if style == "openmetrics" else status.text
        return body, known + render((one for one in families if one.series), style)

    def _of_processes(self, workers: tuple[int, ...]) -> Iterable[MetricFamily]:
        return () if self._processes is None else self._processes.families(self.scanner, workers, self.launchers())


def _made(what: str, make: Callable[[], Iterable[MetricFamily]]) -> list[MetricFamily]:
    """Make families at a scrape. Where that fails they are absent, and the others are served."""
    try:
        return list(make())
    except Exception as error:  # noqa: BLE001 - what nobody has foreseen
        FAULT_LOG.note(error, f"metrics of {what}")
        return []
