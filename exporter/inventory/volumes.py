"""Reads volumes in all formats that Docker has used. The format is detected from the files.

Docker 1.0 to 1.2 (daemon/volumes.go): `volumes/<id>/json`, a graph of its own. 1.3 to 1.6
(volumes/volume.go): `volumes/<id>/config.json` with `Path` and `IsBindMount`. Both have the data in
`vfs/dir/<id>`. From 1.7 on (volume/local/local.go): `volumes/<name>/_data`. What Docker 1.13 and newer know of a
volume besides is in `volumes/metadata.db` (volume/service/db.go): driver, options and labels, anonymity since 23.0.
"""

import re
import stat
from functools import partial

from msgspec.structs import replace

from exporter.core.knowledge import Input
from exporter.core.measured import Reason, Tree
from exporter.core.model import Volume
from exporter.inventory.areas import VOLUMES
from exporter.inventory.drivers import VFS
from exporter.inventory.files.bolt import Bucket
from exporter.inventory.files.reader import MISSING, Reader, is_id
from exporter.inventory.files.values import Json, decode, flag, table, text
from exporter.inventory.image_store.store import is_containerd_root

#: Before Docker 17.06 the file held the options as they were given.
_OLD_KEYS = {"MountType": "type", "MountDevice": "device", "MountOpts": "o"}
_OWN_FILES = ("metadata.db", "backingFsBlockDev")
#: Docker 1.0 to 1.2 keep volumes as a graph, which makes and removes its entries in here (graph/graph.go, Mktemp).
_UNFINISHED = "_tmp"
#: What a volume of Docker 1.7 and newer has: its files, and options if it was made with any.
_DATA, _OPTIONS = "_data", "opts.json"
_DATABASE: Tree = (*VOLUMES.path, "metadata.db")
#: Directories that engines make which also make the database (Docker 1.13 on, plugin/manager.go; BuildKit since 18.06).
_SINCE_DATABASE: tuple[Tree, ...] = (("plugins", "storage"), ("buildkit",))
_ANONYMOUS = "com.docker.volume.anonymous"
_COMPOSE = "com.docker.compose.project"
_VFS: Tree = VFS.layers
_VFS_SOURCE = re.compile(r"/vfs/dir/([0-9a-f]{64})/?\Z", re.ASCII)
_LOCAL_SOURCE = re.compile(r"/volumes/([^/]+)/_data/?\Z")


def read_volumes(reader: Reader) -> tuple[Volume, ...]:
    """List the volumes.

    An entry of `volumes` that stands for a bind mount (Docker 1.3 to 1.6) is none, nor is `_tmp` of Docker 1.0 to 1.2.
    """
    known, required = _database(reader), not is_containerd_root(reader.root)
    volumes = []
    times: dict[str, float] = {}
    names = reader.objects(VOLUMES.path, lambda _: True, ignored=_OWN_FILES, links=True, required=required, times=times)
    # Volumes of Docker 1.7 or newer without options, as nearly all are. They are looked at together.
    plain = reader.holders(VOLUMES.path, times, _DATA, without=_OPTIONS)

    def read(name: str) -> Volume | None:
        return _plain(name, times[name] or None) if name in plain else _read(reader, name, times.get(name))

    found = reader.each("volume", VOLUMES.path, names, read, _lost, also=(_VFS,))
    if not known:  # engines before 1.9 have no database
        return tuple(filter(None, found.values()))
    for name, volume in found.items():
        if volume is not None:
            told = partial(_told, volume, about) if (about := known.pop(name, {})) else None
            volumes.append(reader.attempt((*VOLUMES.path, name), told, volume) if told else volume)
    # A volume of another driver has no directory here. A local volume without one is gone.
    others = [(name, about) for name, about in sorted(known.items()) if text(about, "Driver") not in ("", "local")]
    return (*volumes, *(_told(Volume(name, is_id(name)), about) for name, about in others))


def _database(reader: Reader) -> dict[str, Json]:
    """The entries of `metadata.db` by volume; read again whenever it was written to."""
    if any(reader.root.is_directory(tree) for tree in _SINCE_DATABASE):
        reader.expect(_DATABASE)
    return dict(reader.database(_DATABASE, "volumes", partial(_volumes, reader)) or {})


def _volumes(reader: Reader, bucket: Bucket) -> dict[str, Json]:
    """What is used here of each entry. Entries that cannot be decoded are one problem, and empty."""
    found: dict[str, Json] = {}
    damaged = []
    for key, value in bucket.values.items():
        name = key.decode("utf-8", "surrogateescape")
        about = decode(value)
        found[name] = _used(about or {})
        if about is None:
            damaged.append(name)
    if damaged:
        reader.problem(Reason.DECODE, _DATABASE, f"{len(damaged)} of its entries, one is that of {damaged[0]}")
    return found


def _used(about: Json) -> Json:
    """The keys that `_told` looks at: the rest may be long."""
    labels = table(about, "Labels")
    return {
        "Driver": text(about, "Driver"),
        "Labels": {key: labels[key] for key in (_ANONYMOUS, _COMPOSE) if key in labels},
        "Options": {"": ""} if table(about, "Options") else {},
    }


def _told(volume: Volume, about: Json) -> Volume:
    """Add the data of the database."""
    labels = table(about, "Labels")
    return replace(
        volume,
        anonymous=volume.anonymous or _ANONYMOUS in labels,
        driver=text(about, "Driver") or volume.driver,
        compose_project=text(labels, _COMPOSE),
        optioned=volume.optioned or bool(table(about, "Options")),
    )


def _lost(name: str) -> Volume | None:
    return Volume(name, is_id(name), home=(*VOLUMES.path, name), optioned=True)


def _read(reader: Reader, name: str, changed: float | None) -> Volume | None:
    """Read a volume. `changed`: when its directory did last, where that is known.

    The volume came when its directory got its entries: Docker writes them only then.

    CreatedAt of `docker volume inspect` is the ctime of this directory (moby 25 volume/local/local_unix.go), or of
    `_data` (moby 20.10). A restored backup has the time of the restore there, and this one in mtime.
    """
    home = (*VOLUMES.path, name)
    if changed is not None:
        return _read_files(reader, name, home, changed or None)
    try:
        status = reader.root.lstat(home)
    except OSError:  # what is in it is read all the same, as far as it can be
        return _read_files(reader, name, home, None)
    linked = stat.S_ISLNK(status.st_mode) and reader.is_link(home)
    return _read_files(reader, name, home, status.st_mtime or None, linked=linked)


def _plain(name: str, created: float | None) -> Volume:
    home = (*VOLUMES.path, name)
    return Volume(name, is_id(name), tree=(*home, _DATA), home=home, created=created)


def _read_files(reader: Reader, name: str, home: Tree, created: float | None, *, linked: bool = False) -> Volume | None:
    anonymous = is_id(name)
    if linked:  # what is in it is not known, and so are its options
        return Volume(name, anonymous, home=home, link=True, optioned=True, created=created)
    if reader.is_directory((*home, _DATA)) or (linked := reader.is_link((*home, _DATA), harmless=True)):
        about, optioned = _options_of(reader, home)
        if not about and not optioned and not linked:
            return _plain(name, created)
        kind, device, options = (text(about, key) or text(about, old) for key, old in _OLD_KEYS.items())
        known = bool(about) or not optioned
        # As needsMount of volume/local/local_unix.go.
        data = (*home, _DATA) if known and not (kind or device) else None
        facts = Volume(name, anonymous, mount_type=kind, device=device, options=options, optioned=optioned)
        return replace(facts, tree=None if linked else data, home=home, link=linked, created=created)
    names = reader.names(home)
    if "config.json" in names:
        config = reader.json((*home, "config.json"))
        if config is not None and flag(config, "IsBindMount"):
            return None
    elif name == _UNFINISHED:
        return None
    elif _DATA in names:
        reader.problem(Reason.NOT_REGULAR, (*home, _DATA), "not a directory")
    tree = (*_VFS, name) if anonymous and reader.is_directory((*_VFS, name)) else None
    if tree is None and {"config.json", "json"} & {*names}:
        reader.gap(Input.VOLUMES, (*_VFS, name), MISSING, object_id=name)
    return Volume(name, anonymous, tree=tree, home=home, created=created)


def _options_of(reader: Reader, home: Tree) -> tuple[Json, bool]:
    """What `opts.json` says, and whether that is an option. Of a file that cannot be read this is taken to be so."""
    if not reader.has((*home, _OPTIONS)):
        return {}, False
    about = reader.json((*home, _OPTIONS), optional=True)
    if about is None:
        return {}, reader.has((*home, _OPTIONS))
    if about and not about.keys() & {*_OLD_KEYS, *_OLD_KEYS.values(), "Quota"}:
        reader.problem(Reason.DECODE, (*home, _OPTIONS), "has no options of a volume")
        return {}, True
    if not all(isinstance(one, dict if key == "Quota" else str) for key, one in about.items() if one is not None):
        reader.problem(Reason.DECODE, (*home, _OPTIONS), "an option of the wrong type")
        return {}, True
    return about, _any_value(about)


def _any_value(value: object) -> bool:
    """Whether any option is set: Docker writes down those that are not, as "" or 0 (volume/local, optsConfig)."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.values()
        elif one:
            return True
    return False


def volume_of(source: str) -> tuple[str, str]:
    """The data root and the name of the volume whose data a container's host path can be; "" for every other."""
    found = _VFS_SOURCE.search(source) or _LOCAL_SOURCE.search(source)
    return (source[: found.start()], found[1]) if found else ("", "")
