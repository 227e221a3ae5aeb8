"""The page at `/status`: the problems with advice, the scans, and tables of what the lists do not have."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from exporter.core.knowledge import INPUT_LABELS
from exporter.expose.advice import ADVICE
from exporter.expose.snapshot_api.rows import FilesystemRow, GapRow
from exporter.expose.summary import Summary
from exporter.web.pages import common
from exporter.web.pages.frame import NAME, PageFrame
from exporter.web.pages.html import Cell, Count, Heading, Html, Size, columns, link, section, shown, table
from exporter.web.pages.words import words

_LABELS: Mapping[str, str] = {str(one): text for one, text in INPUT_LABELS.items()}
_WORDS = (
    *("layout", "layer", "on disk", "virtual", "unique", "share", "used", "unused", "dangling", "not loaded", "stale"),
    *("writable layer", "log limit", "reclaimable", "orphaned", "?", "≥"),
)


def status(frame: PageFrame, summary: Summary, filesystems: Sequence[FilesystemRow]) -> str:
    """The whole page."""
    parts = (
        common.notices(summary),
        common.tiles(summary),
        _problems(summary),
        _filesystems(summary, filesystems),
        _scans(summary),
        _directories(summary),
        _store(summary),
        _namespaces(summary),
        common.reclaimable(summary, title="Reclaimable"),
        _images(summary),
        _containers(summary),
        _mounts(summary),
        _volumes(summary),
        _orphans(summary),
        words(*_WORDS),
    )
    return frame.page(f"{NAME}: status", "/status", "".join(parts), facts=common.facts(summary))


def _problems(summary: Summary) -> str:
    """The files that could not be read, by reason, with advice."""
    if not (summary.problem_count or summary.missing or summary.gaps):
        if summary.error:
            return ""  # the notice at the top has it
        said = "Everything could be read." if summary.taken is not None else "Nothing that could not be read so far."
        return section("Errors", f'<p class="good">{said}</p>', wide=True, at="errors")
    content = ""
    if summary.missing:
        content += (
            f'<p class="bad">Layers that images or containers refer to are missing: {summary.missing:,}. '
            "What stands on them does not start. Pull the images again, or restore them from a backup.</p>"
        )
    content += _gaps(summary.gaps)
    ordered = sorted(summary.problems, key=lambda one: (one.reason, one.path))
    for reason, problems in groupby(ordered, lambda one: one.reason):
        content += f'<p><b class="warn">{shown(reason)}</b> {shown(ADVICE[reason])}</p>'
        rows = [(one.path, one.collector, one.detail) for one in problems]
        content += table(f"Errors of the kind {reason}", columns("Path", "Collector", "Detail"), rows)
    if summary.problem_count > len(summary.problems):
        content += f'<p class="more">{summary.problem_count:,} in all.</p>'
    return section("Errors, and what to do", content, wide=True, at="errors")


def _gaps(gaps: Sequence[GapRow]) -> str:
    """What was not read, and so what is not known."""
    if not gaps:
        return ""
    said = (
        '<p><b class="warn">not known</b> Figures that need what is listed here are left out or shown as ?. Nothing is '
        "called unused, orphaned or reclaimable because of it.</p>"
    )
    rows = [(one.path, _LABELS.get(one.input, one.input), one.why) for one in gaps]
    return said + table("What was not read", columns("Path", "Part of", "Why"), rows)


def _filesystems(summary: Summary, rows: Sequence[FilesystemRow]) -> str:
    if not rows:
        return ""
    cells = [common.filesystem_cells(row, summary) for row in rows]
    content = table("As df shows them", common.FILESYSTEM_COLUMNS, cells)
    return section("Filesystems", content, wide=True, at="filesystems")


def _scans(summary: Summary) -> str:
    if not summary.collectors:
        return ""
    rows = [
        (
            name,
            Html('<span class="good">ok</span>' if scan.success else '<span class="bad">with errors</span>'),
            Html(f"{scan.seconds:.3g} s"),
            Count(scan.entries),
        )
        for name, scan in summary.collectors
    ]
    content = table("The last scan of each collector", columns("Collector", "Result", "Time", ">Entries"), rows)
    return section("Last scans", content, wide=True)


def _more(  # noqa: PLR0913 - what a section has
    title: str, content: str, count: int | None, rows: int, leads: str, *, at: str = ""
) -> str:
    """A wide table of the largest objects, how many there are, and where all of them are, as HTML. "" without rows."""
    if not rows:
        return ""
    rest = f", {count - rows:,} more not shown" if count is not None and count > rows else ""
    more = f'<p class="more">{common.counted(count)} in all{rest}. {leads}</p>'
    return section(title, content + more, wide=True, at=at)


def _terminal(command: str) -> str:
    return f"In a terminal: <code>{NAME} {command}</code>"


def _listed(path: str) -> str:
    return f"{link(path, 'The list of all')}. {_terminal(path.removeprefix('/'))}"


def _directories(summary: Summary) -> str:
    largest = (summary.directories[0].allocated or 0) if summary.directories else 0
    rows = [(row.name, Size(row.allocated, largest), row.size, Count(row.inodes)) for row in summary.directories]
    headings = columns("Part", ">On disk", ">Size", ">Inodes")
    content = table("The entries of the root, as du counts them", headings, rows)
    return _more("Data root, as du", content, summary.count("directories"), len(rows), _terminal("df"), at="parts")


def _store(summary: Summary) -> str:
    """The parts of containerd's image store, and what to know of it."""
    largest = max((row.allocated or 0 for row in summary.store), default=0)
    rows = [(row.what, Size(row.allocated, largest), Count(row.objects)) for row in summary.store]
    if not rows:
        return ""
    notes = "".join(f'<p class="more">{shown(line)}</p>' for line in summary.store_notes)
    content = table("Blobs and snapshots by use", columns("What", ">On disk", ">Objects"), rows) + notes
    return section("Image store of containerd", content, wide=True, at="store")


def _namespaces(summary: Summary) -> str:
    rows = [
        (
            row.namespace,
            row.what,
            Count(row.images),
            Count(row.containers),
            Count(row.layers),
            row.layers_allocated,
            row.blobs_allocated,
            row.own_blobs_allocated,
        )
        for row in summary.namespaces
    ]
    if not rows:
        return ""
    counts = (">Images", ">Containers", ">Snapshots")
    headings = columns("Namespace", "Of", *counts, ">Unpacked", ">Content", ">Own content")
    caption = "Content is there once for all namespaces, and freed when the last lets go of it"
    return section("Namespaces of containerd", table(caption, headings, rows), wide=True)


def _in_namespaces(
    summary: Summary, caption: str, headings: Sequence[Heading], rows: Iterable[tuple[str, tuple[Cell, ...]]]
) -> str:
    """A table of objects, given with the namespace of each, which is a column where there are several."""
    if not summary.namespaces:
        return table(caption, headings, [cells for _, cells in rows])
    named = [(namespace, *cells) for namespace, cells in rows]
    return table(caption, (*columns("Namespace"), *headings), named, head=1)


def _images(summary: Summary) -> str:
    largest = max((row.virtual or 0 for row in summary.images), default=0)
    rows = [(row.namespace, common.image_cells(row, largest)) for row in summary.images]
    content = _in_namespaces(summary, "The largest by virtual size", common.IMAGE_COLUMNS, rows)
    return _more("Images", content, summary.count("images"), len(rows), _listed("/images"))


def _containers(summary: Summary) -> str:
    largest = max((row.written or 0 for row in summary.containers), default=0)
    rows = [(row.namespace, common.container_cells(row, largest)) for row in summary.containers]
    caption = "The largest by writable layer and log together"
    content = _in_namespaces(summary, caption, common.CONTAINER_COLUMNS, rows)
    return _more("Containers", content, summary.count("containers"), len(rows), _listed("/containers"))


def _mounts(summary: Summary) -> str:
    """The mounts of containers: a backup needs them besides the writable layers."""
    headings = columns("Container", "Kind", "Source", "In the container", "Mode")
    rows = [(name, one.kind, one.source, one.destination, one.mode) for name, one in summary.mounts]
    content = table("What containers see from outside of their layers", headings, rows)
    return _more("Mounts that a backup must cover", content, summary.count("mounts"), len(rows), _terminal("backup"))


def _volumes(summary: Summary) -> str:
    largest = max((row.size or 0 for row in summary.volumes), default=0)
    rows = [
        (row.name, row.driver, Size(row.size, largest), row.allocated, Count(row.containers)) for row in summary.volumes
    ]
    content = table("The largest", columns("Volume", "Driver", ">Size", ">On disk", ">Containers"), rows)
    return _more("Volumes", content, summary.count("volumes"), len(rows), _listed("/volumes"))


def _orphans(summary: Summary) -> str:
    rows = [(row.name or row.id, row.driver, row.allocated, row.home) for row in summary.orphans]
    content = table("The largest", columns("Layer", "Driver", ">On disk", "Directory"), rows)
    leads = f"{link('/layers?only=orphaned', 'The list of all')}. {_terminal('layers --orphaned')}"
    return _more("Orphaned layers", content, summary.count("orphaned layers"), len(rows), leads)
