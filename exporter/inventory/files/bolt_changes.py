"""Reads of a bolt database what is not known of it: the pages that have other bytes than those that were decoded."""

from collections.abc import Callable

from exporter.inventory.files.bolt_cache import BLOCK, BucketCache, mark_of

#: Reads so many bytes at an offset, fewer at the end of the file.
Read = Callable[[int, int], bytes]


class ForgottenError(Exception):
    """What a cache says of a page does not fit what is read now: it is to be cleared."""


class ChangedPages:
    """The bytes of a database, in pieces, without those pieces of which all pages are known.

    `same` are the numbers of the known pages that have the bytes that they had.
    """

    def __init__(self, read: Read, page_size: int, pages: int, cache: BucketCache) -> None:
        """Read all of the pages."""
        self.same: set[int] = set()
        self._read, self._page_size, self._marks = read, page_size, cache.marks
        self._pieces: dict[int, bytes] = {}
        # A larger piece than this would have memory of its own, which the kernel would have to clear.
        self._size = (BLOCK if cache.marks else max(pages, 1)) * page_size
        for start in range(0, pages * page_size, self._size):
            length = min(self._size, pages * page_size - start)
            piece = read_all(read, start, length)
            first = start // page_size
            numbers = range(first, first + length // page_size)
            found = self._find_same(piece, numbers) if cache.marks else []
            self.same.update(found)
            if len(found) < len(numbers):
                self._pieces[start] = piece
            if len(piece) < length:
                break

    def _find_same(self, piece: bytes, numbers: range) -> list[int]:
        block = self._marks.block(numbers.start // BLOCK)
        found: list[int] = []
        if block is None:
            return found
        at, page_size = 0, self._page_size
        for number, length, known in zip(numbers, *block):  # noqa: B905 - the last block is not whole
            if length:
                if hash(piece[at : at + length]) == known:
                    found.append(number)
                elif at + length > len(piece):  # a page that goes on over others may end in the next piece
                    whole = read_all(self._read, number * page_size, length)
                    found += [number] * (hash(whole) == known)
            at += page_size
        return found

    def page_bytes(self, offset: int, length: int) -> bytes:
        """So many bytes at an offset, fewer at the end. Of a page in a piece that is known, those that are in use.

        Raises ForgottenError, and whatever reading raises.
        """
        start = offset // self._size * self._size
        if (first := self._pieces.get(start)) is None:
            return self._again(offset)[:length]
        at = offset - start
        if at + length <= len(first):
            return first[at : at + length]
        parts = [first[at:]]
        while (start := start + self._size) < offset + length and start in self._pieces:
            parts.append(self._pieces[start][: offset + length - start])
        if start < offset + length and start // self._page_size in self.same:
            raise ForgottenError
        return b"".join(parts)

    def _again(self, offset: int) -> bytes:
        """The bytes of a page that is known. They are read again, after all others: a commit may have come since."""
        known = self._marks.of(offset // self._page_size)
        raw = read_all(self._read, offset, known[0])
        if mark_of(raw) != known:
            raise ForgottenError
        return raw


def read_all(read: Read, offset: int, length: int) -> bytes:
    """So many bytes at an offset, fewer if the file ends before. A read may return fewer than it was asked for."""
    pieces = [read(offset, length)]
    done = len(pieces[0])
    while done < length and (piece := read(offset + done, length - done)):
        pieces.append(piece)
        done += len(piece)
    return b"".join(pieces)
