"""Plans the backup of each object: its path, its size, and the command that saves it."""

import os
import posixpath
import re
from collections.abc import Iterable

from msgspec import Struct

from exporter.cli.commands.builders import builder_note
from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.remarks import leftovers, links
from exporter.core.data_root import DataRoot
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.knowledge import Input
from exporter.core.mountinfo import foreign_trees, read_mounts
from exporter.core.shell import arguments, quote
from exporter.core.text import unescape
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, LayerRow, MountRow, VolumeRow
from exporter.inventory.areas import CONTAINERS, VOLUMES, table
from exporter.measure.exclusions import Exclusions
from exporter.measure.walk import measure

#: The names that Docker allows. An object with another name is addressed by its id.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*", re.ASCII)
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)
_REFERENCE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_./:-]*", re.ASCII)
#: A name of an image of containerd, with a tag or a digest.
_TARGET = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_./:@-]*", re.ASCII)
#: containerd 2.1 pkg/identifiers/validate.go.
_NAMESPACE = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*", re.ASCII)
_SOCKET = "/run/docker/containerd/containerd.sock"
_BLOCK = 4096
#: The inodes of a snapshot to which nothing was written: itself, `fs`, `work`, and `work/work` of one that was mounted.
_EMPTY_SNAPSHOT = 4
#: `--no-unquote`: else tar takes a backslash in the name of a member for an escape, and saves another file.
_TAR = "tar --no-unquote --numeric-owner --sparse --acls --xattrs --xattrs-include='*' -czf"
#: The kernel or running programs make the files in these directories.
_VOLATILE = ("/proc", "/sys", "/dev", "/run", "/var/run")
#: Exceptions: removable disks, and the disks of Docker Desktop's host, are mounted here.
_DISKS = ("/run/media", "/run/desktop/mnt")


class Places(Struct, frozen=True):
    """Where files are on this host: the data root, if not where the document says, and a prefix of other paths."""

    root: str = ""
    prefix: str = ""


class Saved(Struct, frozen=True):
    """One thing to save: `kind` is bind, volume, tmpfs, writable or image; `path` is where it is on this host."""

    kind: str
    name: str
    path: str
    size: int | None
    note: str
    command: str


_KINDS = {
    "tmpfs": "in memory: gone when the container stops",
    "image": "files of an image: saved with it",
    "secret": "the swarm keeps it",
    "config": "the swarm keeps it",
}


class BackupPlan:
    """Makes a `Saved` for each object. No two commands write the same file."""

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
        return f"{_TAR} containers.tar.gz --exclude='*.log*' -C {self._root} {self._member(CONTAINERS.path[0])}"

    def is_foreign(self, namespace: str) -> bool:
        """Whether objects of a namespace of containerd are not Docker's: no command of Docker knows them."""
        return bool(namespace) and namespace != self._index.document.engine

    @property
    def has_hidden_containers(self) -> bool:
        """Whether there may be containers that are not known."""
        return bool(self._index.why_unlisted(Input.CONTAINERS))

    @property
    def _root(self) -> str:
        return quote(self._places.root or self._index.document.root)

    def _member(self, name: str) -> str:
        """A top-level entry as an argument of tar, which follows a link only on the way to something."""
        return quote(f"./{name}/." if name in links(self._index.document) else f"./{name}")

    @property
    def all_volumes(self) -> str:
        """The command that copies all volumes, where it is not known which there are; "" where that is known."""
        if not self._index.why_unlisted(Input.VOLUMES):
            return ""
        return f"{_TAR} volumes.tar.gz -C {self._root} {self._member(VOLUMES.path[0])}"

    def mounts(self, container: ContainerRow) -> list[tuple[MountRow, Saved]]:
        """The mounts of a container."""
        return [(mount, self._mount(mount)) for mount in container.mounts]

    def _mount(self, mount: MountRow) -> Saved:
        if mount.kind == "volume":
            volume = self._index.volumes.get(mount.source)
            return self._without_directory(mount) if volume is None else self.volume(volume, "")
        if mount.kind != "bind":
            return Saved(mount.kind, mount.source, "", None, _KINDS.get(mount.kind, f"of kind {mount.kind}"), "")
        if not _is_path(mount.source):
            return Saved("bind", mount.source, "", None, "what it is cannot be read", "")
        path = _join(self._places.prefix, mount.source)
        note = self._no_data(mount.source)
        command = "" if note else self._tar("bind", mount.source, path)
        return Saved("bind", mount.source, path, None if note else self._binds.get(path), note, command)

    def _no_data(self, source: str) -> str:
        """Why a directory of the host is not to be copied; "" if it is."""
        if source.endswith(".sock") or (_is_below(source, _VOLATILE) and not _is_below(source, _DISKS)):
            return "of the running system: nothing to save"
        roots = (self._index.document.root, *self._index.document.origins)
        if any(_is_below(root, (source,)) for root in roots):
            return "holds the data root: save its parts"
        return ""

    def _without_directory(self, mount: MountRow) -> Saved:
        """A volume that has no directory in this root."""
        if not _is_component(mount.source):
            return Saved("volume", mount.source, "", None, "a volume, but not written down which", "")
        why = self._index.why_unlisted(Input.VOLUMES)
        if why and mount.driver in ("", "local"):
            path = self._index.path("/".join((*VOLUMES.path, mount.source, "_data")), self._places.root)
            note = f"not measured, it could not be looked at: {why}"
            return Saved("volume", mount.source, path, None, note, self._tar("volume", mount.source, path))
        if not _is_path(mount.host_path) or mount.driver in ("", "local"):
            return Saved("volume", mount.source, "", None, "not on this disk: gone, or of a volume plugin", "")
        path = _join(self._places.prefix, mount.host_path)
        return self._mounted_in_use(mount.source, path, f"of the volume plugin {mount.driver}")

    def _mounted_in_use(self, name: str, path: str, what: str) -> Saved:
        """A volume on a filesystem that Docker mounts only while a container uses the volume."""
        command = f"mountpoint --quiet {arguments(path)} && {self._tar('volume', name, path)}"
        return Saved("volume", name, path, None, f"{what}: there only while a container uses it", command)

    def volume(self, volume: VolumeRow, note: str) -> Saved:
        """A volume's data."""
        path = self._index.path(volume.directory, self._places.root)
        note = "; ".join(one for one in (note, builder_note(volume.name)) if one)
        if volume.driver not in ("", "local"):
            note = f"driver {volume.driver}; {note}".removesuffix("; ")
        if not path:
            return Saved("volume", volume.name, "", None, f"{note}; not below the data root".removeprefix("; "), "")
        if _is_path(volume.device) and {"bind", "rbind"} & set(volume.options.split(",")):
            path = _join(self._places.prefix, volume.device)
            note = f"its data is {volume.device}; {note}".removesuffix("; ")
            command = self._tar("volume", volume.name, path)
            return Saved("volume", volume.name, path, self._binds.get(path), note, command)
        if volume.mount_type == "tmpfs":
            return Saved("volume", volume.name, path, None, _KINDS["tmpfs"], "")
        if volume.mount_type or volume.device:
            return self._mounted_in_use(volume.name, path, f"{volume.mount_type} {volume.device}".strip())
        if volume.link:
            note = f"behind a link, not measured; {note}".removesuffix("; ")
        command = self._tar("volume", volume.name, path, inside=volume.link)
        return Saved("volume", volume.name, path, volume.size, note, command)

    def writable(self, container: ContainerRow) -> Saved:
        """The files that only the writable layer has."""
        layer = self._index.layers.get((container.driver, container.layer))
        path = self._index.path(layer.directory, self._places.root) if layer else ""
        name, file = called(container), self._file("container", container_name(container))
        command = ""
        foreign = self.is_foreign(container.namespace)
        if self._docker and not foreign:
            command = f"docker export {name} | gzip > {file}"
        elif path:
            command = self._tar("writable", container_name(container), path)
        if layer is not None and _is_unwritten(layer):
            return Saved("writable", container_name(container), path, container.writable, "nothing written", "")
        kept = "copied" if foreign else "exported or committed"
        note = f"lost with the container, unless {kept}" if container.writable else ""
        return Saved("writable", container_name(container), path, container.writable, note, command)

    def image(self, image: ImageRow) -> tuple[ImageRow, Saved, bool]:
        """An image, and whether it must be saved: this disk may have the only copy."""
        name = image.references[0] if image.references else image.id
        file = self._file("image", self._index.image_name(image))
        safe = [one for one in image.references if _REFERENCE.fullmatch(one)]
        command = f"docker save {' '.join(safe) or image.id} | gzip > {file}" if self._docker and image.layer else ""
        if self.is_foreign(image.namespace):
            command = self._export(image, file) if self._docker else ""
        must = bool(image.layer) and registry_evidence(self._index, image) in ("none", "unknown")
        return image, Saved("image", name, "", image.virtual, "", command), must

    def _export(self, image: ImageRow, file: str) -> str:
        """The command of containerd's own client that saves an image; "" for one without a name that it allows."""
        names = [one for one in (*image.references, *image.digests) if _TARGET.fullmatch(one)]
        if not names or not _NAMESPACE.fullmatch(image.namespace):
            return ""
        # dockerd has its own containerd listen elsewhere (moby 28 daemon/internal/libcontainerd/supervisor).
        own = "" if self._store.startswith("/") or not self._store else f"--address {_SOCKET} "
        tar = file.removesuffix(".gz")
        return f"ctr {own}--namespace {image.namespace} images export {tar} {' '.join(names)}"

    @property
    def _store(self) -> str:
        """Where containerd's image store is, relative to the root, or absolute in a further one."""
        return self._index.document.store or ""

    @property
    def stores(self) -> tuple[str, ...]:
        """The commands that copy all images as files; nothing if `docker save` is used."""
        document = self._index.document
        there = [row.name for row in document.directories if not row.root and row.name not in leftovers(document)]
        names = {name: table().of((name,)) for name in there}
        areas = [name for name, area in names.items() if area.images and area.path == (name,)]
        files = [name for name, area in names.items() if area.images and area.path != (name,)]
        own = self._store.partition("/")[0]
        drivers = {*document.drivers, own} - {""}
        kept = [*(name for name in names if name in areas or name in drivers), *files]
        if document.store == "":  # the root is that of containerd
            kept = [name for name in names if name != "."]
        if self._docker:
            return ()
        made = [f"{_TAR} images.tar.gz --one-file-system -C {self._root} {' '.join(map(self._member, kept))}"]
        if self._store.startswith("/"):
            made.append(f"{_TAR} containerd.tar.gz --one-file-system -C {quote(self._store)} .")
        return tuple(made if kept else made[1:])

    def _tar(self, kind: str, name: str, path: str, *, inside: bool = False) -> str:
        """The tar command for a path. A path that is mounted several times has one command.

        `inside`: the path may be a link, so the command begins in there.
        """
        if path not in self._by_path:
            parent, last = posixpath.split(path.rstrip("/") or "/")
            file = self._file(kind, name)
            at = f"{quote(path)} ." if inside else f"{quote(parent or '/')} {quote('./' + last)}"
            self._by_path[path] = f"{_TAR} {file} -C {at}"
        return self._by_path[path]

    def _file(self, kind: str, name: str) -> str:
        """A file name without characters that are special to a shell."""
        stem = f"{kind}-{re.sub(r'[^A-Za-z0-9_.-]+', '_', name).strip('_')[:80]}"
        number, found = 1, stem
        while found in self._files:
            number += 1
            found = f"{stem}-{number}"
        self._files.add(found)
        return found + ".tar.gz"


def measure_binds(index: Index, places: Places) -> dict[str, int]:
    """Measure the sources of all bind mounts on this machine. One that cannot be read completely has no size."""
    sizes: dict[str, int] = {}
    sources = [one.source for row in index.document.containers for one in row.mounts if one.kind == "bind"]
    sources += [one.device for one in index.document.volumes]
    for path in {_join(places.prefix, one) for one in sources if _is_path(one)}:
        if (found := _measured(unescape(path))) is not None:
            sizes[path] = found
    return sizes


def _measured(path: str) -> int | None:
    if not HANG_PROBE.answers(path):
        return None
    real = os.path.realpath(path)
    parent, last = os.path.split(real)
    mounted = Exclusions()  # not entered, as by du -x, and not asked: they may hang
    for tree in foreign_trees(real, read_mounts()):
        mounted.add(tree, mount=True)
    errors: list[object] = []
    try:
        with DataRoot(parent) as root:
            found = measure(root, (last,) if last else (), mounted, lambda *error: errors.append(error))
    except (OSError, ValueError):  # it is gone, or not a valid path
        return None
    return None if errors else found.usage.size


def _is_unwritten(layer: LayerRow) -> bool:
    """Whether the snapshot of a container has no file. By its size it has something: the block of its directory."""
    few = layer.inodes is not None and layer.inodes <= _EMPTY_SNAPSHOT
    return layer.driver == "overlayfs" and few and (layer.size or 0) <= _BLOCK


def _is_below(path: str, tops: Iterable[str]) -> bool:
    return any(f"{path.rstrip('/')}/".startswith(f"{top.rstrip('/')}/") for top in tops)


def _is_path(name: str) -> bool:
    """Whether a name from a description can be the path of something on the host."""
    original = unescape(name)
    return original.startswith("/") and "\0" not in original


def _is_component(name: str) -> bool:
    """Whether a name from a description can be the name of a directory: not a path, which might lead elsewhere."""
    original = unescape(name)
    return original not in ("", ".", "..") and not {"/", "\0"} & {*original}


def _join(prefix: str, source: str) -> str:
    return prefix.rstrip("/") + source if prefix else source


def called(container: ContainerRow) -> str:
    """The argument by which Docker finds a container: its name if Docker allows that name, else its id.

    A name that may be the id of another container is not used: Docker takes it for that.
    """
    name = unescape(container.name)
    return name if _NAME.fullmatch(name) and not _ID.fullmatch(name) else container.id


def registry_evidence(index: Index, image: ImageRow) -> str:
    """Whether a registry may have an image: "digest" (it had), "tag" (it may be local only), "none", or "unknown"."""
    if image.digests:
        return "digest"
    if image.references:
        return "tag"
    return "none" if index.is_nameless(image) else "unknown"
