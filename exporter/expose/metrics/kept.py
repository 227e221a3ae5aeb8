"""The exposition of a root that changes: what stays the same is neither rendered nor compressed again.

A table is cut into blocks of about `_BLOCK` objects. Where a block ends depends on the object there and on nothing
else, so an object that comes or goes changes the block that it is in, and no other. Of a block only the compressed
lines are kept, by family.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct, field

from exporter.config.limits import Limited, Shown
from exporter.core.gzip_body import GzipBody, JoinedBodies
from exporter.core.hashes import blake2b
from exporter.expose.metrics.catalogue import Metric
from exporter.expose.metrics.families import Part, dropped, parts
from exporter.expose.metrics.family import MetricFamily
from exporter.expose.metrics.render import Heads, KeptRendering, heads
from exporter.expose.metrics.table import Entries, ObjectTable
from exporter.expose.metrics.table import Shown as ShownEntry
from exporter.figures.figures import Figures

#: How many objects a block has on the average. More are compressed better, and fewer are sooner done again.
_BLOCK = 32
_MOST = 8 * _BLOCK
_DIGEST_BYTES = 16


class Expositions(NamedTuple):
    """One exposition without its end, which is read at each scrape, in both formats. They share their samples."""

    text: GzipBody
    openmetrics: GzipBody


class _Lines(NamedTuple):
    """The compressed lines of a block in one family, and the digest of the plain ones."""

    digest: bytes
    body: GzipBody


class _RowBlock(Struct):
    """Some objects of a table, one after the other, with their lines by family."""

    entries: list[ShownEntry[Any]]
    lines: tuple[_Lines, ...]


class _KeptTable(Struct):
    """What is kept of one table: its entries, its blocks by the first object of each, and its families."""

    entries: Entries[Any] = field(default_factory=Entries)
    blocks: dict[tuple[str, ...], _RowBlock] = field(default_factory=dict)
    columns: defaultdict[Metric, JoinedBodies] = field(default_factory=lambda: defaultdict(JoinedBodies))


class KeptExposition:
    """Renders one snapshot after the other."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._tables: dict[str, _KeptTable] = {}
        self._texts: dict[bytes, GzipBody] = {}
        #: Of which snapshot the tables are.
        self._token: object = None
        self._small = KeptRendering()
        self._heads: dict[Metric, tuple[GzipBody, GzipBody]] = {}

    def render(self, figures: Figures) -> Expositions:
        """Render the families of a snapshot."""
        limited = Limited(self._shown)
        texts: dict[bytes, GzipBody] = {}
        text: list[GzipBody] = []
        openmetrics: list[GzipBody] = []
        small: list[Heads] = []

        def end_small() -> None:
            """Compress the families that are no tables, together."""
            for bodies, raw in (
                (text, b"".join(one.text for one in small)),
                (openmetrics, b"".join(one.openmetrics for one in small)),
            ):
                if raw:
                    texts[raw] = texts.get(raw) or self._texts.get(raw) or GzipBody.of([raw])
                    bodies.append(texts[raw])
            small.clear()

        going_on, self._token = figures.before is self._token, figures.token
        for part in self._all(figures, limited):
            if isinstance(part, MetricFamily):
                small.append(self._small.both(part))
                continue
            end_small()
            for metric, body in self._table(part, limited, going_on=going_on):
                both = self._heads_of(metric)
                text += (both[0], body)
                openmetrics += (both[1], body)
        end_small()
        self._texts = texts
        return Expositions(GzipBody.joined(text), GzipBody.joined(openmetrics))

    def _all(self, figures: Figures, limited: Limited) -> Iterator[Part]:
        yield from parts(figures, self._shown)
        if figures.snapshot.measured:
            yield dropped(limited)

    def _heads_of(self, metric: Metric) -> tuple[GzipBody, GzipBody]:
        if metric not in self._heads:
            made = heads(metric)
            self._heads[metric] = GzipBody.of([made.text]), GzipBody.of([made.openmetrics])
        return self._heads[metric]

    def _table(self, table: ObjectTable[Any], limited: Limited, *, going_on: bool) -> Iterator[tuple[Metric, GzipBody]]:
        """The lines of each family of a table."""
        kept = self._tables.setdefault(table.limit, _KeptTable())
        made = table.barrier.attempt(
            table.collector, f"metrics of {table.limit}", lambda: _blocks(table, kept, limited, going_on=going_on), None
        )
        if made is None:
            del self._tables[table.limit]
            return
        for at, column in enumerate(table.columns):
            yield column.metric, kept.columns[column.metric].update([block.lines[at].body for block in made])


def _blocks(table: ObjectTable[Any], kept: _KeptTable, limited: Limited, *, going_on: bool) -> list[_RowBlock]:
    """The blocks of a table, as far as possible those that were made before."""
    before, blocks = kept.blocks, []
    for entries in _cut(table.shown(limited, kept.entries.advance(table, going_on=going_on))):
        known = before.get(entries[0][0].key)
        if known is None or known.entries != entries:
            labelled: dict[tuple[str, ...], list[str]] = {}
            made = [_lines(table, at, entries, labelled, known) for at in range(len(table.columns))]
            known = _RowBlock(entries, tuple(made))
        blocks.append(known)
    kept.blocks = {block.entries[0][0].key: block for block in blocks}
    return blocks


def _cut(shown: Sequence[ShownEntry[Any]]) -> Iterator[list[ShownEntry[Any]]]:
    """Cut entries into blocks. The hash of a text is another one in each process, so nobody can choose where."""
    ends = [at for at, (entry, _) in enumerate(shown) if not entry.mark % _BLOCK]
    start = 0
    for end in (*ends, len(shown)):
        for first in range(start, end, _MOST):
            yield list(shown[first : min(first + _MOST, end)])
        start = end


def _lines(
    table: ObjectTable[Any],
    at: int,
    entries: Sequence[ShownEntry[Any]],
    labelled: dict[tuple[str, ...], list[str]],
    before: _RowBlock | None,
) -> _Lines:
    """The lines of a block in one family, as they were where they are the same."""
    raw = table.lines(table.columns[at], entries, labelled)
    digest = blake2b(raw, digest_size=_DIGEST_BYTES).digest()
    if before is not None and before.lines[at].digest == digest:
        return before.lines[at]
    return _Lines(digest, GzipBody.of([raw]))
