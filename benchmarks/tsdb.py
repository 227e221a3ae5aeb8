"""Writes blocks of Prometheus' database: many times as fast as promtool reads text, so that a fleet has its week.

The forms are those of prometheus/tsdb/docs/format (index.md, chunks.md) and tsdb/chunkenc/xor.go, version 2.42.
"""

import json
import struct
from array import array
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

Labels = tuple[tuple[str, str], ...]
#: First and last time in milliseconds, and the bytes as they are in the file, with length and checksum.
Chunk = tuple[int, int, bytes]

_SEGMENT_BYTES = 500_000_000
_POLYNOMIAL = 0x82F63B78


def _table() -> list[int]:
    made = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)  # noqa: PLW2901 - eight steps of one division
        made.append(value)
    return made


_CRC = _table()


def crc(data: bytes) -> bytes:
    """CRC-32C, big-endian."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 255] ^ (value >> 8)
    return struct.pack(">I", value ^ 0xFFFFFFFF)


def uvarint(value: int) -> bytes:
    """An unsigned integer, seven bits in each byte, the lowest first."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def varint(value: int) -> bytes:
    """A signed integer; the sign is the lowest bit."""
    return uvarint(value << 1 if value >= 0 else ~(value << 1))


def chunk(start: int, step: int, values: Sequence[float]) -> Chunk:
    """Encode samples at regular times, in milliseconds: two at least."""
    bits = [int.from_bytes(struct.pack(">d", value), "big") for value in values]
    head = struct.pack(">H", len(values)) + varint(start) + bits[0].to_bytes(8, "big") + uvarint(step)
    stream, length, window = _change(bits[0] ^ bits[1], None)
    for before, after in pairwise(bits[1:]):
        added, count, window = _change(before ^ after, window)
        stream, length = stream << count + 1 | added, length + count + 1
    unused = -length % 8
    data = b"\x01" + head + (stream << unused).to_bytes((length + unused) // 8, "big")
    return start, start + step * (len(values) - 1), uvarint(len(data) - 1) + data + crc(data)


def _change(delta: int, window: tuple[int, int] | None) -> tuple[int, int, tuple[int, int] | None]:
    """The bits for a value that differs by `delta`, their number, and the window of the bits that may differ."""
    if not delta:
        return 0, 1, window
    leading = min(64 - delta.bit_length(), 31)
    trailing = (delta & -delta).bit_length() - 1
    if window is not None and leading >= window[0] and trailing >= window[1]:
        size = 64 - sum(window)
        return 0b10 << size | delta >> window[1], 2 + size, window
    size = 64 - leading - trailing
    return (0b11 << 11 | leading << 6 | size & 63) << size | delta >> trailing, 13 + size, (leading, trailing)


class _File:
    """A file that knows how long it is."""

    def __init__(self, path: Path, head: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("wb", buffering=1 << 20)
        self.length = 0
        self.add(head)

    def add(self, data: bytes) -> None:
        """Write bytes at the end."""
        self._file.write(data)
        self.length += len(data)

    def align(self, size: int) -> None:
        """Fill with zeros up to a multiple of `size`."""
        self.add(bytes(-self.length % size))

    def section(self, data: bytes) -> int:
        """Write a length of four bytes, the data and its checksum; return where it begins."""
        at = self.length
        self.add(struct.pack(">I", len(data)) + data + crc(data))
        return at

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Chunks:
    """The segments of a block's chunks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._file = self._next()

    def add(self, data: bytes) -> int:
        """Write a chunk; return its reference."""
        if self._file.length > _SEGMENT_BYTES:
            self.close()
            self._file = self._next()
        at = self._file.length
        self._file.add(data)
        return (self._number - 1) << 32 | at

    def close(self) -> None:
        """Close the last segment."""
        self._file.close()

    def _next(self) -> _File:
        self._number += 1
        return _File(self._folder / f"{self._number:06}", bytes.fromhex("85bd40dd 01 000000"))


def write_block(data: Path, number: int, series: Iterable[tuple[Labels, Sequence[Chunk]]], symbols: set[str]) -> Path:
    """Write a block into a database's directory; return its own.

    `series` come in the order of their labels, which are in the order of their names. `symbols` are all names and
    values of labels.
    """
    ulid = f"01BENCHMARK{number:015}"
    path = data / ulid
    chunks, index = _Chunks(path / "chunks"), _Index(path / "index", symbols)
    first, last, count = 1 << 62, 0, 0
    for labels, parts in series:
        index.add(labels, [(start, end, chunks.add(content)) for start, end, content in parts])
        first, last, count = min(first, parts[0][0]), max(last, parts[-1][1]), count + len(parts)
    chunks.close()
    statistics = {"numSamples": 0, "numSeries": index.finish(), "numChunks": count}
    times = {"ulid": ulid, "minTime": first, "maxTime": last + 1, "version": 1}
    (path / "meta.json").write_text(
        json.dumps({**times, "stats": statistics, "compaction": {"level": 1, "sources": [ulid]}})
    )
    return path


class _Index:
    """The index of a block."""

    def __init__(self, path: Path, symbols: set[str]) -> None:
        self._file = _File(path, bytes.fromhex("baaad700 02"))
        ordered = sorted({"", *symbols}, key=str.encode)
        self._symbols = {text: uvarint(index) for index, text in enumerate(ordered)}
        texts = b"".join(_text(one) for one in ordered)
        self._at_symbols = self._file.section(struct.pack(">I", len(ordered)) + texts)
        self._file.align(16)
        self._at_series = self._file.length
        self._postings: dict[tuple[str, str], array[int]] = {("", ""): array("I")}

    def add(self, labels: Labels, parts: Sequence[tuple[int, int, int]]) -> None:
        """Add a series: for each chunk its first and last time and its reference."""
        self._file.align(16)
        here = self._file.length // 16
        symbols, content = self._symbols, [uvarint(len(labels))]
        self._postings["", ""].append(here)
        for label in labels:
            content += symbols[label[0]], symbols[label[1]]
            self._postings.setdefault(label, array("I")).append(here)
        content.append(uvarint(len(parts)))
        before, reference = 0, 0
        for place, (start, end, at) in enumerate(parts):
            content += varint(start) if place == 0 else uvarint(start - before), uvarint(end - start)
            content.append(uvarint(at) if place == 0 else varint(at - reference))
            before, reference = end, at
        data = b"".join(content)
        self._file.add(uvarint(len(data)) + data + crc(data))

    def finish(self) -> int:
        """Write the postings and the tables; return the number of series."""
        file, offsets = self._file, []
        file.align(4)
        at_postings = file.length
        for label in sorted(self._postings, key=lambda one: (one[0].encode(), one[1].encode())):
            found = self._postings[label]
            swapped = array("I", found)
            swapped.byteswap()
            offsets.append((label, file.section(struct.pack(">I", len(found)) + swapped.tobytes())))
        entries = [b"\x02" + _text(name) + _text(value) + uvarint(at) for (name, value), at in offsets]
        at_labels = file.section(struct.pack(">I", 0))
        at_offsets = file.section(struct.pack(">I", len(entries)) + b"".join(entries))
        # There are no label indices: since version 2.16 nothing reads them. Their place is that of the postings.
        places = (self._at_symbols, self._at_series, at_postings, at_labels, at_postings, at_offsets)
        table = struct.pack(">6Q", *places)
        file.add(table + crc(table))
        file.close()
        return len(self._postings["", ""])


def _text(one: str) -> bytes:
    encoded = one.encode()
    return uvarint(len(encoded)) + encoded
