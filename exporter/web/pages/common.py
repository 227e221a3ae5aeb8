"""What several pages have: the notices and facts at the top, the tiles, and the cells of objects."""

import time

from exporter.core.measured import Reason
from exporter.core.model import Progress
from exporter.core.text import SHORT
from exporter.core.units import age, human
from exporter.expose.advice import ADVICE
from exporter.expose.snapshot_api.rows import ContainerRow, FilesystemRow, ImageRow, keeps_log_here
from exporter.expose.summary import NOT_YET, Summary
from exporter.web.pages.html import Cell, Count, Full, Html, Size, columns, link, said, section, shown, table

_ROOT_ADVICE = (
    "It is read as soon as that changes. <code>docker info --format '{{.DockerRootDir}}'</code> tells where the "
    "daemon's is, for <code>--root</code>; in a container, see that it is mounted there."
)
_HEX = frozenset("0123456789abcdef")
_ID_LENGTH = 64
#: So many names of an image are shown.
_NAMES = 3


def notices(summary: Summary) -> str:
    """What is to be said first: why there are no figures, that a first scan is under way, advice."""
    if summary.error:
        return notice(root_error(summary.root, summary.error))
    if summary.taken is None and summary.progress is None:
        return notice("The first scan is under way: no figures yet.")
    lines = [_progress(summary.progress)] if summary.progress is not None else []
    lines += map(said, summary.advice)
    if summary.unmeasured:
        names = ", ".join(map(shown, summary.unmeasured))
        lines.append(f"Found, but measured by directory only: the layout {names}.")
    return "".join(map(notice, lines))


def notice(line: str) -> str:
    """One line, as HTML, that is seen first."""
    return f'<p class="notice wide">{line}</p>'


def root_error(root: str, error: str) -> str:
    """Why a root cannot be read, and what to do, as HTML."""
    return f"The data root {shown(root)} {said(error)}. {_root_advice(error)}"


def _progress(progress: Progress) -> str:
    done = f"{progress.trees_done:,} of {progress.trees:,} directory trees are measured"
    return f"The first scan is under way: {done}. Figures that need the others are not known yet."


def _root_advice(error: str) -> str:
    """Advice, as HTML, for a root that is missing, is no data root, or cannot be read."""
    if "ermission" in error or "permitted" in error:
        return shown(ADVICE[Reason.PERMISSION])
    if error.startswith("cannot be"):
        return shown(ADVICE[Reason.IO])
    return "" if error == NOT_YET or "DockerRootDir" in error else _ROOT_ADVICE


def facts(summary: Summary) -> str:
    """The line below the title: what is read, and how old the figures are."""
    found = [f"data root <b>{shown(summary.root)}</b>"]
    found += [f"and of containerd <b>{shown(path)}</b>" for path in summary.further]
    found += [f"layout {', '.join(map(shown, summary.layouts))}"] if summary.layouts else []
    kind = "snapshotters" if summary.layouts == ("containerd",) else "graph drivers"
    found += [f"{kind} {', '.join(map(shown, summary.drivers))}"] if summary.drivers else []
    found += [f"snapshot {age(time.time() - summary.taken)} old"] if summary.taken is not None else []
    return f'<p class="facts">{" · ".join(found)}</p>'


def tiles(summary: Summary) -> str:
    """The main figures; each leads to what it is made of."""
    if summary.taken is None and summary.progress is None:
        return ""
    found = [
        ("/status#parts", "?" if summary.used is None else human(summary.used), "on disk"),
        *((f"/{name}", counted(summary.count(name)), name) for name in ("layers", "images", "containers", "volumes")),
        ("/build-cache", counted(summary.count("build records")), "build cache records"),
    ]
    found += [("/status#freed", freed(summary), "reclaimable")] if summary.reclaimable else []
    errors = summary.problem_count + (summary.missing or 0)
    found += [("/status#errors", f"{errors:,}", "errors")] if errors else []
    cells = "".join(
        f'<li{_BAD if name == "errors" else ""}><a href="{address}"><b>{value}</b><span>{name}</span></a></li>'
        for address, value, name in found
    )
    return f'<ul class="tiles wide">{cells}</ul>'


_BAD = ' class="bad"'


def counted(count: int | None) -> str:
    """A count, or that it is not known."""
    return "?" if count is None else f"{count:,}"


def freed(summary: Summary) -> str:
    """What all prunes free, or at least free; `?` where nothing is known."""
    known = [row.bytes for row in summary.reclaimable if row.bytes is not None]
    if not known:
        return "?"
    return human(sum(known)) if len(known) == len(summary.reclaimable) else f"≥ {human(sum(known))}"


#: Where the objects of a category of prunes are listed.
_PRUNED = {
    "containers_stopped": "/containers?only=stopped",
    "images_dangling": "/images?only=dangling",
    "images_unused": "/images?only=unused",
    "volumes_unused": "/volumes?only=unused",
    "build_cache": "/build-cache?only=private",
    "layers_orphaned": "/layers?only=orphaned",
}


def reclaimable(summary: Summary, *, title: str) -> str:
    """What the prunes free, with the commands."""
    if not summary.reclaimable:
        return ""
    largest = max((row.bytes or 0 for row in summary.reclaimable), default=0)
    rows = []
    for row in summary.reclaimable:
        how = Html(f"<code>{shown(row.how)}</code>") if row.how else row.why
        what = row.what or row.category
        listed = _PRUNED.get(row.category)
        name = Html(link(listed, what)) if listed else what
        rows.append((name, Size(row.bytes, largest), Count(row.objects), how))
    total = f"<p>{freed(summary)} in all. In a terminal, <code>docker-storage-exporter free</code> makes a plan.</p>"
    caption = "Each row is what its command frees after those above it"
    content = total + table(caption, columns("What", ">Frees", ">Objects", "How"), rows)
    return section(title, content, wide=True, at="freed")


def image_names(row: ImageRow) -> str:
    """The names of an image, or the beginning of its id."""
    names = row.references or row.digests or (row.id[:12],)
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def image_name(row: ImageRow) -> str:
    """An image's first reference, or the beginning of its id."""
    return next(iter((*row.references, *row.digests)), row.id[:12])


def short_key(name: str) -> str:
    """The name of a layer: of a digest, an id or what begins with one the first twelve digits of that."""
    digits = name.removeprefix("sha256:")
    return digits[:SHORT] if len(digits) >= _ID_LENGTH and _HEX.issuperset(digits[:_ID_LENGTH]) else name


def short_id(one: str) -> Html:
    """The beginning of an id."""
    return Html(f"<code>{shown(one[:12])}</code>")


IMAGE_COLUMNS = columns("Image", "ID", ">Virtual", ">Unique", ">Share", "State", ">Containers")


def image_cells(row: ImageRow, largest: float) -> tuple[Cell, ...]:
    """The cells of an image in its columns. Only listed images share, or have something of their own."""
    return (
        image_names(row),
        short_id(row.id),
        Size(row.virtual, largest),
        row.unique if row.listed else "",
        (None if row.proportional is None else round(row.proportional)) if row.listed else "",
        row.state if row.loaded else f"{row.state or '?'}, not loaded",
        Count(row.containers),
    )


CONTAINER_COLUMNS = columns("Container", "Image", "State", ">Writable + log", ">Writable", ">Log", "Log limit")


def container_cells(row: ContainerRow, largest: float) -> tuple[Cell, ...]:
    """The cells of a container in its columns."""
    ended = row.state == "exited" and row.finished is not None
    state = f"exited {age(time.time() - (row.finished or 0))} ago" if ended else row.state
    colour = {"running": ' class="good"', "stale": ' class="warn"'}.get(row.state, "")
    return (
        row.called,
        row.image or row.image_id[:12],
        Html(f"<span{colour}>{shown(state)}</span>"),
        Size(row.written, largest, least=not row.written_whole),
        row.writable,
        row.log if row.log is not None or keeps_log_here(row.log_driver) else row.log_driver,
        _limit(row),
    )


def _limit(row: ContainerRow) -> Cell:
    if row.log_limit is not None:
        return Html(human(row.log_limit))
    if row.log_bounded is None:
        return "?"
    return "not on this disk" if row.log_bounded else Html('<span class="warn">none: it can fill the disk</span>')


FILESYSTEM_COLUMNS = columns("Mounted on", "Type", ">Full", ">Size", ">Available", ">Of this root")


def filesystem_cells(row: FilesystemRow, summary: Summary) -> tuple[Cell, ...]:
    """The cells of a filesystem in its columns."""
    of_root = dict(summary.allocated).get(row.path)
    return row.mountpoint, row.fstype, Full(share_full(row)), row.size, row.available, of_root


def used(row: FilesystemRow) -> int | None:
    """The bytes that are used on a filesystem."""
    return None if row.size is None or row.free is None else row.size - row.free


def share_full(row: FilesystemRow) -> float | None:
    """How full a filesystem is, as df says: the used part of what users may use."""
    taken = used(row)
    if taken is None or row.available is None:
        return None
    return taken / (taken + row.available) if taken + row.available else 0.0
