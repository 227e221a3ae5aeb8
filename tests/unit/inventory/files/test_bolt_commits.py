"""Databases that are written to while they are read, write by write in the order of bbolt's commits."""

from collections.abc import Callable
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.core.measured import Reason
from exporter.demo.bolt import PAGE
from exporter.inventory.files import bolt as module
from exporter.inventory.files.bolt import BoltError, BucketCache, read_bolt
from tests.support.bolt_writer import BoltWriter, Write

_ROWS = 60
_COMMITS = 40


def _rows(generation: int) -> dict[str, bytes]:
    """The rows after a commit: a third of them changes with each, and their number, too."""
    count = _ROWS + generation % 7
    return {f"{row:03}": f"{generation - (generation + row // 8) % 3} {row}".encode() for row in range(count)}


def _states(generations: int) -> list[dict[bytes, bytes]]:
    return [{key.encode(): value for key, value in _rows(one).items()} for one in range(generations)]


class _File:
    """A file that is written to while it is read: as many writes come after each piece as `pace` returns."""

    def __init__(self, pace: Callable[[], int], piece: int) -> None:
        writer = BoltWriter()
        self._content = bytearray(writer.first())
        for write in writer.commit(_rows(0)):
            self._apply(write)
        self._writes = chain.from_iterable(map(writer.commit, map(_rows, range(1, _COMMITS))))
        self._pace = pace
        self._piece = piece
        #: How many commits are there with their meta pages, the first included.
        self.committed = 1

    def read(self, length: int, offset: int) -> bytes:
        """Read in pieces, with writes between them."""
        got = bytearray()
        while len(got) < length:
            at = offset + len(got)
            piece = self._content[at : at + min(self._piece, length - len(got))]
            got += piece
            for _, write in zip(range(self._pace()), self._writes, strict=False):
                self._apply(write)
            if not piece:
                break
        return bytes(got)

    def _apply(self, write: Write) -> None:
        at, data = write
        self._content[len(self._content) :] = bytes(max(0, at + len(data) - len(self._content)))
        self._content[at : at + len(data)] = data
        if at < 2 * PAGE and hasattr(self, "committed"):
            self.committed += 1


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("whole", [True, False])
@settings(max_examples=200)
@given(st.data())
def test_what_is_read_is_a_state_that_was_there_while_it_was_read(
    whole: bool, known: bool, data: st.DataObject
) -> None:
    """Whatever the writer does meanwhile: one commit, many, and parts of one. `known`: it was read before."""
    paces = data.draw(st.lists(st.integers(0, 12), min_size=1, max_size=60))
    quiet = data.draw(st.booleans())
    left = list(paces)

    def pace() -> int:
        if left:
            return left.pop()
        return 0 if quiet else paces[0]

    file = _File(pace, data.draw(st.sampled_from([512, PAGE, 3 * PAGE, 1 << 20])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_BYTES", module.MAX_BYTES if whole else 15 * PAGE)
        cache = BucketCache()
        if known:
            content = bytes(file._content)
            read_bolt(lambda length, offset: content[offset : offset + length], b"rows", cache)
            for _, write in zip(range(data.draw(st.integers(0, 30))), file._writes, strict=False):
                file._apply(write)
        before = file.committed
        try:
            found = read_bolt(file.read, b"rows", cache)
        except BoltError as error:
            if error.reason is not Reason.CHANGING:
                raise
            return
    assert found.values in _states(file.committed)[before - 1 :]


def test_pages_that_one_commit_has_freed_are_written_over_before_the_next_one_is_complete() -> None:
    """Commit N+1 is complete and N+2 is on its way: its pages are those of state N, which was the newest before."""
    writer = BoltWriter()
    content = bytearray(writer.first())

    def apply(write: Write) -> None:
        at, data = write
        content[len(content) :] = bytes(max(0, at + len(data) - len(content)))
        content[at : at + len(data)] = data

    for generation in range(5):
        for write in writer.commit(_rows(generation)):
            apply(write)
    reads = 0

    def read(length: int, offset: int) -> bytes:
        nonlocal reads
        if length > PAGE:
            reads += 1
            if reads == 1:
                for write in writer.commit(_rows(5)):
                    apply(write)
                for write in list(writer.commit(_rows(6)))[:-1]:  # all but its meta page
                    apply(write)
        return bytes(content[offset : offset + length])

    assert read_bolt(read, b"rows").values == _states(6)[5]
    assert reads == 2


def test_between_its_commits_the_writer_of_these_tests_has_written_a_whole_database() -> None:
    writer = BoltWriter()
    content = bytearray(writer.first())
    for generation in range(_COMMITS):
        for at, data in writer.commit(_rows(generation)):
            content[len(content) :] = bytes(max(0, at + len(data) - len(content)))
            content[at : at + len(data)] = data
        read = bytes(content)
        found = read_bolt(lambda length, at, read=read: read[at : at + length], b"rows")  # type: ignore[misc]
        assert found.values == _states(generation + 1)[generation]
