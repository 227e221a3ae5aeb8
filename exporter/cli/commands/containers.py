"""`containers`: the writable layer of each container, its log with the limit of that, and its state."""

import time
from collections.abc import Iterable
from dataclasses import asdict

from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.tables import Answer, Table, not_known, total
from exporter.core.units import age, human
from exporter.expose.snapshot_api.rows import ContainerRow

#: Log drivers that write on this disk; "": not known.
_ON_DISK = ("", "json-file", "local")
_RUNNING = ("running", "paused", "restarting")


def containers(index: Index) -> Answer:
    """List containers, those with the largest writable layer and log first."""
    rows = sorted(index.document.containers, key=lambda one: (-(one.writable or 0) - (one.log or 0), one.id))
    lines = [
        (
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
    headings = ("NAME", "CONTAINER ID", "IMAGE", "STATE", ">WRITABLE", ">LOG", "LOG LIMIT", ">VIRTUAL", ">#MOUNTS")
    sums = total(one.writable for one in rows), total(one.log for one in rows if _has_log(one))
    table = Table("", headings, lines, footer=("total", "", "", "", *sums, "", "", ""))
    return Answer(
        {"containers": [asdict(one) for one in rows]}, [table, *not_known(index.document, "container_states")]
    )


def _has_log(container: ContainerRow) -> bool:
    """Whether its log is on this disk, or may be."""
    return container.log is not None or container.log_driver in _ON_DISK


def _sum(sizes: Iterable[int | None]) -> int | None:
    """The sum; None if a size is not known."""
    known = [*sizes]
    return None if None in known else sum(size for size in known if size is not None)


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
