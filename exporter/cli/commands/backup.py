"""`backup`: the data of a host that a backup needs, where it is, and the commands that save it.

A container's data is in three places: on mounts (host directories and volumes), which are copied as files; in its
writable layer, which is removed with the container; and in its image, which a registry may have or not.
"""

from collections.abc import Iterable, Iterator

from msgspec import to_builtins

from exporter.cli.commands.backup_plan import BackupPlan, Places, Saved, called, registry_evidence
from exporter.cli.commands.containers import is_running
from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.remarks import remarks
from exporter.cli.commands.tables import Answer, Lines, Table, size
from exporter.core.knowledge import Input
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, MountRow


def backup(index: Index, places: Places, binds: dict[str, int], *, docker: bool) -> Answer:
    """Plan a backup. `binds`: sizes of the sources of bind mounts. Without `docker`, layers are copied as files."""
    plan = BackupPlan(index, places, binds, docker=docker)
    mounted = {mount.source for one in index.document.containers for mount in one.mounts if mount.kind == "volume"}
    per_container = [(one, plan.mounts(one), plan.writable(one)) for one in _ordered(index)]
    nobody = f"no {'known ' if index.document.why_not('volume_users') else ''}container"
    free = [one for one in index.document.volumes if one.name not in mounted]
    unused = [plan.volume(one, f"mounted by {nobody}") for one in free]
    images = [plan.image(one) for one in index.document.images if one.listed]
    totals = _known_totals(index, _totals(per_container, unused, [one for _, one, must in images if must]))
    data = {
        "containers": [
            {
                "id": container.id,
                "name": container.name,
                "state": container.state,
                "mounts": [to_builtins(mount) | to_builtins(row) for mount, row in mounts],
                "writable": to_builtins(writable),
            }
            for container, mounts, writable in per_container
        ],
        "unused_volumes": [to_builtins(one) for one in unused],
        "images": [
            {
                "id": row.id,
                "references": row.references,
                "digests": row.digests,
                "registry": registry_evidence(index, row),
            }
            | {"must_save": must, "virtual": row.virtual, "command": one.command}
            for row, one, must in images
        ],
        "totals": totals,
    }
    parts: list[Table | Lines] = []
    for container, mounts, writable in per_container:
        parts.append(_container_table(container, mounts, writable))
    parts.append(_volume_table(f"Volumes that {nobody} mounts", unused))
    parts.append(_image_table(index, plan, [(row, must) for row, _, must in images]))
    parts.append(Table("Total", ("WHAT", ">BYTES"), [(_TOTALS[what], value) for what, value in totals.items()]))
    parts += _unknown(index)
    parts += remarks(index.document)
    parts.append(Lines("Commands", list(_commands(plan, per_container, unused, images)), style="cyan", commands=True))
    return Answer(data, parts)


def _unused_note(index: Index) -> str:
    return (
        "mounted by no container that is known" if index.why_unlisted(Input.CONTAINERS) else "mounted by no container"
    )


def _unknown(index: Index) -> list[Lines]:
    """What the plan cannot have, because it is not known which containers or volumes there are."""
    containers, volumes = (index.why_unlisted(one) for one in (Input.CONTAINERS, Input.VOLUMES))
    lines = []
    if containers:
        lines.append(f"Which containers there are is not known ({containers}).")
        lines.append("What they mount from the host, and what they wrote outside of volumes, is not in this plan.")
    if volumes:
        lines.append(f"Which volumes there are is not known ({volumes}).")
        lines.append("Of those that no container here mounts, this plan has only the command that copies all volumes.")
    return [Lines("Not complete", lines)] if lines else []


_TOTALS = {
    "volumes": "volumes, each once",
    "binds": "bind mounts, each once (--measure-binds measures them)",
    "writable": "writable layers",
    "images": "images that no registry reference names",
    "known": "together, as far as it is known",
}
_CONTAINERS = (Input.CONTAINERS, Input.CONTAINER_CONFIGS)
_INPUTS = {
    "volumes": (Input.VOLUMES,),
    "binds": _CONTAINERS,
    "writable": (*_CONTAINERS, Input.LAYER_STORES),
    "images": (Input.NAMES, Input.IMAGE_CONFIGS, Input.IMAGE_STORE),
}
_Images = list[tuple[ImageRow, Saved, bool]]
_Rows = list[tuple[ContainerRow, list[tuple[MountRow, Saved]], Saved]]


def _ordered(index: Index) -> list[ContainerRow]:
    return sorted(index.document.containers, key=lambda one: (not is_running(one), container_name(one), one.id))


def _totals(rows: _Rows, unused: list[Saved], images: list[Saved]) -> dict[str, int | None]:
    """Bytes by kind. A source that several containers mount counts once. None if a size of the kind is unknown."""
    mounts = {(one.kind, one.name): one for _, mounts, _ in rows for _, one in mounts}
    mounts |= {(one.kind, one.name): one for one in unused}
    return {
        "volumes": _sum(one for (kind, _), one in mounts.items() if kind == "volume"),
        "binds": _sum(one for (kind, _), one in mounts.items() if kind == "bind"),
        "writable": _sum(one for _, _, one in rows),
        "images": _sum(images),
    }


def _known_totals(index: Index, totals: dict[str, int | None]) -> dict[str, int | None]:
    """Leave out the totals of kinds of which it is not known what there is, and add all that is known."""
    known = {"known": sum(total or 0 for total in totals.values())}
    gaps = {one.input for one in index.document.gaps}
    unknown = {kind for kind, inputs in _INPUTS.items() if gaps.intersection(inputs)}
    return {kind: None if kind in unknown else total for kind, total in totals.items()} | known


def _sum(rows: Iterable[Saved]) -> int | None:
    """The sum of sizes; None if one is unknown. An unknown size counts as 0 if there is nothing to copy (tmpfs)."""
    sizes = [one.size for one in rows if one.size is not None or one.command or not one.name]
    return None if None in sizes else sum(one or 0 for one in sizes)


def _container_table(container: ContainerRow, mounts: list[tuple[MountRow, Saved]], writable: Saved) -> Table:
    rows = [(one.kind, one.size, mount.destination, one.path or one.name, _note(mount, one)) for mount, one in mounts]
    rows.append(("writable layer", writable.size, "/", writable.path, writable.note))
    image = f" of {container.image}" if container.image else ""
    title = f"Container {container_name(container)}{image}, {container.state}"
    return Table(title, ("WHERE", ">SIZE", "IN THE CONTAINER", "ON THE HOST", "NOTE"), rows)


def _note(mount: MountRow, saved: Saved) -> str:
    return "; ".join(one for one in ("read-only" if mount.mode == "ro" else "", saved.note) if one)


def _volume_table(title: str, unused: list[Saved]) -> Table:
    rows = [(one.name, one.size, one.path, one.note) for one in unused]
    return Table(title, ("VOLUME", ">SIZE", "ON THE HOST", "NOTE"), rows)


def _image_table(index: Index, plan: BackupPlan, images: list[tuple[ImageRow, bool]]) -> Table:
    said = {
        "digest": "a registry has had it: pull by digest",
        "tag": "named by a tag: docker save it unless a registry has it",
        "none": "nothing names it: only docker save keeps it",
        "unknown": "its names are not known: docker save it",
        "gone": "its own layer is gone: it cannot be saved",
    }
    rows = [
        (
            index.image_name(row),
            index.short(row.id),
            row.virtual,
            _way(said[registry_evidence(index, row) if row.layer else "gone"], plan, row),
        )
        for row, _ in images
    ]
    return Table("Images", ("IMAGE", "IMAGE ID", ">VIRTUAL", "BACKUP"), rows)


def _way(said: str, plan: BackupPlan, image: ImageRow) -> str:
    """How to save an image: one of another namespace than Docker's with the client of containerd."""
    return said.replace("docker save", "ctr images export") if plan.is_foreign(image.namespace) else said


def _commands(plan: BackupPlan, rows: _Rows, unused: list[Saved], images: _Images) -> Iterator[str]:
    """The commands, each once, in the order in which to run them."""
    done: set[str] = set()
    if any(not plan.is_foreign(one.namespace) for one, _, _ in rows) or plan.has_hidden_containers:
        yield plan.settings
    for container, mounts, writable in rows:
        wanted = list(dict.fromkeys(one.command for _, one in mounts if one.command and one.command not in done))
        done.update(wanted)
        if is_running(container) and wanted:
            yield f"# {called(container)} is running: stop it first, or dump its database, for files that agree"
        yield from wanted
        if writable.command and writable.size != 0:
            amount = "what" if writable.size is None else f"{size(writable.size)} that"
            yield f"# {amount} {called(container)} wrote outside its mounts"
            yield writable.command
    yield from (row.command for row in unused if row.command and row.command not in done)
    if plan.all_volumes:
        yield "# all volumes, with those that no container here mounts"
        yield plan.all_volumes
    yield from (row.command for _, row, must in images if must and row.command)
    if images and plan.stores:
        yield "# all images, for an engine of this version with this driver: without Docker none can be saved alone"
        yield from plan.stores
    yield from (
        f"# unless a registry has it: {row.command}"
        for image, row, _ in images
        if row.command and image.references and not image.digests
    )
