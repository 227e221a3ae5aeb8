"""Entries of `layerdb` that parse, or nearly so, and are not what their names say: an engine drops these layers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.core.model import LayerId, Use
from tests.support.product import document_of, figures_of, scan
from tests.support.recorded import unpack_case
from tests.support.roots.layerdb import DbRoot, digest


def _built(path: Path) -> DbRoot:
    built = DbRoot(path).layer("base", 1000).layer("app", 50, "base").layer("other", 7, "base")
    built.image("app", "app", ["app:1"]).image("other", "other", ["other:1"])
    return built.container("web", "app", "app", writable={"w": 30})


def _entry(built: DbRoot, name: str) -> Path:
    return built.base / "layerdb/sha256" / built.chains[name]


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda entry: (entry / name).write_text(text)


_DAMAGE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an empty diff": ("diff", _write("diff", "")),
    "no diff": ("diff", lambda entry: (entry / "diff").unlink()),
    "a diff of another layer": ("", _write("diff", f"sha256:{digest('else')}")),
    "a diff of another algorithm": ("diff", _write("diff", f"sha512:{digest('diffapp')}")),
    "no parent where the chain needs one": ("", lambda entry: (entry / "parent").unlink()),
    "an empty parent": ("parent", _write("parent", "")),
    "another parent": ("", _write("parent", f"sha256:{digest('else')}")),
    "a parent of another algorithm": ("parent", _write("parent", f"md5:{digest('x')[:32]}")),
    "an empty cache-id": ("cache-id", _write("cache-id", "")),
    "no cache-id": ("cache-id", lambda entry: (entry / "cache-id").unlink()),
    "a cache-id that is a path": ("cache-id", _write("cache-id", "../../x")),
    "a size that is none": ("size", _write("size", "12 MB")),
    "a size with a line end": ("size", _write("size", "50\n")),
    "an empty size": ("size", _write("size", "")),
    "no size": ("size", lambda entry: (entry / "size").unlink()),
}


@pytest.mark.parametrize("kind", _DAMAGE)
def test_a_damaged_entry_is_an_error_with_its_path_and_a_missing_layer(tmp_path: Path, kind: str) -> None:
    built = _built(tmp_path)
    entry, (file, damage) = _entry(built, "app"), _DAMAGE[kind]
    damage(entry)
    document = document_of(built.path)
    at = (entry / file).relative_to(built.path)
    assert [(one.reason, one.path) for one in document.problems] == [("decode", str(at))]
    assert [one.layer for one in document.missing] == [built.chains["app"]]
    sizes = {one.references[0]: (one.virtual, one.unique) for one in document.images}
    assert sizes == {"app:1": (None, None), "other:1": (1007, 7)}
    assert [one.virtual for one in document.containers] == [None]


@pytest.mark.parametrize("kind", _DAMAGE)
def test_no_layer_is_orphaned_beside_a_damaged_entry(tmp_path: Path, kind: str) -> None:
    built = _built(tmp_path)
    _DAMAGE[kind][1](_entry(built, "app"))
    built.remove_image("app")
    built.remove_image("other")
    found = {one.id: one.use for one in scan(built.path, orphaned_after=0).inventory.layers}
    assert Use.ORPHANED not in found.values()
    assert found[LayerId(built.cache("base"))] in (Use.PENDING, Use.CONTAINER)


def test_a_layer_on_a_damaged_one_makes_its_image_unknown_too(tmp_path: Path) -> None:
    built = _built(tmp_path)
    (_entry(built, "base") / "diff").write_text("")
    document = document_of(built.path)
    assert {one.virtual for one in document.images} == {None}
    assert [one.layer for one in document.missing] == [built.chains["base"]]


@pytest.mark.parametrize("size", ["0", "9223372036854775807"])
def test_any_size_that_an_engine_reads_is_one(tmp_path: Path, size: str) -> None:
    built = DbRoot(tmp_path).layer("base", 1000)
    built.image("base", "base", ["base:1"])
    (_entry(built, "base") / "size").write_text(size)
    assert figures_of(built.path)("image_virtual_size_bytes") == float(size)


def test_a_cache_id_that_names_no_directory_is_a_missing_layer(tmp_path: Path) -> None:
    built = _built(tmp_path)
    (_entry(built, "app") / "cache-id").write_text(digest("nowhere"))
    document = document_of(built.path)
    assert [one.layer for one in document.missing] == [built.chains["app"]]
    assert {one.references[0]: one.virtual for one in document.images} == {"app:1": None, "other:1": 1007}


@pytest.mark.parametrize(
    ("file", "text"), [("parent", ""), ("parent", "sha256:1"), ("init-id", ""), ("mount-id", "a/b"), ("mount-id", "")]
)
def test_a_damaged_entry_of_a_container_is_an_error_and_nothing_is_orphaned(
    tmp_path: Path, file: str, text: str
) -> None:
    built = _built(tmp_path)
    built.remove_image("app")
    mount = built.base / "layerdb/mounts" / digest("containerweb") / file
    mount.write_text(text)
    snapshot = scan(built.path, orphaned_after=0)
    assert [one.path for one in snapshot.problems] == [str(mount.relative_to(built.path))]
    assert not [one for one in snapshot.inventory.layers if one.use is Use.ORPHANED]


def test_an_entry_that_is_being_removed_is_not_checked(tmp_path: Path) -> None:
    built = _built(tmp_path)
    entry = _entry(built, "other")
    entry.rename(entry.with_name(f"{entry.name}-12345-removing"))
    (entry.with_name(f"{entry.name}-12345-removing") / "diff").unlink()
    assert not document_of(built.path).problems


def test_the_reported_case_has_two_damaged_images(tmp_path: Path) -> None:
    root = unpack_case(10, tmp_path)
    figures, document = figures_of(root), document_of(root)
    assert figures.sum("missing_layers") == 2
    assert figures("scan_errors_total", collector="images", reason="decode") == 2
    assert not figures.all("image_virtual_size_bytes")
    assert sorted(one.path.rpartition("/")[2] for one in document.problems) == ["diff", "parent"]


#: Docker 20.10 loads what can be read and has all layers below it, and does not compare it with its name.
_LOADED = {"a diff of another layer", "no parent where the chain needs one"}


@pytest.mark.parametrize("kind", _DAMAGE)
def test_it_is_known_what_an_engine_loads_in_spite_of_damage(tmp_path: Path, kind: str) -> None:
    built = _built(tmp_path)
    _DAMAGE[kind][1](_entry(built, "app"))
    inventory = scan(built.path).inventory
    loaded = kind in _LOADED
    assert {one.references[0][0]: not one.unloaded for one in inventory.images} == {"app": loaded, "other": True}
    assert [one.unloaded == "" for one in inventory.containers] == [loaded]


def test_a_ring_of_parents_is_not_loaded(tmp_path: Path) -> None:
    built = _built(tmp_path)
    for name, parent in (("app", "base"), ("base", "app")):
        (_entry(built, name) / "parent").write_text(f"sha256:{built.chains[parent]}")
    (web,) = scan(built.path).inventory.containers
    assert web.unloaded
