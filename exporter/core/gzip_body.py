"""Texts that are kept deflated, joined without being deflated again, and completed for each answer with a live end."""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache

from msgspec import Struct

_LEVEL = 6
#: RFC 1952: magic, deflate, no flags, no time, no extra, unknown system.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
#: How many deflated bytes are inflated at a time, and how many bytes that yields at most.
_PACKED_BYTES = 8 * 1024
_PART_BYTES = 32 * 1024
#: What inflating holds until it is done: a part, the deflated bytes, and zlib's window and tables.
INFLATING_BYTES = _PART_BYTES + _PACKED_BYTES + 48 * 1024
#: The polynomial of CRC-32 (RFC 1952, section 8) with its bits reversed, and the polynomials 1 and x^8 in that order.
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31
_BYTE = 1 << 23
#: The checksum of so many bytes is sooner made than a product of polynomials.
_ZEROS = memoryview(bytes(16 * 1024))
#: So many bodies are joined into one before all are: most of these are as they were.
_GROUP = 16


class GzipBody(Struct, frozen=True, gc=False):
    """Deflated content that ends at a byte boundary, so that more can follow.

    `deflated`, one piece after the other, refers to nothing before its beginning. `length` and `checksum` (CRC-32) are
    those of the content before it was deflated.
    """

    deflated: tuple[bytes, ...]
    checksum: int
    length: int

    @classmethod
    def of(cls, parts: Iterable[bytes]) -> "GzipBody":
        """Deflate `parts`. Each part is needed only while it is compressed."""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        deflated, checksum, length = bytearray(), 0, 0
        for part in parts:
            deflated += compressor.compress(part)
            checksum, length = zlib.crc32(part, checksum), length + len(part)
        deflated += compressor.flush(zlib.Z_FULL_FLUSH)
        return cls((bytes(deflated),), checksum, length)

    @classmethod
    def joined(cls, bodies: Iterable["GzipBody"]) -> "GzipBody":
        """One body after the other; their bytes are shared."""
        pieces: list[bytes] = []
        checksum = length = 0
        for one in bodies:
            pieces += one.deflated
            checksum = _shifted(checksum, one.length) ^ one.checksum
            length += one.length
        return cls(tuple(pieces), checksum, length)

    def packed(self) -> "GzipBody":
        """The same in one piece."""
        return self if len(self.deflated) == 1 else GzipBody((b"".join(self.deflated),), self.checksum, self.length)

    def member(self, end: bytes = b"") -> tuple[bytes, ...]:
        """The content and `end` as one gzip member, in parts. Only `end` is compressed now."""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        tail = compressor.compress(end) + compressor.flush(zlib.Z_FINISH)
        trailer = zlib.crc32(end, self.checksum).to_bytes(4, "little")
        trailer += ((self.length + len(end)) & 0xFFFFFFFF).to_bytes(4, "little")
        return (_HEADER, *self.deflated, tail + trailer)

    def finish(self, end: bytes = b"") -> bytes:
        """The content as it was, and `end`."""
        return b"".join(self.plain(end))

    def plain(self, end: bytes = b"") -> Iterator[bytes]:
        """The content as it was, in parts of at most 32 KiB, and `end`. Each is inflated when it is asked for."""
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        for piece in self.deflated:
            for start in range(0, len(piece), _PACKED_BYTES):
                packed = piece[start : start + _PACKED_BYTES]
                while packed:
                    yield inflating.decompress(packed, _PART_BYTES)
                    packed = inflating.unconsumed_tail
        yield inflating.flush()
        yield end


class JoinedBodies:
    """Bodies one after the other, joined from one time to the next. Few of them are others than before."""

    __slots__ = ("_body", "_groups")

    def __init__(self) -> None:
        self._groups: list[tuple[Sequence[GzipBody], GzipBody]] = []
        self._body = GzipBody.joined(()).packed()

    def update(self, bodies: Sequence[GzipBody]) -> GzipBody:
        """These bodies in one piece."""
        before, groups = self._groups, list[tuple[Sequence[GzipBody], GzipBody]]()
        for at, start in enumerate(range(0, len(bodies), _GROUP)):
            part = bodies[start : start + _GROUP]
            same = at < len(before) and before[at][0] == part
            groups.append(before[at] if same else (part, GzipBody.joined(part)))
        if groups != before:
            self._groups, self._body = groups, GzipBody.joined(body for _, body in groups).packed()
        return self._body


def _shifted(checksum: int, length: int) -> int:
    """What a checksum becomes when so many bytes follow, without what these add: CRC-32 is linear."""
    if not checksum:
        return 0
    if length <= len(_ZEROS):
        return zlib.crc32(_ZEROS[:length], checksum) ^ _of_zeros(length)
    return _multiplied(_shift(length), checksum)


@lru_cache(maxsize=4096)
def _of_zeros(length: int) -> int:
    return zlib.crc32(_ZEROS[:length])


def _by_x(one: int) -> int:
    """The product with the polynomial x."""
    return one >> 1 ^ _POLYNOMIAL if one & 1 else one >> 1


def _multiplied(one: int, other: int) -> int:
    """The product of two polynomials modulo that of CRC-32. Bit 31 is the coefficient of x^0."""
    first = other
    second = _by_x(first)
    third = _by_x(second)
    fourth = _by_x(third)
    # The products with all polynomials of four coefficients.
    few = [0, fourth, third, third ^ fourth]
    few += [second ^ each for each in few]
    few += [first ^ each for each in few]
    product = 0
    for _ in range(8):
        product = product >> 4 ^ _OVERFLOWS[product & 15] ^ few[one & 15]
        one >>= 4
    return product


#: By the last four coefficients, what they become when a polynomial is multiplied by x^4.
_OVERFLOWS = [_by_x(_by_x(_by_x(_by_x(last)))) for last in range(16)]


@lru_cache(maxsize=4096)
def _shift(length: int) -> int:
    """What the checksum of something is multiplied by when so many bytes follow it: x^(8 * length)."""
    shift, squares = _ONE, 0
    while length:
        if length & 1:
            shift = _multiplied(_square(squares), shift)
        length >>= 1
        squares += 1
    return shift


@cache
def _square(times: int) -> int:
    """x^8, squared so many times."""
    return _multiplied(_square(times - 1), _square(times - 1)) if times else _BYTE
