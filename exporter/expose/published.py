"""What the scanning process sends to the serving one: rendered pages, and what is made when somebody asks for it.

`publication` makes it, of figures. The serving process has neither figures nor what reads a root: 8 MB of modules.
"""

import time

from msgspec import Struct, field

from exporter.core.gzip_body import GzipBody
from exporter.core.messages import Messages
from exporter.core.model import Counters, Filesystem, Snapshot, ViewKind
from exporter.core.text import label
from exporter.core.wanted import Wanted
from exporter.expose.growing import Growth
from exporter.expose.listing import ListPage
from exporter.expose.metrics.render import render_part
from exporter.expose.metrics.status import status_families
from exporter.expose.snapshot_api.pieces import unread_document
from exporter.expose.summary import NOT_YET, Summary


class Body(Struct, frozen=True):
    """The part that changes only when a figure or an object does.

    `number` is another one for each body. `error` says why the root could not be read.
    """

    number: int
    text: GzipBody
    openmetrics: GzipBody
    error: str = ""
    filesystems: tuple[Filesystem, ...] = ()


class View(Struct, frozen=True):
    """What somebody has asked for, made of the snapshot of the body with this number, which was `taken` then.

    `wanted` is what was asked for in a listing.
    """

    number: int
    kind: ViewKind
    taken: float | None
    summary: Summary | None = None
    document: GzipBody | None = None
    wanted: Wanted | None = None
    listing: ListPage | None = None
    growth: Growth | None = None


class Publication(Struct, frozen=True):
    """Everything that the serving process serves without asking; without a `body`, the previous one stays.

    `text` and `openmetrics` are the exporter's own families. A new scanning process starts from
    `counters`; `processes` are the process ids of the workers, `landlock` its version in force there, 0 without it.
    """

    text: bytes
    openmetrics: bytes
    taken: float | None
    body: Body | None = None
    counters: Counters = field(default_factory=Counters)
    processes: tuple[int, ...] = ()
    landlock: int = 0


#: What a scanning process sends.
PUBLICATIONS: Messages[Publication | View] = Messages(Publication, View)


def unread(root: str) -> tuple[Publication, tuple[View, ...]]:
    """What is served before the first look at a root."""
    snapshot, number = Snapshot(root, time.time(), error=NOT_YET), time.monotonic_ns()
    families = list(status_families(snapshot, Counters()))
    body = Body(number, GzipBody.of([]), GzipBody.of([]), NOT_YET)
    first = Publication(render_part(families, "text"), render_part(families, "openmetrics"), None, body)
    pages = View(number, ViewKind.PAGES, None, summary=Summary(label(root), NOT_YET))
    growth = View(number, ViewKind.GROWTH, None, growth=Growth())
    return first, (pages, growth, View(number, ViewKind.DOCUMENT, None, document=unread_document(root, NOT_YET)))
