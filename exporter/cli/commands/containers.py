"""`containers`: the writable layer of each container, its log with the limit of that, and its state."""

import time
from collections.abc import Iterator
from dataclasses import asdict

from exporter.cli.commands.backup_plan import called
from exporter.cli.commands.index import Index, container_name, namespaces
from exporter.cli.commands.tables import Answer, Lines, Table, not_known, total
from exporter.core.units import age, human
from exporter.expose.snapshot_api.rows import ContainerRow

#: Log drivers that write on this disk; "": not known.
_ON_DISK = ("", "json-file", "local")
_RUNNING = ("running", "paused", "restarting")


def containers(index: Index) -> Answer:
    """List containers, those with the largest writable layer and log first."""
    rows = sorted(index.document.containers, key=lambda one: (-(one.writable or 0) - (one.log or 0), one.id))
    several = namespaces(index.document)
    lines = [
        (
            *((one.namespace,) if several else ()),
            container_name(one),
            index.short(one.id),
            _image(index, one),
            _state(one),
            one.writable,
            one.log if one.log or one.log_driver in _ON_DISK else one.log_driver,
            _limit(one),
            one.virtual,
            len(one.mounts),
        )
        for one in rows
    ]
    headings: tuple[str, ...] = (
        "NAME",
        "CONTAINER ID",
        "IMAGE",
        "STATE",
        ">WRITABLE",
        ">LOG",
        "LOG LIMIT",
        ">VIRTUAL",
        ">#MOUNTS",
    )
    sums = total(one.writable for one in rows), total(one.log for one in rows if _has_log(one))
    if several:
        headings = ("NAMESPACE", *headings)
    before = ("",) * (headings.index(">WRITABLE") - 1)
    table = Table("", headings, lines, footer=("total", *before, *sums, "", "", ""))
    parts: list[Table | Lines] = [table, *not_known(index.document, "container_states")]
    if limited := [one for one in rows if one.writable_limit]:
        parts.append(_limits(limited))
    if deleted := list(_deleted_logs(rows)):
        parts.append(Lines("", deleted))
    return Answer({"containers": [asdict(one) for one in rows]}, parts, failed=bool(deleted))


def _limits(limited: list[ContainerRow]) -> Table:
    """The writable layers that `--storage-opt size` limits, and how much of that they take."""
    headings: tuple[str, ...] = ("NAME", ">ON DISK", ">LIMIT", "USED")
    lines = [(container_name(one), one.writable_allocated, one.writable_limit, _share(one)) for one in limited]
    return Table("Writable layers with a limit (--storage-opt size)", headings, lines)


def _share(container: ContainerRow) -> str:
    if container.writable_allocated is None or not container.writable_limit:
        return "?"
    return f"{container.writable_allocated / container.writable_limit:.0%}"


def _deleted_logs(rows: list[ContainerRow]) -> Iterator[str]:
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


def _has_log(container: ContainerRow) -> bool:
    """Whether its log is on this disk, or may be."""
    return container.log is not None or container.log_driver in _ON_DISK


def is_running(container: ContainerRow) -> bool:
    """Whether its state is running, paused or restarting."""
    return container.state in _RUNNING


def _image(index: Index, container: ContainerRow) -> str:
    return container.image or (index.short(container.image_id) if container.image_id else "")


def _state(container: ContainerRow) -> str:
    if container.state == "exited" and container.finished is not None:
        return f"exited {age(time.time() - container.finished)} ago"
    return container.state


def _limit(container: ContainerRow) -> str:
    if container.log_limit is not None:
        return human(container.log_limit)
    return {None: "?", False: "none", True: "not on this disk"}[container.log_bounded]
