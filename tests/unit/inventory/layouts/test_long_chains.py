"""Chains of layers that are longer than any engine makes: read in as many steps as there are layers, and an error."""

from pathlib import Path

import pytest

from exporter.core.measured import Reason
from exporter.core.model import LayerId, Use
from exporter.inventory.drivers import MOST_LAYERS
from exporter.inventory.layouts.layerdb_store import Database, LayerEntry
from tests.support.product import figures_of, scan
from tests.support.roots import graph_root, hex_id
from tests.support.roots.layerdb import DbRoot, digest

_LONG = MOST_LAYERS + 40


class _Entries(dict[str, LayerEntry]):
    """The entries of a database; how often one of them was asked for."""

    asked = 0

    def get(self, key: str, default: object = None) -> LayerEntry | None:  # type: ignore[override]
        assert default is None
        self.asked += 1
        return super().get(key)


def _database(count: int, *, ring: bool = False) -> tuple[Database, _Entries]:
    entries = _Entries()
    for number in range(count):
        below = str(number - 1) if number else (str(count - 1) if ring else "")
        entries[str(number)] = LayerEntry(str(number), LayerId(f"cache{number}"), below)
    return Database("overlay2", None, entries=entries), entries  # type: ignore[arg-type]


@pytest.mark.parametrize("ring", [False, True])
def test_all_chains_of_a_database_are_walked_once_together(ring: bool) -> None:
    count = 5000
    database, entries = _database(count, ring=ring)
    assert [database.loads(str(number)) for number in reversed(range(count))] == [not ring] * count
    assert database.depth(str(count - 1)) == count
    assert all(database.depth(str(number)) for number in range(count))
    assert len([*database.below(map(str, range(count)))]) == count
    assert entries.asked < 6 * count


def test_one_chain_is_no_longer_than_engines_make_them() -> None:
    database, entries = _database(5000)
    assert len([*database.chain("4999")]) == MOST_LAYERS
    assert entries.asked <= MOST_LAYERS + 1
    assert database.depth("gone") == 0
    assert database.loads("")
    assert not database.loads("gone")


def _chain(path: Path, length: int) -> DbRoot:
    built = DbRoot(path).layer("l0", 1)
    for number in range(1, length):
        built.layer(f"l{number}", 1, f"l{number - 1}")
    return built


def test_a_container_on_too_many_layers_has_no_size_of_these_and_none_of_them_is_orphaned(tmp_path: Path) -> None:
    built = _chain(tmp_path, _LONG).image("good", "l9", ["good:1"])
    built.container("bad", "good", f"l{_LONG - 1}").container("well", "good", "l9")
    snapshot = scan(built.path)
    assert [(one.reason, one.detail) for one in snapshot.problems] == [
        (Reason.TOO_LARGE, "stands on more layers than engines make")
    ]
    assert not [one for one in snapshot.inventory.layers if one.use is Use.ORPHANED]
    figures = figures_of(built.path)
    identity = {name: digest("container" + name)[:12] for name in ("bad", "well")}
    assert figures("container_virtual_size_bytes", container_id=identity["well"])
    assert not figures.all("container_virtual_size_bytes", container_id=identity["bad"])
    assert figures.sum("scan_errors_total", reason="too_large") == 1


def test_an_image_of_too_many_layers_has_no_size(tmp_path: Path) -> None:
    built = _chain(tmp_path, MOST_LAYERS + 1)
    built.image("good", f"l{MOST_LAYERS - 1}", ["good:1"]).image("bad", f"l{MOST_LAYERS}", ["bad:1"])
    figures = figures_of(built.path)
    assert figures("image_virtual_size_bytes", image_id=built.images["good"][:12]) == MOST_LAYERS
    assert not figures.all("image_virtual_size_bytes", image_id=built.images["bad"][:12])
    assert figures.sum("scan_errors_total", reason="too_large") == 1
    assert not [one for one in scan(built.path).inventory.layers if one.use is Use.ORPHANED]


def test_of_a_long_chain_in_the_graph_the_lower_images_are_known(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("i0", size=1)
    for number in range(1, _LONG):
        built.image(f"i{number}", parent=f"i{number - 1}", size=1, tag=f"i:{number}" if number == _LONG - 1 else "")
    snapshot = scan(built.path)
    by_id = {one.id: one for one in snapshot.inventory.images}
    assert [one.id for one in by_id.values() if one.listed] == [hex_id(f"i{_LONG - 1}")]
    assert all(len(one.layers) <= MOST_LAYERS for one in by_id.values())
    assert sum(one.cut for one in by_id.values()) == _LONG - MOST_LAYERS
    assert not any(one.missing for one in by_id.values())
    assert {one.reason for one in snapshot.problems} == {Reason.TOO_LARGE}
    figures = figures_of(built.path, intermediate=True)
    assert figures("image_virtual_size_bytes", image_id=hex_id(f"i{MOST_LAYERS - 1}")[:12]) == MOST_LAYERS
    assert not figures.all("image_virtual_size_bytes", image_id=hex_id(f"i{_LONG - 1}")[:12])
    assert figures("missing_layers", driver="aufs") == 0


def test_a_list_of_aufs_that_is_too_long_is_an_error_and_refers_to_any_layer(tmp_path: Path) -> None:
    built = graph_root(tmp_path).image("base", size=1, tag="base:1").container("web", image="base")
    ids = [hex_id(str(number)) for number in range(2 * MOST_LAYERS)]
    (built.path / "aufs/layers" / hex_id("web")).write_text("\n".join(ids))
    (built.path / "aufs/diff" / ids[-1]).mkdir()
    snapshot = scan(built.path)
    assert [(one.reason, one.path) for one in snapshot.problems] == [(Reason.TOO_LARGE, f"aufs/layers/{hex_id('web')}")]
    assert not figures_of(built.path).all("layers", use="orphaned")
