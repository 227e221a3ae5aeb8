"""`backup`: what of a host has to be saved, where it is, and the commands that save it.

A container's data is in three places: on mounts (host directories and volumes), which are copied as files; in its
writable layer, which goes with the container; and in its image, which a registry may have or not.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from exporter.cli.commands.containers import is_running
from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.tables import Answer, Lines, Table, quote, size
from exporter.core.data_root import DataRoot
from exporter.core.text import unescape
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, MountRow, VolumeRow
from exporter.inventory.areas import table
from exporter.measure.exclusions import NOTHING
from exporter.measure.walk import measure

#: The names that Docker itself allows; others are asked for by id.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_REFERENCE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_./:-]*", re.ASCII)
_TAR = "tar --numeric-owner --sparse --acls --xattrs --xattrs-include='*' -czf"
#: What lies there is made anew by the kernel, or by what runs.
_VOLATILE = ("/proc", "/sys", "/dev", "/run", "/var/run")
#: But disks are mounted there, too: removable ones, and those of Docker Desktop's host.
_DISKS = ("/run/media", "/run/desktop/mnt")


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are on this host: the root, where it is not as the document says, and a prefix of all else."""

    root: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Saved:
    """One thing to save: `kind` is bind, volume, tmpfs, writable or image; `path` is where it is on this host."""

    kind: str
    name: str
    path: str
    size: int | None
    note: str
    command: str


def backup(index: Index, places: Places, binds: dict[str, int], *, docker: bool) -> Answer:
    """Plan a backup. `binds` are sizes of bind mounts' sources; without `docker` layers are copied as files."""
    plan = _Plan(index, places, binds, docker=docker)
    per_container = [(one, plan.mounts(one), plan.writable(one)) for one in _ordered(index)]
    unused = [plan.volume(one, "mounted by no container") for one in index.document.volumes if not one.containers]
    images = [plan.image(one) for one in index.document.images if one.listed]
    totals = _totals(per_container, unused, [one for _, one, must in images if must])
    data = {
        "containers": [
            {
                "id": container.id,
                "name": container.name,
                "state": container.state,
                "mounts": [asdict(mount) | asdict(row) for mount, row in mounts],
                "writable": asdict(writable),
            }
            for container, mounts, writable in per_container
        ],
        "unused_volumes": [asdict(one) for one in unused],
        "images": [
            {"id": row.id, "references": row.references, "digests": row.digests, "registry": _registry(row)}
            | {"must_save": must, "virtual": row.virtual, "command": one.command}
            for row, one, must in images
        ],
        "totals": totals,
    }
    parts: list[Table | Lines] = []
    for container, mounts, writable in per_container:
        parts.append(_container_table(container, mounts, writable))
    parts.append(_volume_table(unused))
    parts.append(_image_table(index, [(row, must) for row, _, must in images]))
    parts.append(Table("Total", ("WHAT", ">BYTES"), [(_TOTALS[what], value) for what, value in totals.items()]))
    parts.append(Lines("Commands", list(_commands(plan, per_container, unused, images)), style="cyan"))
    return Answer(data, parts)


_TOTALS = {
    "volumes": "volumes, each once",
    "binds": "bind mounts, each once (--measure-binds measures them)",
    "writable": "writable layers",
    "images": "images that no registry reference names",
    "known": "together, as far as it is known",
}
_KINDS = {
    "tmpfs": "in memory: gone when the container stops",
    "image": "files of an image: saved with it",
    "secret": "the swarm keeps it",
    "config": "the swarm keeps it",
}
_Images = list[tuple[ImageRow, Saved, bool]]
_Rows = list[tuple[ContainerRow, list[tuple[MountRow, Saved]], Saved]]


def _ordered(index: Index) -> list[ContainerRow]:
    return sorted(index.document.containers, key=lambda one: (not is_running(one), container_name(one), one.id))


class _Plan:
    """Makes what is to be saved of one object; file names are given once."""

    def __init__(self, index: Index, places: Places, binds: dict[str, int], *, docker: bool) -> None:
        self._index = index
        self._places = places
        self._binds = binds
        self._docker = docker
        self._by_path: dict[str, str] = {}
        self._files: set[str] = set()

    @property
    def settings(self) -> str:
        """The command that saves how the containers were started."""
        if self._docker:
            return "docker inspect $(docker ps --all --quiet) > containers.json"
        root = quote(self._places.root or self._index.document.root)
        return f"{_TAR} containers.tar.gz --exclude='*.log*' -C {root} ./containers"

    def mounts(self, container: ContainerRow) -> list[tuple[MountRow, Saved]]:
        """Everything that is mounted into a container."""
        return [(mount, self._mount(mount)) for mount in container.mounts]

    def _mount(self, mount: MountRow) -> Saved:
        if mount.kind == "volume":
            volume = self._index.volumes.get(mount.source)
            return self._lost(mount) if volume is None else self.volume(volume, "")
        if mount.kind != "bind":
            return Saved(mount.kind, mount.source, "", None, _KINDS.get(mount.kind, f"of kind {mount.kind}"), "")
        if not mount.source:
            return Saved("bind", "", "", None, "what it is cannot be read", "")
        path = _join(self._places.prefix, mount.source)
        note = self._no_data(mount.source)
        command = "" if note else self._tar("bind", mount.source, path)
        return Saved("bind", mount.source, path, None if note else self._binds.get(path), note, command)

    def _no_data(self, source: str) -> str:
        """Why a directory of the host is not copied as it is; "" where it is."""
        if source.endswith(".sock") or (_is_below(source, _VOLATILE) and not _is_below(source, _DISKS)):
            return "of the running system: nothing to save"
        roots = (self._index.document.root, *self._index.document.origins)
        if any(_is_below(root, (source,)) for root in roots):
            return "holds the data root: save its parts"
        return ""

    def _lost(self, mount: MountRow) -> Saved:
        """A volume that has no directory in this root."""
        if not mount.source:
            return Saved("volume", "", "", None, "a volume, but not written down which", "")
        if not mount.host_path or mount.driver in ("", "local"):
            path = _join(self._places.prefix, mount.host_path) if mount.driver not in ("", "local") else ""
            return Saved("volume", mount.source, path, None, "not on this disk: gone, or of a volume plugin", "")
        path = _join(self._places.prefix, mount.host_path)
        return self._visiting(mount.source, path, f"of the volume plugin {mount.driver}")

    def _visiting(self, name: str, path: str, what: str) -> Saved:
        """What is mounted on the host only while a container uses it; what is there without it is not meant."""
        command = f"mountpoint --quiet {quote(path)} && {self._tar('volume', name, path)}"
        return Saved("volume", name, path, None, f"{what}: there only while a container uses it", command)

    def volume(self, volume: VolumeRow, note: str) -> Saved:
        """A volume's data."""
        path = self._index.path(volume.directory, self._places.root)
        if volume.driver not in ("", "local"):
            note = f"driver {volume.driver}; {note}".removesuffix("; ")
        if not path:
            return Saved("volume", volume.name, "", None, f"{note}; not below the data root".removeprefix("; "), "")
        if volume.device and {"bind", "rbind"} & set(volume.options.split(",")):
            path = _join(self._places.prefix, volume.device)
            note = f"its data is {volume.device}; {note}".removesuffix("; ")
            command = self._tar("volume", volume.name, path)
            return Saved("volume", volume.name, path, self._binds.get(path), note, command)
        if volume.mount_type == "tmpfs":
            return Saved("volume", volume.name, path, None, _KINDS["tmpfs"], "")
        if volume.mount_type or volume.device:
            return self._visiting(volume.name, path, f"{volume.mount_type} {volume.device}".strip())
        return Saved("volume", volume.name, path, volume.size, note, self._tar("volume", volume.name, path))

    def writable(self, container: ContainerRow) -> Saved:
        """What lies in the writable layer only."""
        layer = self._index.layers.get((container.driver, container.layer))
        path = self._index.path(layer.directory, self._places.root) if layer else ""
        name, file = _called(container), self._file("container", container_name(container))
        command = ""
        if self._docker:
            command = f"docker export {name} | gzip > {file}"
        elif path:
            command = self._tar("writable", container_name(container), path)
        note = "lost with the container, unless exported or committed" if container.writable else ""
        return Saved("writable", container_name(container), path, container.writable, note, command)

    def image(self, image: ImageRow) -> tuple[ImageRow, Saved, bool]:
        """An image, and whether nothing but this disk is sure to have it."""
        name = image.references[0] if image.references else image.id
        file = self._file("image", self._index.image_name(image))
        safe = [one for one in image.references if _REFERENCE.fullmatch(one)]
        command = f"docker save {' '.join(safe) or image.id} | gzip > {file}" if self._docker and image.layer else ""
        must = bool(image.layer) and _registry(image) == "none"
        return image, Saved("image", name, "", image.virtual, "", command), must

    @property
    def stores(self) -> str:
        """The command that saves all images without Docker; "" where that saves them."""
        names = {name: table().of((name,)) for name in (row.name for row in self._index.document.directories)}
        areas = [name for name, area in names.items() if area.images and area.path == (name,)]
        files = [name for name, area in names.items() if area.images and area.path != (name,)]
        drivers = self._index.document.drivers
        kept = [*(name for name in names if name in areas or name in drivers), *files]
        if self._docker or not kept:
            return ""
        root = quote(self._places.root or self._index.document.root)
        return f"{_TAR} images.tar.gz --one-file-system -C {root} {' '.join(quote(f'./{one}') for one in kept)}"

    def _tar(self, kind: str, name: str, path: str) -> str:
        """One command for each path, however often that is mounted."""
        if path not in self._by_path:
            parent, last = posixpath.split(path.rstrip("/") or "/")
            file = self._file(kind, name)
            self._by_path[path] = f"{_TAR} {file} -C {quote(parent or '/')} {quote('./' + last)}"
        return self._by_path[path]

    def _file(self, kind: str, name: str) -> str:
        """A file name made of what cannot hurt."""
        stem = f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', name).strip('_')[:80]}"
        number, found = 1, stem
        while found in self._files:
            number += 1
            found = f"{stem}-{number}"
        self._files.add(found)
        return found + ".tar.gz"


def measure_binds(index: Index, places: Places) -> dict[str, int]:
    """Measure the sources of all bind mounts on this machine; one that cannot be read whole has no size."""
    sizes: dict[str, int] = {}
    sources = [one.source for row in index.document.containers for one in row.mounts if one.kind == "bind"]
    sources += [one.device for one in index.document.volumes if one.device.startswith("/")]
    for path in {_join(places.prefix, one) for one in sources if one}:
        if (found := _measured(unescape(path))) is not None:
            sizes[path] = found
    return sizes


def _measured(path: str) -> int | None:
    parent, last = os.path.split(os.path.realpath(path))
    errors: list[object] = []
    try:
        with DataRoot(parent) as root:
            found = measure(root, (last,) if last else (), NOTHING, lambda *error: errors.append(error))
    except (OSError, ValueError):  # gone, or no path at all
        return None
    return None if errors else found.usage.size


def _is_below(path: str, tops: Iterable[str]) -> bool:
    return any(f"{path.rstrip('/')}/".startswith(f"{top.rstrip('/')}/") for top in tops)


def _join(prefix: str, source: str) -> str:
    return prefix.rstrip("/") + source if prefix else source


def _called(container: ContainerRow) -> str:
    name = unescape(container.name)
    return name if _NAME.fullmatch(name) else container.id


def _registry(image: ImageRow) -> str:
    """What speaks for a registry having it: a digest proves it, a tag may be local only."""
    if image.digests:
        return "digest"
    return "tag" if image.references else "none"


def _totals(rows: _Rows, unused: list[Saved], images: list[Saved]) -> dict[str, int | None]:
    """Bytes by kind; what several containers mount counts once. None where one of them has an unknown size."""
    mounts = {(one.kind, one.name): one for _, mounts, _ in rows for _, one in mounts}
    mounts |= {(one.kind, one.name): one for one in unused}
    totals = {
        "volumes": _sum(one for (kind, _), one in mounts.items() if kind == "volume"),
        "binds": _sum(one for (kind, _), one in mounts.items() if kind == "bind"),
        "writable": _sum(one for _, _, one in rows),
        "images": _sum(images),
    }
    return totals | {"known": sum(total or 0 for total in totals.values())}


def _sum(rows: Iterable[Saved]) -> int | None:
    """What cannot be saved, as it is in memory, takes nothing."""
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


def _volume_table(unused: list[Saved]) -> Table:
    rows = [(one.name, one.size, one.path, one.note) for one in unused]
    return Table("Volumes that no container mounts", ("VOLUME", ">SIZE", "ON THE HOST", "NOTE"), rows)


def _image_table(index: Index, images: list[tuple[ImageRow, bool]]) -> Table:
    said = {
        "digest": "a registry has had it: pull by digest",
        "tag": "named by a tag: docker save it unless a registry has it",
        "none": "nothing names it: only docker save keeps it",
        "gone": "its own layer is gone: it cannot be saved",
    }
    rows = [
        (index.image_name(row), index.short(row.id), row.virtual, said[_registry(row) if row.layer else "gone"])
        for row, _ in images
    ]
    return Table("Images", ("IMAGE", "IMAGE ID", ">VIRTUAL", "BACKUP"), rows)


def _commands(plan: _Plan, rows: _Rows, unused: list[Saved], images: _Images) -> Iterator[str]:
    """Commands to copy, each once."""
    done: set[str] = set()
    if rows:
        yield plan.settings
    for container, mounts, writable in rows:
        wanted = list(dict.fromkeys(one.command for _, one in mounts if one.command and one.command not in done))
        done.update(wanted)
        if is_running(container) and wanted:
            yield f"# {_called(container)} is running: stop it first, or dump its database, for files that agree"
        yield from wanted
        if writable.size and writable.command:
            yield f"# {size(writable.size)} that {_called(container)} wrote outside its mounts"
            yield writable.command
    yield from (row.command for row in unused if row.command and row.command not in done)
    yield from (row.command for _, row, must in images if must and row.command)
    if images and plan.stores:
        yield "# all images, for an engine of this version with this driver: without Docker none can be saved alone"
        yield plan.stores
    yield from (
        f"# unless a registry has it: {row.command}"
        for image, row, _ in images
        if row.command and _registry(image) == "tag"
    )
