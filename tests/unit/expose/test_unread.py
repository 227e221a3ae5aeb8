"""What is served before the first look at a root is made without figures, and is what a publisher would make."""

from exporter.core.model import Counters, Snapshot, ViewKind
from exporter.expose.publication import Publisher
from exporter.expose.published import unread
from exporter.expose.summary import NOT_YET

_ROOT = "/a root\udcff"


def test_it_is_what_a_publisher_makes_of_a_root_that_was_not_looked_at() -> None:
    publisher = Publisher()
    expected = publisher.publish(Snapshot(_ROOT, 0.0, error=NOT_YET), Counters())
    first, views = unread(_ROOT)
    assert (first.text, first.openmetrics, first.taken) == (expected.text, expected.openmetrics, expected.taken)
    assert first.body is not None
    assert expected.body is not None
    assert b"".join(first.body.text.plain()) == b"".join(expected.body.text.plain()) == b""
    assert (first.body.error, first.body.filesystems) == (expected.body.error, expected.body.filesystems)
    made = {one.kind: publisher.view(one.kind, Counters()) for one in views}
    assert {one.kind for one in views} == set(ViewKind) - {ViewKind.LISTING}, "a list is made of a question"
    for view in views:
        other = made[view.kind]
        assert other is not None
        assert view.number == first.body.number
        assert (view.taken, view.summary, view.growth) == (other.taken, other.summary, other.growth)
        if view.document is not None and other.document is not None:
            assert b"".join(view.document.plain()) == b"".join(other.document.plain())
