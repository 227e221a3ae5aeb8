"""`volumes`: what each volume holds, who mounts it, and how it was made."""

from collections.abc import Iterable, Iterator

from msgspec import to_builtins

from exporter.cli.commands.builders import builder_lines
from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.columns import ObjectList, Value
from exporter.cli.commands.filters import contains, equals, is_true, until
from exporter.cli.commands.habits import PLAIN, Habits, choose
from exporter.cli.commands.index import Index
from exporter.cli.commands.labels import labelled, of_volumes, volume_key
from exporter.cli.commands.tables import Answer, Lines, Table, not_known
from exporter.cli.commands.times import moment
from exporter.core.knowledge import Input
from exporter.expose.snapshot_api.rows import VolumeRow

_PROJECT = "com.docker.compose.project"
_MOST_USERS = 3


def volumes(index: Index, habits: Habits = PLAIN) -> Answer:
    """List volumes, the largest first."""
    rows = sorted(index.document.volumes, key=lambda one: (-(one.size or 0), one.name))
    chosen = choose(VOLUMES, index, rows, habits)
    notes = [*_elsewhere(chosen.rows), *builder_lines(chosen.rows)]
    parts: list[Table | Lines] = [
        chosen.table(summed="total"),
        *chosen.said(),
        *([Lines("", notes)] if notes else []),
        *not_known(index.document, "volume_users"),
    ]
    if not rows:
        parts.append(Lines("", ["No volume is known." if index.why_unlisted(Input.VOLUMES) else "There is no volume."]))
    data = {"volumes": [{**to_builtins(one), "users": index.users_of_volumes.get(one.name, [])} for one in chosen.rows]}
    return Answer(data, parts, failed=chosen.failed, listings=(chosen,))


def _elsewhere(rows: Iterable[VolumeRow]) -> Iterator[str]:
    """Say why the sizes of some volumes are not known."""
    linked = [one.name for one in rows if one.link]
    if linked:
        yield f"Behind a symbolic link, which is not followed: {', '.join(linked)}."
    mounted = [one.name for one in rows if not one.link and one.size is None and (one.device or one.mount_type)]
    if mounted:
        yield f"Mounted from elsewhere while a container uses them, and not measured: {', '.join(mounted)}."
    foreign = [one.name for one in rows if one.size is None and one.driver != "local"]
    if foreign:
        yield f"Kept by the driver of a plugin, outside of this root: {', '.join(foreign)}."


def _users(index: Index, volume: VolumeRow) -> Value:
    """The containers that mount it; None where it is not known whether there are any."""
    names = index.users_of_volumes.get(volume.name, [])
    if not names:
        return None if volume.containers != 0 else "none"
    more = len(names) - _MOST_USERS
    text = ", ".join(names[:_MOST_USERS]) + (f" and {more} more" if more > 0 else "")
    return text if volume.containers is not None else f"{text} and maybe more"


def _options(volume: VolumeRow) -> str | None:
    """The driver options that it was made with; None where they are not known."""
    pairs = (("type", volume.mount_type), ("device", volume.device), ("o", volume.options))
    known = " ".join(f"{key}={value}" for key, value in pairs if value)
    return known or (None if volume.optioned or volume.link else "")


def _is_dangling(volume: VolumeRow) -> bool | None:
    return None if volume.containers is None else volume.containers == 0


#: The columns of the list.
VOLUMES: ObjectList[VolumeRow] = ObjectList(
    "volume",
    (
        Column("name", "VOLUME NAME", Kind.TEXT, lambda _, one: one.name, 55, ("Name",), keep=True),
        Column("size", "SIZE", Kind.SIZE, lambda _, one: one.size, 95, ("Size",), total=True),
        Column("users", "USED BY", Kind.NAMES, _users, 90, ("UsedBy",)),
        Column("project", "PROJECT", Kind.TEXT, lambda _, one: one.compose_project, 50, ("Project",)),
        Column("anonymous", "ANONYMOUS", Kind.WORD, lambda _, one: "yes" if one.anonymous else "", 35, ("Anonymous",)),
        Column("driver", "DRIVER", Kind.TEXT, lambda _, one: one.driver, 30, ("Driver",)),
        Column("options", "OPTIONS", Kind.TEXT, lambda _, one: _options(one), 40, ("Options",)),
        Column("created", "CREATED", Kind.AGE, lambda _, one: one.created, 60, ("CreatedSince",)),
        Column("created_at", "CREATED AT", Kind.TEXT, lambda _, one: moment(one.created), shown=False),
        Column("on_disk", "ON DISK", Kind.SIZE, lambda _, one: one.allocated, shown=False),
        Column("inodes", "INODES", Kind.COUNT, lambda _, one: one.inodes, shown=False),
        Column("containers", "CONTAINERS", Kind.COUNT, lambda _, one: one.containers, fields=("Links",), shown=False),
        Column(
            "directory",
            "DIRECTORY",
            Kind.PATH,
            lambda index, one: index.path(one.directory),
            fields=("Mountpoint",),
            shown=False,
        ),
    ),
    names=lambda _, one: (one.name,),
    ids=lambda _, one: (one.name,) if one.anonymous else (),
    key=lambda _, one: one.name,
    whole=lambda _, one: one.name,
    filters={
        "dangling": is_true(lambda _, one: _is_dangling(one)),
        "name": contains(lambda _, one: (one.name,)),
        "driver": equals(lambda _, one: (one.driver,)),
        "label": labelled(of_volumes, volume_key, lambda one: {_PROJECT: one.compose_project}),
        "project": equals(lambda _, one: (one.compose_project,)),
        "anonymous": is_true(lambda _, one: one.anonymous),
        "until": until(lambda _, one: one.created),
    },
)
