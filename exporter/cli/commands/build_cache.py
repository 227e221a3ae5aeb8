"""`build-cache`: the records of BuildKit's cache by size and last use, and the history of builds."""

from collections.abc import Sequence

from msgspec import to_builtins

from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList
from exporter.cli.commands.filters import begins, equals, is_true, until
from exporter.cli.commands.habits import PLAIN, Habits, choose
from exporter.cli.commands.index import Index
from exporter.cli.commands.tables import Answer, Lines, Table, not_known, size, total
from exporter.cli.commands.times import moment, since
from exporter.expose.snapshot_api.rows import BuildRecordRow, Document

_MOST_BUILDS = 10
_HISTORY = "build_history"


def build_cache(index: Index, habits: Habits = PLAIN) -> Answer:
    """List the records, the largest first, and of those of one size the one that was not used for longest."""
    document = index.document
    rows = sorted(document.build_records, key=lambda one: (-(one.size or 0), one.last_used or 0, one.id))
    hidden = () if len({one.namespace for one in rows}) > 1 else ("namespace",)
    chosen = choose(BUILD_CACHE, index, rows, habits, hidden=hidden)
    parts: list[Table | Lines] = [
        chosen.table(summed="total"),
        *chosen.said(),
        *_shared(chosen.rows),
        *not_known(document, "build_cache_records", "build_cache_shares"),
    ]
    if not rows and not document.why_not("build_cache_records"):
        parts.append(Lines("", ["The build cache has no record."]))
    data = {
        "records": [to_builtins(one) for one in chosen.rows],
        "history": document.history,
        "builds": [to_builtins(one) for one in document.builds],
        "reclaimable": [to_builtins(one) for one in document.reclaimable if one.category in ("build_cache", _HISTORY)],
    }
    return Answer(data, [*parts, *_history(document)], failed=chosen.failed, listings=(chosen,))


def _shared(rows: Sequence[BuildRecordRow]) -> list[Lines]:
    """Say how much of it images have as well: docker system df counts only the rest."""
    shared = [one for one in rows if one.shared]
    idle = sum(one.idle for one in rows)
    lines = []
    if shared:
        bytes_ = total(one.size for one in shared)
        lines.append(
            f"{size(bytes_)} are layers that an image has as well: docker system df leaves them out, and no prune of "
            "the build cache alone frees them."
        )
    if idle:
        lines.append(f"{idle} of them belong to another snapshotter than the one that the engine works with now.")
    return [Lines("", lines)] if lines else []


def _history(document: Document) -> list[Table | Lines]:
    """The builds that the history has, the newest first, and what frees it."""
    row = next((one for one in document.reclaimable if one.category == _HISTORY), None)
    if document.history is None:
        there = any(not one.root and one.name == "buildkit" for one in document.directories)
        why = row.why if row is not None and there else ""
        return [Lines("", [f"The build history is not known: {why.rstrip('.')}."])] if why else []
    builds = sorted(document.builds, key=lambda one: (-(one.created or 0), one.id))
    of_history = next((one.allocated for one in document.content if one.use == _HISTORY), None)
    title = f"Build history: {document.history} builds, {size(of_history)} of logs, traces and provenance"
    table = Table(title, ("BUILD", "CREATED"), [(one.id, since(one.created)) for one in builds[:_MOST_BUILDS]])
    lines = [f"{len(builds) - _MOST_BUILDS} older builds are not listed."] if len(builds) > _MOST_BUILDS else []
    lines += [f"What frees it: {row.how}"] if row is not None and row.how else []
    return [table if builds else Lines("", [title]), *([Lines("", lines)] if lines else [])]


def _yes(value: bool | None) -> str | None:
    return None if value is None else ("yes" if value else "no")


#: The columns of the list.
BUILD_CACHE: ObjectList[BuildRecordRow] = ObjectList(
    "build record",
    (
        Column("namespace", "NAMESPACE", Kind.TEXT, lambda _, one: one.namespace, 20),
        Column("id", "CACHE ID", Kind.TEXT, lambda _, one: one.id, 50, ("ID",), keep=True),
        Column("type", "TYPE", Kind.WORD, lambda _, one: one.kind, 70, ("CacheType", "Type")),
        Column("size", "SIZE", Kind.SIZE, lambda _, one: one.size, 95, ("Size",), total=True),
        Column("last_used", "LAST USED", Kind.AGE, lambda _, one: one.last_used, 90, ("LastUsedSince",)),
        Column("created", "CREATED", Kind.AGE, lambda _, one: one.created, 40, ("CreatedSince",)),
        Column("usage_count", "USES", Kind.COUNT, lambda _, one: one.usage_count, 45, ("UsageCount",)),
        Column("shared", "SHARED", Kind.WORD, lambda _, one: _yes(one.shared), 60, ("Shared",)),
        Column("last_used_at", "LAST USED AT", Kind.TEXT, lambda _, one: moment(one.last_used), shown=False),
        Column("created_at", "CREATED AT", Kind.TEXT, lambda _, one: moment(one.created), shown=False),
    ),
    names=lambda _, one: (one.id,),
    ids=lambda _, one: (one.id,),
    key=lambda _, one: one.id,
    whole=lambda _, one: one.id,
    filters={
        "id": begins(lambda _, one: (one.id,)),
        "type": equals(lambda _, one: (one.kind,)),
        "shared": is_true(lambda _, one: one.shared),
        "private": is_true(lambda _, one: None if one.shared is None else not one.shared),
        "until": until(lambda _, one: one.last_used if one.last_used is not None else one.created),
        "namespace": equals(lambda _, one: (one.namespace,)),
    },
)
