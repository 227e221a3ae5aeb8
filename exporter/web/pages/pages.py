"""The pages for people: the overview at `/`, and the details and problems with advice at `/status`."""

import time
from collections.abc import Mapping, Sequence
from itertools import groupby

from exporter.core.knowledge import INPUT_LABELS
from exporter.core.measured import Reason
from exporter.core.model import Progress
from exporter.core.units import age, human
from exporter.expose.advice import ADVICE
from exporter.expose.snapshot_api.rows import ContainerRow, FilesystemRow, GapRow, ImageRow
from exporter.expose.summary import NOT_YET, Summary
from exporter.web.pages.html import Cell, Count, Html, Share, page, said, section, shown, table

_TOP = 10
_NAME = "docker-storage-exporter"
_ROOT_ADVICE = (
    "It is read as soon as that changes. <code>docker info --format '{{.DockerRootDir}}'</code> tells where the "
    "daemon's is, for <code>--root</code>; in a container, see that it is mounted there."
)
_LOG_DRIVERS_ON_DISK = ("", "json-file", "local")


def landing(summary: Summary) -> str:
    """The page at `/`: the data root, the age of the figures, and the largest objects of each kind."""
    containers = [(container_name(one), one.writable) for one in summary.containers]
    parts = (
        ("Data root by top-level entry, on disk", [(one.name, one.allocated) for one in summary.directories]),
        ("Image store of containerd, on disk", [(one.what, one.allocated) for one in summary.store]),
        ("Images, virtual size", [(image_name(one), one.virtual) for one in summary.images]),
        ("Containers, writable layer", containers),
        ("Container logs", [(container_name(one), one.log) for one in summary.logs]),
        ("Volumes", [(one.name, one.size) for one in summary.volumes]),
    )
    rankings = "".join(_ranking(*one) for one in parts)
    return page(_NAME, f'{_notice(summary)}{_tiles(summary)}<main class="flow">{rankings}</main>')


def status(summary: Summary, filesystems: Sequence[FilesystemRow]) -> str:
    """The page at `/status`: the tables that the terminal commands print, and the problems with advice."""
    sections = (
        _problems(summary),
        _filesystems(filesystems),
        _scans(summary),
        _directories(summary),
        _store(summary),
        _namespaces(summary),
        _reclaimable(summary),
        _images(summary),
        _containers(summary),
        _mounts(summary),
        _volumes(summary),
        _orphans(summary),
    )
    return page(f"{_NAME}: status", f"{_notice(summary)}{_tiles(summary)}<main>{''.join(sections)}</main>")


def _notice(summary: Summary) -> str:
    if summary.error:
        line = f"The data root {shown(summary.root)} {shown(summary.error)}. {_root_advice(summary.error)}"
        return f'<p class="notice">{line}</p>'
    if summary.taken is None and summary.progress is None:
        return '<p class="notice">The first scan is under way: no figures yet.</p>'
    lines = [_progress(summary.progress)] if summary.progress is not None else []
    lines += map(said, summary.advice)
    if summary.unmeasured:
        names = ", ".join(map(shown, summary.unmeasured))
        lines.append(f"Found, but measured by directory only: the layout {names}.")
    return "".join(f'<p class="notice">{line}</p>' for line in lines)


def _progress(progress: Progress) -> str:
    done = f"{progress.trees_done:,} of {progress.trees:,} directory trees are measured"
    return f"The first scan is under way: {done}. Figures that need the others are not known yet."


def _root_advice(error: str) -> str:
    """Advice, as HTML, for a root that is missing, is no data root, or cannot be read."""
    if "ermission" in error or "permitted" in error:
        return shown(ADVICE[Reason.PERMISSION])
    if error.startswith("cannot be"):
        return shown(ADVICE[Reason.IO])
    return "" if error == NOT_YET else _ROOT_ADVICE


def _tiles(summary: Summary) -> str:
    facts = [f"data root <b>{shown(summary.root)}</b>"]
    facts += [f"and of containerd <b>{shown(path)}</b>" for path in summary.further]
    facts += [f"layout {', '.join(map(shown, summary.layouts))}"] if summary.layouts else []
    kind = "snapshotters" if summary.layouts == ("containerd",) else "graph drivers"
    facts += [f"{kind} {', '.join(map(shown, summary.drivers))}"] if summary.drivers else []
    if summary.taken is not None:
        facts.append(f"snapshot {age(time.time() - summary.taken)} old")
    elif summary.progress is None:
        return f'<p class="facts">{" · ".join(facts)}</p>'
    tiles: list[tuple[str, str | Html]] = [("on disk", "?" if summary.used is None else human(summary.used))]
    tiles += [(name, _counted(summary.count(name))) for name in ("layers", "images", "containers", "volumes")]
    tiles += [("reclaimable", _freed(summary))] if summary.reclaimable else []
    errors = summary.problem_count + (summary.missing or 0)
    tiles += [("errors", Html(f'<a href="/status">{errors:,}</a>'))] if errors else []
    cells = "".join(
        f'<div><b>{value.text if isinstance(value, Html) else value}</b><span class="dim">{name}</span></div>'
        for name, value in tiles
    )
    return f'<p class="facts">{" · ".join(facts)}</p><div class="tiles">{cells}</div>'


def _ranking(title: str, rows: Sequence[tuple[str, int | None]]) -> str:
    known = [(name, size) for name, size in rows if size][:_TOP]
    if not known:
        return ""
    return section(title, table(("", "", ""), ((name, Share(size, known[0][1]), size) for name, size in known)))


def _counted(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


def _more(title: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]], count: int | None, command: str) -> str:
    """A wide table of the largest objects, with the command that lists all. "" without rows."""
    if not rows:
        return ""
    rest = f", {count - len(rows):,} more not shown" if count is not None and count > len(rows) else ""
    more = f'<p class="more">{_counted(count)} in all{rest}. In a terminal: <code>{_NAME} {command}</code></p>'
    return section(title, table(headings, rows) + more, wide=True)


def _problems(summary: Summary) -> str:
    """The files that could not be read, by reason, with advice."""
    if not (summary.problem_count or summary.missing or summary.gaps):
        if summary.error:
            return ""  # the notice at the top has it
        said = "Everything could be read." if summary.taken is not None else "Nothing that could not be read so far."
        return section("Errors", f'<p class="good">{said}</p>', wide=True)
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
        content += table(("PATH", "COLLECTOR", "DETAIL"), [(one.path, one.collector, one.detail) for one in problems])
    if summary.problem_count > len(summary.problems):
        content += f'<p class="more">{summary.problem_count:,} in all.</p>'
    return section("Errors, and what to do", content, wide=True)


_LABELS: Mapping[str, str] = {str(one): label for one, label in INPUT_LABELS.items()}


def _gaps(gaps: Sequence[GapRow]) -> str:
    """What was not read, and so what is not known."""
    if not gaps:
        return ""
    said = (
        '<p><b class="warn">not known</b> Figures that need what is listed here are left out or shown as ?. Nothing is '
        "called unused, orphaned or reclaimable because of it.</p>"
    )
    rows = [(one.path, _LABELS.get(one.input, one.input), one.why) for one in gaps]
    return said + table(("PATH", "PART OF", "WHY"), rows)


def _filesystems(rows: Sequence[FilesystemRow]) -> str:
    if not rows:
        return ""
    cells = [
        (row.mountpoint, row.fstype, Share(_used(row), row.size or 0, alarm=True), row.size, row.available)
        for row in rows
    ]
    return section("Filesystems", table(("MOUNTED ON", "TYPE", "", ">SIZE", ">AVAILABLE"), cells))


def _used(row: FilesystemRow) -> int | None:
    return None if row.size is None or row.available is None else row.size - row.available


def _scans(summary: Summary) -> str:
    if not summary.collectors:
        return ""
    rows = [
        (
            name,
            Html('<span class="good">ok</span>' if scan.success else '<span class="bad">with errors</span>'),
            f"{scan.seconds:.3g} s",
            Count(scan.entries),
        )
        for name, scan in summary.collectors
    ]
    return section("Last scans", table(("COLLECTOR", "RESULT", "TIME", ">ENTRIES"), rows))


def _directories(summary: Summary) -> str:
    largest = (summary.directories[0].allocated or 0) if summary.directories else 0
    rows = [
        (
            row.name,
            Share(row.allocated, largest),
            row.allocated,
            row.size,
            None if row.inodes is None else Count(row.inodes),
        )
        for row in summary.directories
    ]
    if not rows:
        return ""
    headings = ("PART", "", ">ON DISK", ">SIZE", ">INODES")
    return _more("Data root, as du", headings, rows, summary.count("directories"), "df")


def _reclaimable(summary: Summary) -> str:
    if not summary.reclaimable:
        return ""
    largest = max((row.bytes or 0 for row in summary.reclaimable), default=0)
    rows = []
    for row in summary.reclaimable:
        how = Html(f"<code>{shown(row.how)}</code>") if row.how else row.why
        objects = None if row.objects is None else Count(row.objects)
        rows.append((row.what or row.category, Share(row.bytes, largest), row.bytes, objects, how))
    headings = ("WHAT", "", ">BYTES", ">OBJECTS", "HOW")
    return _more("Reclaimable, each row after the ones above it", headings, rows, len(rows), "df").replace(
        f"{len(rows):,} in all", f"{_freed(summary)} in all"
    )


def _store(summary: Summary) -> str:
    """The parts of containerd's image store, and what to know of it."""
    largest = max((row.allocated or 0 for row in summary.store), default=0)
    rows = [(row.what, Share(row.allocated, largest), row.allocated, Count(row.objects)) for row in summary.store]
    if not rows:
        return ""
    notes = "".join(f'<p class="more">{shown(line)}</p>' for line in summary.store_notes)
    content = table(("WHAT", "", ">ON DISK", ">OBJECTS"), rows) + notes
    return section("Image store of containerd", content, wide=True)


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
    counts = (">IMAGES", ">CONTAINERS", ">SNAPSHOTS")
    headings = ("NAMESPACE", "OF", *counts, ">UNPACKED", ">CONTENT", ">OWN CONTENT")
    said = "Content is there once for all namespaces, and freed when the last lets go of it."
    content = f'{table(headings, rows)}<p class="more">{said}</p>'
    return section("Namespaces of containerd", content, wide=True)


def _freed(summary: Summary) -> str:
    """What all prunes free, or at least free; `?` where nothing is known."""
    known = [row.bytes for row in summary.reclaimable if row.bytes is not None]
    if not known:
        return "?"
    return human(sum(known)) if len(known) == len(summary.reclaimable) else f"≥ {human(sum(known))}"


def _images(summary: Summary) -> str:
    largest = max((row.virtual or 0 for row in summary.images), default=0)
    rows = [
        (
            *((row.namespace,) if summary.namespaces else ()),
            ", ".join(row.references) or image_name(row),
            Html(f"<code>{shown(row.id[:12])}</code>"),
            Share(row.virtual, largest),
            row.virtual,
            row.unique,
            None if row.proportional is None else round(row.proportional),
            row.state,
            Count(row.containers),
        )
        for row in summary.images
    ]
    own = ("NAMESPACE",) if summary.namespaces else ()
    headings = (*own, "IMAGE", "ID", "", ">VIRTUAL", ">UNIQUE", ">SHARE", "STATE", ">CONTAINERS")
    return _more("Images", headings, rows, summary.count("images"), "images --tree")


def _containers(summary: Summary) -> str:
    largest = max((row.writable or 0 for row in summary.containers), default=0)
    rows = [
        (
            *((row.namespace,) if summary.namespaces else ()),
            container_name(row),
            row.image,
            Html(f'<span class="{"good" if row.state == "running" else "dim"}">{shown(row.state)}</span>'),
            Share(row.writable, largest),
            row.writable,
            row.log if row.log is not None or row.log_driver in _LOG_DRIVERS_ON_DISK else row.log_driver,
            _limit(row),
        )
        for row in summary.containers
    ]
    own = ("NAMESPACE",) if summary.namespaces else ()
    headings = (*own, "CONTAINER", "IMAGE", "STATE", "", ">WRITABLE", ">LOG", "LOG LIMIT")
    return _more("Containers", headings, rows, summary.count("containers"), "containers")


def _limit(row: ContainerRow) -> Cell:
    if row.log_limit is not None:
        return human(row.log_limit)
    if row.log_bounded is None:
        return "not known"
    return "not on this disk" if row.log_bounded else Html('<span class="warn">none: it can fill the disk</span>')


def _mounts(summary: Summary) -> str:
    """The mounts of containers: a backup needs them besides the writable layers."""
    headings = ("CONTAINER", "KIND", "SOURCE", "IN THE CONTAINER", "MODE")
    rows = [(name, one.kind, one.source, one.destination, one.mode) for name, one in summary.mounts]
    return _more("Mounts that a backup must cover", headings, rows, summary.count("mounts"), "backup")


def _volumes(summary: Summary) -> str:
    largest = max((row.size or 0 for row in summary.volumes), default=0)
    rows = [
        (row.name, row.driver, Share(row.size, largest), row.size, row.allocated, Count(row.containers))
        for row in summary.volumes
    ]
    headings = ("VOLUME", "DRIVER", "", ">SIZE", ">ON DISK", ">CONTAINERS")
    return _more("Volumes", headings, rows, summary.count("volumes"), "backup")


def _orphans(summary: Summary) -> str:
    rows = [(row.name or row.id, row.driver, row.allocated, row.home) for row in summary.orphans]
    headings = ("LAYER", "DRIVER", ">ON DISK", "DIRECTORY")
    return _more("Orphaned layers", headings, rows, summary.count("orphaned layers"), "layers --orphaned")


def image_name(row: ImageRow) -> str:
    """An image's first reference, or the beginning of its id."""
    return next(iter((*row.references, *row.digests)), row.id[:12])


def container_name(row: ContainerRow) -> str:
    """A container's name, or the beginning of its id; of a pod's container the pod's name as well."""
    return row.called
