"""The pages of lists: one row for each object, sorted and paged by links."""

import time
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from exporter.core.units import age
from exporter.core.wanted import CHOICES, TEXTS, UNKNOWN, ListName, Wanted
from exporter.expose.listing import NOBODY, ROWS, ListPage, Users
from exporter.web.pages import common
from exporter.web.pages.escaping import escape
from exporter.web.pages.frame import NAME, PageFrame
from exporter.web.pages.html import Ago, Cell, Count, Heading, Html, Size, columns, link, said, section, shown, table
from exporter.web.pages.query import address
from exporter.web.pages.words import words


class _Kind(Struct, frozen=True):
    """How a list is shown. `orders` are what its columns are sorted by; "" where that is not possible."""

    title: str
    noun: str
    columns: tuple[Heading, ...]
    orders: tuple[str, ...]
    caption: str
    words: tuple[str, ...]


_KINDS = {
    ListName.IMAGES: _Kind(
        "images",
        "image",
        (*common.IMAGE_COLUMNS, *columns("Created")),
        ("name", "", "virtual", "unique", "share", "state", "containers", "created"),
        "All images, as docker images lists them",
        ("virtual", "unique", "share", "used", "unused", "dangling", "not loaded", "intermediate", "layer", "?"),
    ),
    ListName.CONTAINERS: _Kind(
        "containers",
        "container",
        (*common.CONTAINER_COLUMNS, *columns("Created")),
        ("name", "image", "state", "total", "writable", "log", "", "created"),
        "All containers, running or not",
        ("writable layer", "log limit", "stale", "?", "≥"),
    ),
    ListName.VOLUMES: _Kind(
        "volumes",
        "volume",
        columns("Volume", ">Size", ">On disk", "Used by", "Project", "Driver", "Anonymous", "Created"),
        ("name", "size", "on-disk", "containers", "project", "driver", "", "created"),
        "All volumes",
        ("on disk", "used volume", "unused volume", "anonymous", "?"),
    ),
    ListName.LAYERS: _Kind(
        "layers",
        "layer",
        columns("Layer", "Driver", "Use", ">On disk", ">Size", "Of", "Directory"),
        ("id", "driver", "use", "on-disk", "size", "", ""),
        "All layers that are on disk",
        ("layer", "layout", "on disk", "pending", "orphaned", "?"),
    ),
    ListName.BUILD_CACHE: _Kind(
        "build cache",
        "record",
        columns("Record", "Type", ">Size", "Last used", "Created", ">Uses", "Shared"),
        ("id", "type", "size", "last-used", "created", "uses", ""),
        "The records of BuildKit's cache",
        ("shared", "private", "reclaimable", "?"),
    ),
}
_CHOICES = {
    "unlimited-log": "log without a limit",
    "build_cache": "build cache",
    UNKNOWN: "size not known",
}


def listing_page(frame: PageFrame, found: ListPage, taken: float | None, root: str, error: str = "") -> str:
    """The whole page. `error` is why the root cannot be read; `taken` when what is shown was so, Unix time."""
    name = found.wanted.list
    kind = _KINDS[name]
    said_first = _notices(found, taken, common.root_error(root, error) if error else "")
    content = "".join((*said_first, _list(found, kind), words(*kind.words)))
    old = f" · snapshot {age(time.time() - taken)} old" if taken is not None else ""
    facts = f'<p class="facts">data root <b>{shown(root)}</b>{old} · in a terminal: <code>{NAME} {name}</code></p>'
    return frame.page(f"{NAME}: {kind.title}", f"/{name}", content, facts=facts)


def _notices(found: ListPage, taken: float | None, error: str) -> Iterator[str]:
    if error:
        yield common.notice(error)
    elif taken is None:
        yield common.notice("The first scan is under way: what is not measured yet is shown as ?.")
    if found.why:
        yield common.notice(f"There may be more than are listed: {said(found.why)}.")
    if found.unsure:
        yield common.notice(f"Of {found.unsure:,} others it is not known whether they belong here.")


def _list(found: ListPage, kind: _Kind) -> str:
    rows = list(_rows(found))
    of = "" if found.count == 1 and found.read else "s"
    count = f"{common.counted(found.count if found.read else None)} {kind.noun}{of}"
    count += ", maybe more" if found.why and found.read else ""
    content = _choices(found.wanted)
    if not rows:
        return section(count, f"{content}<p>{'None.' if found.read else 'Not known.'}</p>", wide=True)
    first = (found.wanted.page - 1) * ROWS + 1
    shown_rows = f"rows {first:,} to {first + len(rows) - 1:,}" if found.pages > 1 else "on one page"
    namespace = columns("Namespace") if found.namespaces and found.wanted.list in _NAMESPACED else ()
    headings = (*namespace, *_headings(found.wanted, kind))
    only = f"Only: {_CHOICES.get(found.wanted.only, found.wanted.only)}" if found.wanted.only else kind.caption
    made = table(f"{only}, {shown_rows}", headings, rows, head=len(namespace))
    above, below = (_pager(found, f"{where} the table") for where in ("above", "below"))
    return section(count, content + above + made + below, wide=True)


_NAMESPACED = (ListName.IMAGES, ListName.CONTAINERS)


def _headings(wanted: Wanted, kind: _Kind) -> Iterator[Heading]:
    """The columns; the heading of each leads to the list sorted by it, and to the reverse where it is so already."""
    for column, order in zip(kind.columns, kind.orders, strict=True):
        if not order:
            yield column
            continue
        sorted_by = order == wanted.sort
        descending = not wanted.descending if sorted_by else order not in TEXTS
        direction = "descending" if wanted.descending else "ascending"
        leads = address(replace(wanted, sort=order, descending=descending, page=1))
        yield replace(column, link=leads, order=direction if sorted_by else "")


def _choices(wanted: Wanted) -> str:
    """Links to the choices among the objects."""
    entries = []
    for only in ("", *CHOICES[wanted.list]):
        here = ' aria-current="true"' if only == wanted.only else ""
        leads = escape(address(replace(wanted, only=only, page=1)))
        entries.append(f'<li><a href="{leads}"{here}>{escape(_CHOICES.get(only, only or "all"))}</a></li>')
    return f'<nav aria-label="Choice"><ul>{"".join(entries)}</ul></nav>'


def _pager(found: ListPage, where: str) -> str:
    """Links to the other pages of the list; nothing where there is only one."""
    last, at = found.pages, found.wanted.page
    if last == 1:
        return ""
    leads = (("first", 1), ("previous", at - 1), ("next", at + 1), ("last", last))
    links = [
        link(address(replace(found.wanted, page=page)), f"{text} page")
        for text, page in leads
        if 1 <= page <= last and page != at
    ]
    return (
        f'<nav aria-label="Pages of the list, {where}"><p class="links"><span>page {at:,} of {last:,}</span>'
        f"{''.join(links)}</p></nav>"
    )


def _rows(found: ListPage) -> Iterator[tuple[Cell, ...]]:
    """The rows of the list that this is."""
    if found.images:
        yield from _images(found)
    elif found.containers:
        yield from _containers(found)
    elif found.volumes:
        yield from _volumes(found)
    elif found.layers:
        yield from _layers(found)
    else:
        yield from _records(found)


def _images(found: ListPage) -> Iterator[tuple[Cell, ...]]:
    largest = max(row.virtual or 0 for row in found.images)
    for row in found.images:
        namespace = (row.namespace,) if found.namespaces else ()
        yield (*namespace, *common.image_cells(row, largest), Ago(row.created))


def _containers(found: ListPage) -> Iterator[tuple[Cell, ...]]:
    largest = max(row.written or 0 for row in found.containers)
    for row in found.containers:
        namespace = (row.namespace,) if found.namespaces else ()
        yield (*namespace, *common.container_cells(row, largest), Ago(row.created))


def _volumes(found: ListPage) -> Iterator[tuple[Cell, ...]]:
    largest = max(row.size or 0 for row in found.volumes)
    for row, users in zip(found.volumes, found.users, strict=True):
        anonymous = "yes" if row.anonymous else "no"
        size, created = Size(row.size, largest), Ago(row.created)
        yield row.name, size, row.allocated, _used_by(users), row.compose_project, row.driver, anonymous, created


def _layers(found: ListPage) -> Iterator[tuple[Cell, ...]]:
    largest = max(row.allocated or 0 for row in found.layers)
    for row, users in zip(found.layers, found.users, strict=True):
        name = common.short_key(row.name or row.id)
        of = _used_by(users) if users.names else NOBODY.get(row.use, row.use)
        use = row.use.replace("_", " ")
        yield name, row.driver, use, Size(row.allocated, largest), row.size, of, row.home or row.directory


def _records(found: ListPage) -> Iterator[tuple[Cell, ...]]:
    largest = max((row.size or 0 for row in found.records), default=0)
    for row in found.records:
        is_shared = {None: "?", True: "yes", False: "no"}[row.shared]
        size, uses = Size(row.size, largest), Count(row.usage_count)
        yield row.id, row.kind, size, Ago(row.last_used), Ago(row.created), uses, is_shared


def _used_by(users: Users) -> Cell:
    """The names of users; that there are none, where that is known."""
    if not users.names:
        return "none" if users.count == 0 else "?"
    more = (users.count or 0) - len(users.names)
    return Html(shown(", ".join(users.names)) + (f" and {more:,} more" if more > 0 else ""))
