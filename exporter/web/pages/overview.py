"""The page at `/`: how full the disk is, what grows, what is largest, what can be freed, and what is not known."""

import time
from collections.abc import Iterable, Sequence

from exporter.core.knowledge import INPUT_LABELS
from exporter.core.units import age
from exporter.expose.growing import Grown, Growth, SpaceThen
from exporter.expose.snapshot_api.rows import FilesystemRow, GapRow
from exporter.expose.summary import Summary
from exporter.web.pages import common
from exporter.web.pages.frame import NAME, PageFrame
from exporter.web.pages.html import Cell, Grew, Heading, Html, Size, columns, link, section, shown, table
from exporter.web.pages.words import words

_TOP = 10
_GAPS = 5
#: In a shorter time, growth says nothing about the next hours.
_SHORTEST_SECONDS = 600.0
_LABELS = {str(one): text for one, text in INPUT_LABELS.items()}
#: Where the objects of a kind are listed, those first that make it grow.
_LISTED = {
    "everything below the data root": "/status#parts",
    "layers of images": "/images?sort=created",
    "compressed content of images": "/images?sort=created",
    "writable layers of containers": "/containers?sort=writable",
    "logs of containers": "/containers?sort=log",
    "volumes": "/volumes",
    "build cache": "/build-cache?sort=last-used",
}
_WORDS = ("on disk", "virtual", "writable layer", "layer", "layout", "reclaimable", "?", "≥")


def overview(
    frame: PageFrame,
    summary: Summary,
    space: Sequence[FilesystemRow],
    growth: Growth | None = None,
    then: SpaceThen | None = None,
) -> str:
    """The whole page. Without `growth`, or `then`, nobody has said what grew."""
    parts = [common.notices(summary), common.tiles(summary), _filesystems(summary, space, then)]
    if summary.taken is not None or summary.progress is not None:
        parts += [_grown(growth), _largest(summary), common.reclaimable(summary, title="What can be freed")]
        parts += [_unknown(summary, space), words(*_WORDS)]
    return frame.page(NAME, "/", "".join(parts), facts=common.facts(summary))


def _filesystems(summary: Summary, rows: Sequence[FilesystemRow], then: SpaceThen | None) -> str:
    """How full each filesystem is, by how much it grew, and when it is full if that goes on."""
    if not rows:
        return ""
    grown = columns(">Grew", ">Full in")
    cells = [(*common.filesystem_cells(row, summary), *_trend(row, then)) for row in rows]
    since = " By how much it grew is not known yet."
    if then is not None:
        since = f" It grew in the last {age(then.seconds)}{_begun(then.begun)}."
    caption = f"The filesystems that the data root lies on, as df shows them.{since}"
    content = table(caption, (*common.FILESYSTEM_COLUMNS, *grown), cells)
    return section("How full the disk is", content, wide=True, at="filesystems")


def _trend(row: FilesystemRow, then: SpaceThen | None) -> tuple[Cell, ...]:
    """By how much a filesystem grew, and when it is full if that goes on."""
    if then is None:
        return None, None
    now, before = common.used(row), then.used.get(row.path)
    by = None if now is None or before is None else now - before
    if by is None or row.available is None:
        return Grew(by), None
    if by <= 0:
        return Grew(by), "not growing"
    if then.seconds < _SHORTEST_SECONDS:
        return Grew(by), None
    return Grew(by), f"about {age(row.available / by * then.seconds)}"


def _begun(seconds: float) -> str:
    """Since when totals are kept, where that is less than an hour."""
    if seconds >= 3600:
        return ""
    at = time.strftime("%H:%M", time.gmtime(time.time() - seconds))
    return f" (since {at} UTC, when this began to be kept; it begins anew with a restart)"


def _grown(growth: Growth | None) -> str:
    """What grew, by kind, by object and by part of the root."""
    title = "What grew in the last hour"
    if growth is None:
        return section(title, "<p>? The scanning process does not answer.</p>", wide=True, at="grown")
    if growth.seconds is None or growth.begun is None:
        line = "? Totals are kept from the end of the first scan on."
        return section(title, f"<p>{line}</p>", wide=True, at="grown")
    line = f"<p>In the last {age(growth.seconds)}{_begun(growth.begun)}.</p>"
    kinds = table(
        "By kind: disk blocks, and of logs their length", columns("What", ">Grew", ">Now"), map(_kind, growth.kinds)
    )
    headings = columns("Container or volume", "Kind", ">Grew", ">Now")
    objects = [(one.name, one.kind, Grew(one.by), one.now) for one in growth.objects]
    caption = "Containers (writable layer and log) and volumes that grew the most"
    found = (
        table(caption, headings, objects) if objects else "<p>No container and no volume is known to have grown.</p>"
    )
    parts = [(one.name, Grew(one.by), one.now) for one in growth.parts]
    of_parts = table("Parts of the data root that grew the most", columns("Part", ">Grew", ">Now"), parts)
    return section(title, line + kinds + found + (of_parts if parts else ""), wide=True, at="grown")


def _kind(one: Grown) -> tuple[Cell, ...]:
    listed = _LISTED.get(one.name)
    name = Html(link(listed, one.name)) if listed else one.name
    return name, Grew(one.by), Size(one.now, least=bool(one.parts))


def _largest(summary: Summary) -> str:
    """The largest objects of each kind."""
    count = summary.count
    records = common.counted(count("build records"))
    rankings: tuple[tuple[str, str, str, str, list[tuple[str, Size]]], ...] = (
        ("Parts of the data root", "on disk", "All parts", "/status#parts", _parts(summary)),
        ("Image store of containerd", "on disk", "All of it", "/status#store", _store(summary)),
        ("Images", "virtual size", f"All images ({common.counted(count('images'))})", "/images", _images(summary)),
        (
            "Containers",
            "writable layer + log",
            f"All containers ({common.counted(count('containers'))})",
            "/containers",
            _containers(summary),
        ),
        ("Volumes", "size", f"All volumes ({common.counted(count('volumes'))})", "/volumes", _volumes(summary)),
        ("Layers", "on disk", f"All layers ({common.counted(count('layers'))})", "/layers", _layers(summary)),
        ("Build cache", "size", f"All records of the build cache ({records})", "/build-cache", _records(summary)),
    )
    return "".join(_ranking(*one) for one in rankings)


def _volumes(summary: Summary) -> list[tuple[str, Size]]:
    return [(one.name, Size(one.size)) for one in summary.volumes]


def _records(summary: Summary) -> list[tuple[str, Size]]:
    return [(one.id, Size(one.size)) for one in summary.records]


def _parts(summary: Summary) -> list[tuple[str, Size]]:
    return [(one.name, Size(one.allocated)) for one in summary.directories]


def _store(summary: Summary) -> list[tuple[str, Size]]:
    return [(one.what, Size(one.allocated)) for one in summary.store]


def _images(summary: Summary) -> list[tuple[str, Size]]:
    return [(common.image_name(one), Size(one.virtual)) for one in summary.images]


def _containers(summary: Summary) -> list[tuple[str, Size]]:
    return [(one.called, Size(one.written, least=not one.written_whole)) for one in summary.containers]


def _layers(summary: Summary) -> list[tuple[str, Size]]:
    return [(common.short_key(one.name or one.id), Size(one.allocated)) for one in summary.layers]


def _ranking(title: str, by: str, all_of_it: str, listed: str, rows: Iterable[tuple[str, Size]]) -> str:
    """The largest of one kind, with a link to all. Nothing where there is none."""
    found = [(name, size) for name, size in rows if size.value != 0][:_TOP]
    if not found:
        return ""
    whole = max(size.value or 0 for _, size in found)
    cells = [(name, Size(size.value, whole, size.least)) for name, size in found]
    heading = Heading(f"{by[0].upper()}{by[1:]}", number=True)
    content = table(f"The largest, {by}", (Heading("Name"), heading), cells)
    return section(title, f'{content}<p class="more">{link(listed, all_of_it)}</p>')


def _unknown(summary: Summary, space: Sequence[FilesystemRow]) -> str:
    """What is not known, and where that is said in full."""
    rows: list[tuple[Cell, Cell]] = []
    silent = [one.mountpoint for one in space if one.size is None]
    rows += [
        (f"filesystem {name}", "how full it is: it does not answer, or says what cannot be true") for name in silent
    ]
    if summary.unknown:
        of = "kind" if summary.unknown == 1 else "kinds"
        rows.append((Html(link("/status#errors", f"{summary.unknown} {of} of figures")), "what they need was not read"))
    for name, count in summary.sizeless:
        rows.append((Html(link(f"/{name}?only=unknown", name.replace("-", " "))), f"the size of {count:,} of them"))
    if summary.problem_count:
        what = "what is in files or directories that could not be read"
        rows.append((Html(link("/status#errors", f"errors ({summary.problem_count:,})")), what))
    rows += [(one.path, _gap(one)) for one in summary.gaps[:_GAPS]]
    if summary.progress is not None:
        rows.append(("all that is not measured yet", "the first scan is under way"))
    if not rows:
        return section(
            "What is not known", '<p class="good">Nothing: everything could be read.</p>', at="unknown", wide=True
        )
    more = f'<p class="more">{link("/status#errors", "All, and what to do")}</p>'
    content = table("What was not read or measured", columns("Of", "Not known"), rows) + more
    return section("What is not known", content, wide=True, at="unknown")


def _gap(gap: GapRow) -> Html:
    return Html(f"{shown(_LABELS.get(gap.input, gap.input))}: {shown(gap.why)}")
