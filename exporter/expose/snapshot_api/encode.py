"""A `Snapshot` as the rows of a `Document`, and those as JSON, piece by piece: no whole of it is held at once."""

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import asdict

from exporter.core.gzip_body import GzipBody
from exporter.core.model import Collector
from exporter.core.text import escape
from exporter.core.version import VERSION
from exporter.expose.snapshot_api import objects, store
from exporter.expose.snapshot_api.pieces import as_json, encoded, row_as_json
from exporter.expose.snapshot_api.rows import SCHEMA
from exporter.figures.figures import Figures


def describe(figures: Figures) -> GzipBody:
    """Make the document of a snapshot, but for what `pieces.ending` makes. It is kept compressed only."""
    return GzipBody.of(map(encoded, _pieces(figures)))


def _pieces(figures: Figures) -> Iterator[str]:
    snapshot = figures.snapshot
    inventory, measured = snapshot.inventory, bool(snapshot.measured)
    head = {
        "schema": SCHEMA,
        "exporter": VERSION,
        "root": escape(snapshot.root),
        "error": escape(snapshot.error),
        "layouts": inventory.layouts,
        "unmeasured": inventory.unmeasured,
        "drivers": [escape(name) for name in inventory.drivers],
        "origins": sorted({escape(one.origin) for one in inventory.containers if one.origin}),
        "nested": [escape(name) for name in inventory.nested],
        "further": [escape(one.path) for one in snapshot.further],
        "unattributed": figures.reclaim.unattributed if measured else None,
        "store": store.home(snapshot),
        "engine": escape(inventory.content.engine) if inventory.content is not None else "",
        "history": figures.history if measured else None,
        "progress": asdict(snapshot.progress) if snapshot.progress and measured and snapshot.unfinished else None,
    }
    yield as_json(head)[:-1]
    parts: dict[str, Iterable[Any]] = {
        "directories": objects.directories(figures),
        "reclaimable": objects.reclaimable(figures.reclaim) if measured else (),
        "plan": objects.steps(figures),
        "layers": objects.layers(figures),
        "images": objects.images(figures),
        "containers": objects.containers(figures),
        "volumes": objects.volumes(figures),
        "missing": objects.missing(figures),
        "plugins": objects.plugins(snapshot),
        "remarks": objects.remarks(snapshot),
        "temporary": objects.temporary(snapshot),
        "content": store.content(figures),
        "namespaces": store.namespaces(figures),
        "blobs": store.blobs(figures),
        "ingests": store.ingests(figures),
        "build_records": objects.build_records(figures),
        "builds": store.builds(figures),
    }
    for name, rows in parts.items():
        yield from _list(figures, name, rows if measured else ())
    yield from _list(figures, "gaps", objects.gaps(inventory.knowledge))
    yield from _list(figures, "unknown", objects.unknown(figures) if measured else ())
    yield from _list(figures, "problems", objects.problems(figures))  # last: what failed until now is one


def _list(figures: Figures, name: str, rows: Iterable[Any]) -> Iterator[str]:
    yield f',"{name}":['
    made = figures.barrier.until_failure(Collector.DIRECTORIES, f"rows of {name}", map(row_as_json, rows))
    for number, row in enumerate(made):
        yield "," + row if number else row
    yield "]"
