"""An error that nobody has foreseen, with one object or in one step: it is counted, and hides nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.cli.commands.source import parse
from exporter.core.measured import Reason
from exporter.core.model import Snapshot
from exporter.expose import page_summary
from exporter.expose.metrics import families
from exporter.expose.snapshot_api import objects
from exporter.expose.snapshot_api.pieces import ending
from exporter.figures import (
    build_cache,
    container_sizes,
    directory_sums,
    image_sizes,
    layer_sizes,
    reclaim,
    short_names,
    spaces,
    volume_figures,
)
from exporter.inventory import containers, read, volumes
from exporter.inventory.container_mounts import MountResolver
from exporter.inventory.layouts import claims, graph_store, layerdb, layerdb_images, layerdb_store
from exporter.inventory.liveness import Liveness
from exporter.scan import metadata
from exporter.scan.scanner import Scanner
from tests.support.damage import Said
from tests.support.local_pool import LocalPool
from tests.support.product import Samples
from tests.support.roots import hex_id
from tests.support.roots.layerdb import digest
from tests.support.served import served
from tests.unit.test_knowledge import ROOTS

_WEB, _DONE = digest("containerweb"), digest("containerdone")
#: What fails, and for which object: one by name, or the first image or layer of the snapshot.
_OF_ONE: list[tuple[Any, str, str]] = [
    (containers, "_read", _WEB),
    (containers, "why_not_loaded", _WEB),
    (containers, "is_unresolved", _WEB),
    (MountResolver, "resolve", _DONE),
    (volumes, "_plain", "spare"),
    (volumes, "_told", "spare"),
    (layerdb_images, "_read_config", "image"),
    (layerdb_images, "_image", "image"),
    (layerdb_store, "_read_entry", "layer"),
    (layerdb_store, "_read_mount", _WEB),
    (read, "_placed", _WEB),
    (read, "with_unloaded", _WEB),
    (claims, "_describe", "layer"),
    (image_sizes, "_of_layers", "image"),
    (container_sizes, "_container", _WEB),
    (families, "image_name", "image"),
    (families, "_container_facts", _WEB),
    (families, "_volume_facts", "spare"),
    (objects, "_image", "image"),
    (objects, "_container", _WEB),
    (objects, "_volume", "spare"),
    (objects, "_layer", "layer"),
]
_OF_ALL: list[tuple[Any, str]] = [
    (read, "read_builds"),
    (layerdb, "read_images"),
    (layerdb, "read_layers"),
    (layerdb.LayerdbPart, "claim"),
    (read, "read_volumes"),
    (read, "classify"),
    (read, "note_undescribed"),
    (read, "note_unplaced"),
    (read, "_note_lost_volumes"),
    (read, "_count_entries"),
    (read, "read_plugins"),
    (read, "read_temporary"),
    (read, "remarks"),
    (metadata, "read_inventory"),
    (Liveness, "judge"),
    (layer_sizes.LayerSizes, "advance"),
    (layer_sizes.LayerSums, "advance"),
    (layer_sizes.LayerSums, "sums"),
    (image_sizes.ImageSizes, "advance"),
    (container_sizes.ContainerSizes, "advance"),
    (directory_sums.DirectorySums, "advance"),
    (directory_sums.DirectorySums, "usages"),
    (volume_figures.VolumeFigures, "advance"),
    (build_cache.BuildCacheSizes, "advance"),
    (build_cache.BuildCacheSizes, "figures"),
    (spaces.Spaces, "advance"),
    (spaces.Spaces, "spaces"),
    (reclaim.Reclaimer, "advance"),
    (reclaim.Reclaimer, "reclaim"),
    (reclaim, "reasons_against"),
    (short_names.ShortNames, "advance"),
    (page_summary, "summarize"),
]
_STEPS: list[tuple[Any, str]] = [*((where, name) for where, name, _ in _OF_ONE), *_OF_ALL]
_NAMES = [f"{where.__name__.rpartition('.')[2]}.{name}" for where, name in _STEPS]


def _failing(real: Callable[..., Any], victim: str, seen: list[str]) -> Callable[..., Any]:
    """A function that fails for the object whose name is in an argument; for all if that is ""."""

    def fails(*arguments: Any, **named: Any) -> Any:
        if victim in " ".join(map(str, arguments)):
            seen.append(victim)
            message = "what nobody has foreseen"
            raise ZeroDivisionError(message)
        return real(*arguments, **named)

    return fails


def _served(root: Path) -> tuple[Snapshot, Samples, str]:
    with LocalPool() as pool:
        scanner = Scanner(str(root), 0, pool)
        snapshot = scanner.scan()
        text, _, document = served(snapshot, scanner.counters)
    return snapshot, Samples(text), document.finish(ending(1.0, [])).decode()


def _served_with_a_failure(  # noqa: PLR0913 - what fails, and where
    root: Path, before: Snapshot, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, victim: str
) -> tuple[Samples, str]:
    """Serve a root while a function fails: that is counted, and makes nothing wrong."""
    said = Said(before)
    seen: list[str] = []
    monkeypatch.setattr(where, name, _failing(getattr(where, name), victim, seen))
    after, found, told = _served(root)
    assert seen, "it was called"
    assert found("up") == 1
    assert found.sum("scan_errors_total", reason=Reason.INTERNAL) >= 1
    assert '"reason":"internal"' in told
    assert Said(after).wrong(said) == []
    return found, told


@pytest.mark.parametrize(("where", "name", "victim"), _OF_ONE, ids=_NAMES[: len(_OF_ONE)])
def test_what_fails_with_one_object_is_counted_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str, victim: str
) -> None:
    root = ROOTS["layerdb"](tmp_path)
    (root / "containers" / _DONE / "hostconfig.json").write_text('{"VolumesFrom": ["web"]}')
    before, sound, _ = _served(root)
    layer = next(one for one in before.inventory.layers if one.chain)
    victim = {"image": before.inventory.images[0].id, "layer": layer.chain if where is layerdb_store else layer.id}.get(
        victim, victim
    )
    found, told = _served_with_a_failure(root, before, monkeypatch, where, name, victim)
    for kind, label in (("image_info", "image_id"), ("container_info", "container_id"), ("volume_info", "volume")):
        of = [{labels[label] for labels, _ in one.all(kind)} for one in (sound, found)]
        assert len(of[0] - of[1]) <= 1, "one object at the most has no facts"
    assert all(one.id in told for one in before.inventory.containers if one.id != victim)


@pytest.mark.parametrize(("where", "name"), _OF_ALL, ids=_NAMES[len(_OF_ONE) :])
def test_where_a_step_fails_no_figure_is_wrong_and_directories_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    root = ROOTS["layerdb"](tmp_path)
    before, sound, _ = _served(root)
    found, _ = _served_with_a_failure(root, before, monkeypatch, where, name, "")
    if where is not directory_sums.DirectorySums:
        assert found.all("directory_allocated_bytes") == sound.all("directory_allocated_bytes")


def test_an_image_of_the_graph_that_cannot_be_read_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = ROOTS["graph"](tmp_path)
    before, sound, _ = _served(root)
    loose = hex_id("loose")
    monkeypatch.setattr(graph_store, "_entry", _failing(graph_store._entry, loose, []))
    after, found, _ = _served(root)
    assert Said(after).wrong(Said(before)) == []
    sizes_of = [
        {labels["image_id"]: value for labels, value in one.all("image_virtual_size_bytes")} for one in (sound, found)
    ]
    assert sizes_of[1] == {name: size for name, size in sizes_of[0].items() if name != loose[:12]}


def test_a_text_that_nobody_has_escaped_leaves_the_document_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = ROOTS["layerdb"](tmp_path)
    monkeypatch.setattr(objects, "escape", lambda name: f"{name}\udc80")
    *_, told = _served(root)
    assert parse(told.encode()).images
