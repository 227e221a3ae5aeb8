"""A gzip member that is compressed once, and completed for each answer with bytes that are read at the request."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_LEVEL = 6
#: RFC 1952: magic, deflate, no flags, no time, no extra, unknown system.
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
#: How many deflated bytes are inflated at a time, and how many bytes that yields at most.
_PACKED_BYTES = 8 * 1024
_PART_BYTES = 32 * 1024
#: What inflating holds until it is done: a part, the deflated bytes, and zlib's window and tables.
INFLATING_BYTES = _PART_BYTES + _PACKED_BYTES + 48 * 1024


@dataclass(frozen=True, slots=True)
class GzipBody:
    """Deflated content that ends at a byte boundary, so that more can follow.

    `length` and `checksum` (CRC-32) are those of the content before it was deflated.
    """

    deflated: bytes
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
        return cls(bytes(deflated), checksum, length)

    def member(self, end: bytes) -> tuple[bytes, bytes, bytes]:
        """The content and `end` as one gzip member, in parts. Only `end` is compressed now."""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        tail = compressor.compress(end) + compressor.flush(zlib.Z_FINISH)
        trailer = zlib.crc32(end, self.checksum).to_bytes(4, "little")
        trailer += ((self.length + len(end)) & 0xFFFFFFFF).to_bytes(4, "little")
        return (_HEADER, self.deflated, tail + trailer)

    def inflated(self) -> Iterator[bytes]:
        """The content as it was, in parts of at most 32 KiB. Each is inflated when it is asked for."""
        inflating = zlib.decompressobj(-zlib.MAX_WBITS)
        for start in range(0, len(self.deflated), _PACKED_BYTES):
            packed = self.deflated[start : start + _PACKED_BYTES]
            while packed:
                yield inflating.decompress(packed, _PART_BYTES)
                packed = inflating.unconsumed_tail
        yield inflating.flush()
