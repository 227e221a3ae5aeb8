"""What prunes of a real engine do beside containers that it does not load, and beside entries of lost containers."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from exporter.core.model import Inventory
from exporter.expose.snapshot_api.rows import ReclaimableRow
from exporter.figures.prunes import Category
from tests.support.engine import Engine, engine, engine_version
from tests.support.product import document_of, scan

_IMAGE = "FROM base:1\nRUN echo {name} > /{name}\n"
_GATED = {Category.IMAGES_DANGLING, Category.IMAGES_UNUSED, Category.VOLUMES_UNUSED}


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Engine]:
    with TemporaryDirectory(prefix="e-") as short, engine(tmp_path, Path(short), "overlay2") as started:
        started.base()
        yield started


def _create(one: Engine, name: str) -> str:
    """Create a container with an image, a volume and a writable layer of its own; return its id."""
    one.build(f"{name}:1", _IMAGE.format(name=name))
    arguments = ("--network", "none", "--name", name, "-v", f"{name}:/v")
    return one.run("create", *arguments, f"{name}:1", "sh")


def _inventory(one: Engine) -> Inventory:
    return scan(one.root).inventory


def _rows(one: Engine) -> dict[str, ReclaimableRow]:
    return {row.category: row for row in document_of(one.root).reclaimable}


def _prune(one: Engine, command: str) -> int:
    """Run a command; return by how much the layers and the volumes have shrunk."""
    before = _held(one)
    one.run(*command.split()[1:], "--force")
    return before - _held(one)


def _held(one: Engine) -> int:
    stores = (one.root / "volumes", one.root / "overlay2", one.root / "containers", one.root / "image")
    paths = (path for store in stores for path in (store, *store.rglob("*")))
    inodes = {status.st_ino: status.st_blocks for path in paths if (status := path.lstat()).st_nlink}
    databases = ("volumes/metadata.db", "image/overlay2/repositories.json")
    kept = sum((one.root / name).lstat().st_blocks for name in databases)
    return 512 * (sum(inodes.values()) - kept)


def _entry(one: Engine, container: str) -> Path:
    return one.root / "image/overlay2/layerdb/mounts" / container


def _layer(one: Engine, container: str) -> Path:
    chain = (_entry(one, container) / "parent").read_text().removeprefix("sha256:")
    return one.root / "image/overlay2/layerdb/sha256" / chain


def _config(one: Engine, container: str, **about: object) -> None:
    file = one.root / "containers" / container / "config.v2.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | about))


_Damage = Callable[[Engine, str], object]
_DAMAGE: dict[str, _Damage] = {
    "host-empty": lambda one, at: (one.root / "containers" / at / "hostconfig.json").write_text(""),
    "host-torn": lambda one, at: (one.root / "containers" / at / "hostconfig.json").write_text("{"),
    "host-gone": lambda one, at: (one.root / "containers" / at / "hostconfig.json").unlink(),
    "config-empty": lambda one, at: (one.root / "containers" / at / "config.v2.json").write_text(""),
    "config-gone": lambda one, at: (one.root / "containers" / at / "config.v2.json").unlink(),
    "other-id": lambda one, at: _config(one, at, ID="0" * 64),
    "state-list": lambda one, at: _config(one, at, State=[]),
    "name-number": lambda one, at: _config(one, at, Name=5),
    "binds-text": lambda one, at: (one.root / "containers" / at / "hostconfig.json").write_text('{"Binds": "x"}'),
    "no-entry": lambda one, at: shutil.rmtree(_entry(one, at)),
    "entry-damaged": lambda one, at: (_entry(one, at) / "mount-id").write_text("x"),
    "diff-empty": lambda one, at: (_layer(one, at) / "diff").write_text(""),
    "parent-wrong": lambda one, at: (_layer(one, at) / "parent").write_text(f"sha256:{'0' * 64}"),
    "size-damaged": lambda one, at: (_layer(one, at) / "size").write_text("x"),
    "sound": lambda one, at: (one, at),
}


def test_the_containers_that_an_engine_does_not_load_are_known_and_what_they_use_is_not_prunable(one: Engine) -> None:
    names = {_create(one, name): name for name in (*_DAMAGE, "twin")}
    assert not [container for container in _inventory(one).containers if container.unloaded]
    one.stop()
    for container, name in names.items():
        _DAMAGE.get(name, _DAMAGE["sound"])(one, container)
    before = {names[container.id] for container in _inventory(one).containers if not container.unloaded}
    one.start()
    listed = set(one.run("ps", "-a", "--format", "{{.Names}}").split())
    assert listed == before == {"sound", "twin", "host-gone"}
    assert {names[container.id] for container in _inventory(one).containers if not container.unloaded} == listed
    rows = _rows(one)
    for category in _GATED:
        row = rows[category]
        assert (row.bytes, row.objects, row.commands) == (None, None, ())
        assert "the engine does not load the container" in row.why
    # Why nothing is advised: the engine removes the volumes that only these containers use.
    flags = ("--all",) if engine_version() >= (23, 0) else ()
    one.run("volume", "prune", *flags, "--force")
    assert {*one.run("volume", "ls", "-q").split()} == listed


def test_containers_that_are_loaded_are_pruned_and_the_others_stay(one: Engine) -> None:
    names = {_create(one, name): name for name in ("sound", "name-number", "binds-text")}
    one.stop()
    for container, name in names.items():
        _DAMAGE[name](one, container)
    one.start()
    row = _rows(one)[Category.CONTAINERS_STOPPED]
    assert (row.bytes, row.objects) == (None, None), "what these use is not known"
    assert _prune(one, "docker container prune") > 0
    assert len(_inventory(one).containers) == len(names) - 1


def test_of_two_containers_with_one_name_the_engine_loads_one(one: Engine) -> None:
    names = {_create(one, name): name for name in ("sound", "twin")}
    one.stop()
    for container in names:
        _config(one, container, Name="/sound")
    one.start()
    assert one.run("ps", "-a", "--format", "{{.Names}}").split() == ["sound"]
    rows = _rows(one)
    for category in (*_GATED, Category.CONTAINERS_STOPPED):
        assert (rows[category].bytes, rows[category].objects) == (None, None)
        assert "2 containers have the name sound" in rows[category].why


def test_an_engine_loads_the_containers_and_images_of_one_driver_only(one: Engine) -> None:
    _create(one, "left")
    one.stop()
    one.driver = "vfs"
    one.start()
    one.base("new:1")
    assert (one.run("ps", "-aq"), one.run("images", "--format", "{{.Repository}}")) == ("", "new")
    inventory = _inventory(one)
    assert [(container.name, bool(container.unloaded)) for container in inventory.containers] == [("left", True)]
    loaded = {image.driver for image in inventory.images if not image.unloaded}
    assert loaded == {"vfs"}
    assert "is of the graph driver overlay2, and the engine works with vfs" in _rows(one)[Category.VOLUMES_UNUSED].why


def test_what_the_entry_of_a_lost_container_holds_is_not_freed(one: Engine) -> None:
    container = _create(one, "lost")
    one.build("other:1", _IMAGE.format(name="other"))
    one.stop()
    shutil.rmtree(one.root / "containers" / container)
    one.start()
    held = {layer.id for layer in _inventory(one).layers if layer.held}
    assert len(held) == 4, "two of the container, that of its image and that of the base"
    row = _rows(one)[Category.IMAGES_UNUSED]
    assert row.objects == 3
    (command,) = row.commands
    assert _prune(one, command) == row.bytes
    assert not _inventory(one).images
    assert held == {path.name for path in (one.root / "overlay2").iterdir()} - {"l"}
    rows = _rows(one)
    assert all(rows[category].bytes == 0 for category in (*_GATED - {Category.VOLUMES_UNUSED},))
    assert (rows[Category.LAYERS_ORPHANED].bytes, rows[Category.LAYERS_ORPHANED].objects) == (0, 0)


def test_a_container_whose_removal_was_cut_off_is_dead_after_a_start_and_is_pruned(one: Engine) -> None:
    names = {_create(one, name): name for name in ("dead", "removing", "sound")}
    one.stop()
    flags = {"dead": {"Dead": True}, "removing": {"RemovalInProgress": True, "Dead": True}, "sound": {}}
    for container, name in names.items():
        file = one.root / "containers" / container / "config.v2.json"
        _config(one, container, State=json.loads(file.read_text())["State"] | flags[name])
    states = {container.name: container.state.value for container in _inventory(one).containers}
    assert states == {"dead": "dead", "removing": "removing", "sound": "created"}
    promised = _rows(one)[Category.CONTAINERS_STOPPED]
    one.start()
    listed = one.run("ps", "-a", "--filter", "status=dead", "--format", "{{.Names}}").split()
    assert sorted(listed) == ["dead", "removing"]
    row = _rows(one)[Category.CONTAINERS_STOPPED]
    assert row.objects == promised.objects == len(names)
    assert _prune(one, "docker container prune") == row.bytes
    assert one.run("ps", "-aq") == ""
