"""Families to bytes, once per snapshot, in a form that a scrape can finish without rendering them again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import exposition
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics_exposition
from prometheus_client.registry import Collector as FamilySource

from exporter.core.gzip_body import GzipBody

Format = Literal["text", "openmetrics"]

_EOF = b"# EOF\n"


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
    """One exposition without its end, which is read at each scrape: plain and compressed.

    `parts` may be shared with the page in the other format: the samples are the same.
    """

    parts: tuple[bytes, ...]
    compressed: GzipBody

    @classmethod
    def of(cls, parts: Iterable[bytes]) -> "Page":
        """Compress a page."""
        kept = tuple(parts)
        return cls(kept, GzipBody.of(kept))

    @property
    def length(self) -> int:
        """How many bytes the page has, uncompressed."""
        return self.compressed.length

    def finish(self, end: bytes) -> bytes:
        """The whole page, with `end` behind it."""
        return b"".join((*self.parts, end))

    def finish_gzip(self, end: bytes) -> bytes:
        """The whole page as one gzip member."""
        return b"".join(self.gzip_parts(end))

    def gzip_parts(self, end: bytes) -> tuple[bytes, ...]:
        """The page as one gzip member, in parts; only `end` is compressed now."""
        return self.compressed.member(end)


def render_part(families: Iterable[Family], style: Format) -> bytes:
    """Render a part of an exposition, behind which others can be put."""
    return render(families, style).removesuffix(_EOF)


def render_both(family: Family) -> tuple[bytes, bytes, bytes]:
    """Render a gauge or info family: its head as text, its head as OpenMetrics, and the samples, which are the same."""
    text = render_part([family], "text")
    head_lines = 2
    samples = text.split(b"\n", head_lines)[head_lines]
    head = Family(family.name, family.documentation, family.type, family.unit)
    return text[: len(text) - len(samples)], render_part([head], "openmetrics"), samples
