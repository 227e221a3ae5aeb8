"""Reads of a bolt database what is not known of it: the pages that have other bytes than those that were decoded."""

from collections.abc import Callable

from exporter.inventory.files.bolt_pages import BucketCache

#: Reads so many bytes at an offset, fewer at the end of the file.
Read = Callable[[int, int], bytes]

#: A larger piece would have memory of its own, which the kernel would have to clear.
_PIECE_BYTES = 56 * 1024
#: In the place of a page that is not known: no piece begins with it.
_UNKNOWN = bytes(2 * _PIECE_BYTES)


class ChangedPages:
    """The bytes of a database, in pieces, without those pieces of which all pages are known.

    `same` are the numbers of the known pages that have the bytes that they had.
    """

    def __init__(self, read: Read, page_size: int, pages: int, cache: BucketCache) -> None:
        """Read all of the pages."""
        self.same: set[int] = set()
        self._pieces: dict[int, bytes] = {}
        self._size = max(_PIECE_BYTES // page_size, 1) * page_size
        if not cache.pages:
            self._size = max(pages, 1) * page_size
        for start in range(0, pages * page_size, self._size):
            length = min(self._size, pages * page_size - start)
            piece = read_all(read, start, length)
            first = start // page_size
            numbers = range(first, first + length // page_size)
            found = self._find_same(read, piece, numbers, page_size, cache) if cache.pages else []
            self.same.update(found)
            if len(found) < len(numbers):
                self._pieces[start] = piece
            if len(piece) < length:
                break

    @staticmethod
    def _find_same(read: Read, piece: bytes, numbers: range, page_size: int, cache: BucketCache) -> list[int]:
        known, begins, first = cache.pages.get, piece.startswith, numbers.start
        found = [one for one in numbers if begins(known(one, _UNKNOWN), (one - first) * page_size)]
        # A page that goes on over others may end in the next piece.
        last = found[-1] if found else first - 1
        for number in range(last + 1, numbers.stop):
            raw = known(number, b"")
            beyond = (number - first) * page_size + len(raw) > len(piece)
            if beyond and read_all(read, number * page_size, len(raw)) == raw:
                found.append(number)
        return found

    def page_bytes(self, offset: int, length: int) -> bytes:
        """So many bytes at an offset, fewer at the end; none of a piece of which all pages are as they were."""
        parts = []
        while length > 0:
            start = offset // self._size * self._size
            part = self._pieces.get(start, b"")[offset - start : offset - start + length]
            if not part:
                break
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)


def read_all(read: Read, offset: int, length: int) -> bytes:
    """So many bytes at an offset, fewer if the file ends before. A read may return fewer than it was asked for."""
    pieces = [read(offset, length)]
    done = len(pieces[0])
    while done < length and (piece := read(offset + done, length - done)):
        pieces.append(piece)
        done += len(piece)
    return b"".join(pieces)
