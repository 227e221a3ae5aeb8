"""Names the missing layers, and the images and containers that need them."""

from collections import defaultdict

from msgspec import to_builtins

from exporter.cli.commands.index import Index, container_name
from exporter.cli.commands.tables import Lines
from exporter.expose.snapshot_api.rows import ContainerRow, ImageRow, MissingRow

_TITLE = "Missing layers: not on disk, or described by files that no engine reads"
_MOST_NAMED = 3


def missing_of_images(index: Index) -> list[Lines]:
    """Name each image with missing layers, and what names refer to without being there."""
    known = {(one.driver, one.layer) for one in index.document.missing}
    lines = []
    for image in index.document.images:
        ids = [one for one in image.missing if (image.driver, one) in known]
        if ids:
            what = f"layer {_few(index, ids)} is" if len(ids) == 1 else f"{len(ids)} layers ({_few(index, ids)}) are"
            lines.append(f"image {index.image_name(image)} ({index.short(image.id)}): {what} missing")
    users = _users(index)
    lost = (one for one in index.document.missing if not users[one.driver, one.layer])
    lines += [f"{index.short(one.layer)}: {_NAMED}" for one in lost]
    return [Lines(_TITLE, lines)] if lines else []


def missing_layers(index: Index) -> list[Lines]:
    """Name each missing layer, with the images and containers that need it."""
    lines = []
    users = _users(index)
    for one in index.document.missing:
        needing = [_called(index, user, one) for user in users[one.driver, one.layer]]
        by = ", ".join(needing) or _NAMED
        lines.append(f"layer {index.short(one.layer)} of driver {one.driver}: {by}")
    return [Lines(_TITLE, lines)] if lines else []


def missing_data(index: Index) -> list[dict[str, object]]:
    """The same for --json."""
    rows: list[dict[str, object]] = []
    users = _users(index)
    for one in index.document.missing:
        needing = users[one.driver, one.layer]
        images = [{"id": user.id, "references": user.references} for user in needing if isinstance(user, ImageRow)]
        containers = [{"id": user.id, "name": user.name} for user in needing if isinstance(user, ContainerRow)]
        rows.append({**to_builtins(one), "images": images, "containers": containers})
    return rows


_NAMED = "a tag or digest names this image, and it is not on disk"


def _users(index: Index) -> dict[tuple[str, str], list[ImageRow | ContainerRow]]:
    """The images and containers that need each missing layer."""
    users: dict[tuple[str, str], list[ImageRow | ContainerRow]] = defaultdict(list)
    rows: list[ImageRow | ContainerRow] = [*index.document.images, *index.document.containers]
    for row in rows:
        for layer in row.missing:
            users[row.driver, layer].append(row)
    return users


def _called(index: Index, row: ImageRow | ContainerRow, missing: MissingRow) -> str:
    if isinstance(row, ImageRow):
        return f"needed by image {index.image_name(row)}"
    what = "the writable layer of" if missing.layer == row.id else "needed by"
    return f"{what} container {container_name(row)}"


def _few(index: Index, ids: list[str]) -> str:
    more = ", ..." if len(ids) > _MOST_NAMED else ""
    return ", ".join(map(index.short, ids[:_MOST_NAMED])) + more
