"""All that is served of one snapshot, as the serving process gets it."""

from typing import NamedTuple

from exporter.core.gzip_body import GzipBody
from exporter.core.model import Counters, Snapshot, ViewKind
from exporter.expose.publication import Publisher
from exporter.expose.summary import Summary


class Served(NamedTuple):
    """The exposition in the text format, what the pages show, and the document without its end."""

    text: str
    summary: Summary
    document: GzipBody


def served(snapshot: Snapshot, counters: Counters, publisher: Publisher | None = None) -> Served:
    """Publish a snapshot, and ask for everything else. What fails in that is counted in the text."""
    publisher = publisher or Publisher()
    published = publisher.publish(snapshot, counters)
    kinds = (ViewKind.PAGES, ViewKind.DOCUMENT)
    views = {kind: publisher.view(kind, counters) for kind in kinds}
    pages, document = views[ViewKind.PAGES], views[ViewKind.DOCUMENT]
    assert published.body is not None
    assert pages is not None
    assert pages.summary is not None
    assert document is not None
    assert document.document is not None
    own = publisher.publish(snapshot, counters, with_body=False).text
    return Served(published.body.text.finish(own).decode(), pages.summary, document.document)
