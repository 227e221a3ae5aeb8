"""`containers`: the writable layer of each container, its log with the limit of that, and its state."""

import time
from collections.abc import Iterator, Sequence

from msgspec import to_builtins

from exporter.cli.commands.backup_plan import called
from exporter.cli.commands.columns import ColumnKind as Kind
from exporter.cli.commands.columns import Filter, ObjectList, Test, Value
from exporter.cli.commands.columns import ListColumn as Column
from exporter.cli.commands.filters import begins, compared, contains, equals
from exporter.cli.commands.habits import PLAIN, Habits, choose, one_called
from exporter.cli.commands.index import Index, container_name, familiar, namespaces
from exporter.cli.commands.labels import container_key, labelled, of_containers
from exporter.cli.commands.tables import Answer, Lines, Table, not_known
from exporter.cli.commands.times import moment
from exporter.core.states import ContainerState
from exporter.core.units import age
from exporter.expose.snapshot_api.rows import ContainerRow

#: Log drivers that write on this disk; "": not known.
_ON_DISK = ("", "json-file", "local")
_RUNNING = ("running", "paused", "restarting")
#: The labels that a document has, by the fields that have them.
_LABELS = {
    "com.docker.compose.project": "compose_project",
    "com.docker.compose.service": "compose_service",
    "com.docker.stack.namespace": "stack",
    "com.docker.swarm.service.name": "swarm_service",
}


def containers(index: Index, habits: Habits = PLAIN) -> Answer:
    """List containers, those with the largest writable layer and log first."""
    rows = sorted(index.document.containers, key=lambda one: (-(one.writable or 0) - (one.log or 0), one.id))
    hidden = () if namespaces(index.document) else ("namespace",)
    chosen = choose(CONTAINERS, index, rows, habits, hidden=hidden)
    parts: list[Table | Lines] = [
        chosen.table(summed="total"),
        *chosen.said(),
        *not_known(index.document, "container_states"),
    ]
    if limited := [one for one in chosen.rows if one.writable_limit]:
        parts.append(_limits(limited))
    if deleted := list(_deleted_logs(chosen.rows)):
        parts.append(Lines("", deleted))
    data = {"containers": [to_builtins(one) for one in chosen.rows]}
    return Answer(data, parts, failed=bool(deleted) or chosen.failed, listings=(chosen,))


def _limits(limited: list[ContainerRow]) -> Table:
    """The writable layers that `--storage-opt size` limits, and how much of that they take."""
    headings: tuple[str, ...] = ("NAME", ">ON DISK", ">LIMIT", "USED")
    lines = [(container_name(one), one.writable_allocated, one.writable_limit, _share(one)) for one in limited]
    return Table("Writable layers with a limit (--storage-opt size)", headings, lines)


def _share(container: ContainerRow) -> str:
    if container.writable_allocated is None or not container.writable_limit:
        return "?"
    return f"{container.writable_allocated / container.writable_limit:.0%}"


def _deleted_logs(rows: Sequence[ContainerRow]) -> Iterator[str]:
    """Name the containers whose log was deleted while the engine writes to it, with the remedy.

    dockerd has the file open until it starts the log anew (daemon/logger/loggerutils/logfile.go). It appends, so a file
    that is emptied begins at 0 again.
    """
    wanted = [row for row in rows if row.log_deleted]
    for row in wanted:
        engine = "The engine" if is_running(row) else "If the container still runs, the engine"
        yield (
            f"{container_name(row)}: the file of its log was deleted. {engine} goes on writing to it, so its space is "
            f"not free, and its size is not known. docker restart {called(row)} ends that."
        )
    if wanted:
        yield (
            "Without a restart: ls -l /proc/PID/fd shows the number N of the deleted file, with PID that of the engine "
            "(dockerd; docker before 1.12). truncate -s 0 /proc/PID/fd/N frees the space; docker logs shows nothing of "
            "it before the restart."
        )


def is_running(container: ContainerRow) -> bool:
    """Whether its state is running, paused or restarting."""
    return container.state in _RUNNING


def _image(index: Index, container: ContainerRow) -> str:
    return container.image or (index.short(container.image_id) if container.image_id else "")


def _state(container: ContainerRow) -> str:
    if container.state == "exited" and container.finished is not None:
        return f"exited {age(time.time() - container.finished)} ago"
    return container.state


def _log(container: ContainerRow) -> Value:
    """The size of its log; the name of the log's driver where that keeps it elsewhere."""
    on_disk = container.log or container.log_driver in _ON_DISK
    return container.log if on_disk else container.log_driver


def _limit(container: ContainerRow) -> Value:
    if container.log_limit is not None:
        return container.log_limit
    return {None: None, False: "none", True: "not on this disk"}[container.log_bounded]


def _created(index: Index, name: str) -> float | None:
    return one_called(CONTAINERS, index, index.document.containers, name).created


def _made_from(index: Index, wanted: str) -> Test[ContainerRow]:
    """Whether a container was made from an image, or from one that has all its layers: `ancestor` of Docker."""
    beginning = wanted.removeprefix("sha256:")
    images = [one for one in index.document.images if index.is_called(one, wanted) or one.id.startswith(beginning)]
    ids = {one.id for one in images}
    tops = {(one.driver, one.namespace, top) for one in images for top in (one.layer, *one.further) if top}

    def test(one: ContainerRow) -> bool:
        named = one.image_id in ids or wanted in familiar(one.image) or one.image_id.startswith(beginning)
        return named or any((one.driver, one.namespace, layer) in tops for layer in index.below(one))

    return test


#: The columns of the list.
CONTAINERS: ObjectList[ContainerRow] = ObjectList(
    "container",
    (
        Column("namespace", "NAMESPACE", Kind.TEXT, lambda _, one: one.namespace, 20),
        Column("name", "NAME", Kind.TEXT, lambda _, one: container_name(one), 75, ("Names", "Name"), keep=True),
        Column("id", "CONTAINER ID", Kind.ID, lambda _, one: one.id, 10, ("ID",)),
        Column("image", "IMAGE", Kind.TEXT, lambda _, one: one.image or one.image_id, 40, ("Image",), cell=_image),
        Column("state", "STATE", Kind.WORD, lambda _, one: one.state, 70, ("State",), cell=lambda _, one: _state(one)),
        Column("writable", "WRITABLE", Kind.SIZE, lambda _, one: one.writable, 95, ("Size",), total=True),
        Column("log", "LOG", Kind.SIZE, lambda _, one: _log(one), 95, ("LogSize",), total=True),
        Column("log_limit", "LOG LIMIT", Kind.SIZE, lambda _, one: _limit(one), 60, ("LogLimit",)),
        Column("virtual", "VIRTUAL", Kind.SIZE, lambda _, one: one.virtual, 35, ("VirtualSize",)),
        Column("mounts", "MOUNTS", Kind.COUNT, lambda _, one: len(one.mounts), 15, ("Mounts",)),
        Column("status", "STATUS", Kind.WORD, lambda _, one: _state(one), fields=("Status",), shown=False),
        Column("created", "CREATED", Kind.AGE, lambda _, one: one.created, fields=("RunningFor",), shown=False),
        Column("created_at", "CREATED AT", Kind.TEXT, lambda _, one: moment(one.created), shown=False),
        Column("on_disk", "ON DISK", Kind.SIZE, lambda _, one: one.writable_allocated, shown=False),
        Column("project", "PROJECT", Kind.TEXT, lambda _, one: one.compose_project or one.stack, shown=False),
        Column("log_driver", "LOG DRIVER", Kind.TEXT, lambda _, one: one.log_driver or None, shown=False),
        Column("driver", "DRIVER", Kind.TEXT, lambda _, one: one.driver, shown=False),
    ),
    names=lambda _, one: (container_name(one), one.name),
    ids=lambda _, one: (one.id,),
    key=lambda index, one: index.short(one.id),
    whole=lambda _, one: one.id,
    filters={
        "id": begins(lambda _, one: (one.id,)),
        "name": contains(lambda _, one: (container_name(one),)),
        "status": equals(lambda _, one: (one.state,), ContainerState),
        "ancestor": Filter(_made_from),
        "label": labelled(
            of_containers,
            container_key,
            lambda one: {label: getattr(one, field) for label, field in _LABELS.items()},
        ),
        "volume": equals(lambda _, one: [part for mount in one.mounts for part in (mount.source, mount.destination)]),
        "before": compared(lambda _, one: one.created, _created, before=True),
        "since": compared(lambda _, one: one.created, _created, before=False),
        "namespace": equals(lambda _, one: (one.namespace,)),
        "project": equals(lambda _, one: (one.compose_project, one.stack)),
    },
)
