"""Families to bytes, once per snapshot, in a form that a scrape can finish without rendering them again."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import exposition
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector as FamilySource

Format = Literal["text", "openmetrics"]

_EOF = b"# EOF\n"
#: RFC 1952: magic, deflate, no flags, no time, no extra, unknown system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LEVEL = 6


class _Source(FamilySource):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def render(families: Iterable[Family], style: Format) -> bytes:
    """Render families in the Prometheus text format, or OpenMetrics with its final `# EOF`."""
    generate = openmetrics_exposition.generate_latest if style == "openmetrics" else exposition.generate_latest
    rendered: bytes = generate(_Source(families))
    return rendered


@dataclass(frozen=True, slots=True)
class Page:
    """One exposition without its live end: plain, and deflated so that more can be put behind it."""

    plain: bytes
    deflated: bytes
    checksum: int

    @classmethod
    def of(cls, plain: bytes) -> "Page":
        """Compress a page up to a byte boundary."""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        deflated = compressor.compress(plain) + compressor.flush(zlib.Z_FULL_FLUSH)
        return cls(plain, deflated, zlib.crc32(plain))

    def finish(self, end: bytes) -> bytes:
        """The whole page, with `end` behind it."""
        return self.plain + end

    def finish_gzip(self, end: bytes) -> bytes:
        """The whole page as one gzip member."""
        return b"".join(self.gzip_parts(end))

    def gzip_parts(self, end: bytes) -> tuple[bytes, ...]:
        """The page as one gzip member, in parts; only `end` is compressed now."""
        compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        tail = compressor.compress(end) + compressor.flush(zlib.Z_FINISH)
        checksum = zlib.crc32(end, self.checksum)
        length = (len(self.plain) + len(end)) & 0xFFFFFFFF
        trailer = checksum.to_bytes(4, "little") + length.to_bytes(4, "little")
        return (_GZIP_HEADER, self.deflated, tail + trailer)


def render_part(families: Iterable[Family], style: Format) -> bytes:
    """Render a part of an exposition, behind which others can be put."""
    return render(families, style).removesuffix(_EOF)


def render_both(family: Family) -> tuple[bytes, bytes]:
    """Render a gauge or info family as text and as OpenMetrics: the samples are the same, the head is not."""
    text = render_part([family], "text")
    head_lines = 2
    samples = text.split(b"\n", head_lines)[head_lines]
    head = Family(family.name, family.documentation, family.type, family.unit)
    return text, render_part([head], "openmetrics") + samples
