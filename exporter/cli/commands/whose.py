"""`whose`: the owner of a path."""

import os
import posixpath

from exporter.cli.commands.builders import builder_note
from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.remarks import behind_link, links, said_of
from exporter.cli.commands.store import as_digest, owners_in_store, owners_of_digest
from exporter.cli.commands.tables import Answer, Lines, size
from exporter.core.hang_probe import HANG_PROBE
from exporter.core.text import escape, unescape
from exporter.expose.snapshot_api.rows import PluginRow
from exporter.inventory.areas import VOLUMES, table
from exporter.inventory.drivers import INIT
from exporter.inventory.files.reader import ID, is_id

_PLUGINS = "plugins"


def whose(index: Index, given: str) -> Answer:
    """Name the owners of a path below a root, or of a digest. A path is tried as given and with its links resolved."""
    if (digest := as_digest(given)) and not os.path.lexists(given):
        return _of_digest(index, digest)
    if (path := _in_further_root(index, given)) is not None:
        return _answer(given, escape(path), _owners_in_further_root(index, escape(path)))
    relative = _below(index.document.root, given)
    if relative is None:
        relative = _below_origins(index.document.origins, given)
    if relative is None and (through := behind_link(index.document, escape(os.path.normpath(given)))):
        relative = unescape(through)
    if relative is None and (mounting := _mounting(index, escape(os.path.abspath(given)))):
        lines = [f"{one['kind']}: {one['text']}" for one in mounting]
        return Answer({"path": escape(given), "relative": None, "owners": mounting}, [Lines("", lines)])
    if relative is None:
        line = f"{escape(given)} is not below the data root {index.document.root}."
        return Answer({"path": escape(given), "relative": None, "owners": []}, [Lines("", [line])], failed=True)
    parts = tuple(escape(relative).split("/")) if relative else ()
    owners = _owners(index, parts)
    resolved = _below(_resolved(index.document.root), _resolved(given))
    unknown = not owners or owners[0]["kind"] == "part"
    if unknown and resolved and resolved != relative:  # a link, such as those in overlay2/l
        owners = _owners(index, tuple(escape(resolved).split("/")))
    return _answer(given, "/".join(parts), owners)


def _answer(given: str, relative: str, owners: list[dict[str, str]]) -> Answer:
    data = {"path": escape(given), "relative": relative, "owners": owners}
    lines = [f"{owner['kind']}: {owner['text']}" for owner in owners] or [f"{escape(given)} is nobody's that is known."]
    return Answer(data, [Lines("", lines)], failed=not owners)


def _of_digest(index: Index, digest: str) -> Answer:
    """What a digest is: a blob, the target of an image, a chain of layers."""
    name = digest.partition(":")[2]
    owners = [*owners_of_digest(index, digest), *_named(index, name)]
    data = {"path": digest, "relative": None, "owners": owners}
    lines = [f"{owner['kind']}: {owner['text']}" for owner in owners]
    return Answer(data, [Lines("", lines or [f"Nothing here has the digest {digest}."])], failed=not owners)


def _in_further_root(index: Index, given: str) -> str | None:
    """The absolute path of something in a further root; None for a path elsewhere."""
    if not os.path.isabs(given) and not os.path.lexists(given):
        return None
    for root in index.document.further:
        below = _below(unescape(root), os.path.abspath(given))
        if below is not None:
            return posixpath.join(unescape(root), below) if below else unescape(root)
    return None


def _owners_in_further_root(index: Index, path: str) -> list[dict[str, str]]:
    if path in index.document.further:
        return [{"kind": "root", "id": "", "text": f"the root of containerd {path}"}]
    return owners_in_store(index, path)


def _below(root: str, given: str) -> str | None:
    """The path relative to the root: "" for the root itself, None if it is not below the root."""
    if not os.path.isabs(given):
        if not HANG_PROBE.answers(os.path.abspath(given)) or not os.path.lexists(given):
            relative = posixpath.normpath(given)
            if relative.partition("/")[0] == "..":
                return None
            return "" if relative == "." else relative
        given = os.path.abspath(given)
    pairs = ((os.path.normpath(given), os.path.normpath(root)), (_resolved(given), _resolved(root)))
    for path, top in pairs:
        if path == top:
            return ""
        if path.startswith(top.rstrip("/") + "/"):
            return path[len(top.rstrip("/")) + 1 :]
    return None


def _resolved(path: str) -> str:
    """A path with its links resolved; as given, if a filesystem on the way does not answer."""
    return os.path.realpath(path) if HANG_PROBE.answers(os.path.abspath(path)) else path


def _below_origins(origins: tuple[str, ...], given: str) -> str | None:
    """The same for a path below the data root's former place: the engine's, before its disk was mounted elsewhere."""
    path = escape(os.path.normpath(given))
    for origin in origins:
        if path == origin or path.startswith(origin.rstrip("/") + "/"):
            return unescape(path[len(origin.rstrip("/")) :].strip("/"))
    return None


def _mounting(index: Index, path: str) -> list[dict[str, str]]:
    """The containers with this path of the host as a bind mount."""
    return [
        {
            "kind": "bind mount",
            "id": one.id,
            "text": f"{mount.source} is {mount.destination} in {container_name(one)}",
        }
        for one in index.document.containers
        for mount in one.mounts
        if mount.kind == "bind" and (path == mount.source or path.startswith(mount.source.rstrip("/") + "/"))
    ]


def _owners(index: Index, parts: tuple[str, ...]) -> list[dict[str, str]]:
    """All objects that the path belongs to, the most specific first."""
    if not parts:
        return [{"kind": "root", "id": "", "text": f"the data root {index.document.root} itself"}]
    volume = _volume(index, parts)
    if volume is not None:
        return [volume]
    plugin = _plugin(index, parts)
    if plugin:
        return plugin
    if remark := said_of(index.document, "/".join(parts)):
        return [*_behind(index, parts), {"kind": "part", "id": parts[0], "text": remark}]
    if in_store := owners_in_store(index, "/".join(parts)):
        return in_store
    found: list[dict[str, str]] = []
    for name in parts[:6]:
        found += _named(index, name)
    if not found:
        found = _part(index, parts[0])
    return found


def _part(index: Index, name: str) -> list[dict[str, str]]:
    """The part of a data root for a top-level entry that belongs to no single object."""
    area = table().of((name,))
    directory = next((one for one in index.document.directories if not one.root and one.name == name), None)
    if area.path != (name,) and area.label:  # one of many files of a kind
        return [{"kind": "part", "id": name, "text": area.label}]
    if not area.label and directory is None:
        return []
    how = next((f"; old ones: {one.how}" for one in index.document.temporary if one.path == name), "")
    allocated = f"; {size(directory.allocated)} on disk in all" if directory else ""
    return [{"kind": "part", "id": name, "text": f"{name}: {area.label or 'not known'}{allocated}{how}"}]


def _volume(index: Index, parts: tuple[str, ...]) -> dict[str, str] | None:
    """The volume that the path belongs to."""
    for one in index.document.volumes:
        data = tuple(one.directory.split("/")) if one.directory else ("",)
        if parts[: len(data)] == data or parts[: len(VOLUMES.path) + 1] == (*VOLUMES.path, one.name):
            return _said_of_volume(index, one.name, one.size)
    return None


def _behind(index: Index, parts: tuple[str, ...]) -> list[dict[str, str]]:
    """The volume that a path belongs to, where the volumes are behind a link: containers name it."""
    if (
        parts[: len(VOLUMES.path)] != VOLUMES.path
        or len(parts) == 1
        or "/".join(VOLUMES.path) not in links(index.document)
    ):
        return []
    named = {mount.source for one in index.document.containers for mount in one.mounts if mount.kind == "volume"}
    return [_said_of_volume(index, parts[1], None)] if parts[1] in named else []


def _said_of_volume(index: Index, name: str, bytes_: int | None) -> dict[str, str]:
    users = [
        container_name(container)
        for container in index.document.containers
        if any(mount.kind == "volume" and mount.source == name for mount in container.mounts)
    ]
    nobody = "no known container" if index.document.why_not("volume_users") else "no container"
    text = f"{name}, {size(bytes_)}, mounted by {', '.join(users) or nobody}"
    return {"kind": "volume", "id": name, "text": "; ".join(one for one in (text, builder_note(name)) if one)}


def _plugin(index: Index, parts: tuple[str, ...]) -> list[dict[str, str]]:
    """The plugin that the path belongs to, and the containers whose ids are in it: a log of theirs, for example."""
    if len(parts) < 2 or parts[0] != _PLUGINS or not is_id(parts[1]):
        return []
    plugin = next((one for one in index.document.plugins if one.id == parts[1]), PluginRow(parts[1], "", ()))
    found: list[dict[str, str]] = []
    for identity in ID.findall("/".join(parts[:1:-1])):
        containers = [one for one in _named(index, identity) if one["kind"] == "container"]
        if not containers and "logdriver" in plugin.interfaces:
            text = f"{index.short(identity)}, which is no container of this root: it may have been removed"
            containers = [{"kind": "container", "id": identity, "text": text}]
        found += [one for one in containers if one not in found]
    what = f", for {', '.join(plugin.interfaces)}" if plugin.interfaces else ""
    text = f"{plugin.name or 'its name cannot be read'} ({index.short(plugin.id)}){what}"
    return [*found, {"kind": "plugin", "id": plugin.id, "text": text}]


def _named(index: Index, name: str) -> list[dict[str, str]]:
    """The objects whose id is this component of a path, with or without a suffix such as `-removing`."""
    bare = name.removesuffix("-removing").removesuffix(INIT)
    found: list[dict[str, str]] = []
    owning = {one.id for row in index.document.layers if row.id == bare and (one := index.container_of(row))}
    for container in index.document.containers:
        if container.id == bare or container.id in owning:
            text = f"{container_name(container)} ({index.short(container.id)}), {container.state}, of {container.image}"
            found.append({"kind": "container", "id": container.id, "text": text})
    for image in index.document.images:
        if image.id == bare and image.listed:
            text = f"{index.image_name(image)} ({index.short(image.id)}), {size(image.virtual)}"
            found.append({"kind": "image", "id": image.id, "text": text})
    for layer in index.document.layers:
        if bare in (layer.id, layer.chain, layer.held):
            images = ", ".join(index.image_name(one) for one in index.images_with(layer))
            text = f"{index.short(layer.id)}, {size(layer.size)}, {index.owner(layer)}"
            found.append({"kind": "layer", "id": layer.id, "text": f"{text} (images: {images})" if images else text})
    return found
