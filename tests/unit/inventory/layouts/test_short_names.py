"""The short names of layers of overlay2: each goes with its layer, and one that cannot be read is an error."""

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.core.dirty import Dirty
from exporter.core.model import LayerId, Trigger
from exporter.scan.scanner import Scanner
from tests.support.local_pool import LocalPool
from tests.support.roots.layerdb import DbRoot


def _linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("diff")


_DAMAGE: dict[str, tuple[Callable[[Path], object], int]] = {
    "as it is": (lambda _: None, 0),
    "a link": (_linked, 1),
    "missing": (Path.unlink, 0),
    "a path": (lambda path: path.write_text("../../x"), 0),
}


@pytest.mark.parametrize("kind", _DAMAGE)
def test_a_short_name_that_cannot_be_read_is_one_error_in_each_scan(tmp_path: Path, kind: str, pool: LocalPool) -> None:
    built = DbRoot(tmp_path).layer("base", 1000).layer("app", 7, "base").image("app", "app", ["app:1"])
    name = LayerId(built.cache("base"))
    damage, errors = _DAMAGE[kind]
    damage(built.layers / name / "link")
    scanner = Scanner(str(built.path), 600, pool)
    for dirty in (Dirty(everything=True), Dirty(frozenset([("repositories",)])), Dirty(everything=True)):
        scanner.begin(Trigger.STARTUP, dirty)
        while scanner.runs:
            scanner.collect(0)
        found = scanner.snapshot()
        assert [one.path for one in found.problems] == [f"overlay2/{name}/link"] * errors
        layers = {one.id: one for one in found.inventory.layers}
        short = ("overlay2", "l", built.link(name).name)
        assert (short in layers[name].metadata) is (kind == "as it is")
        assert ("overlay2", "l", built.link(built.cache("app")).name) in layers[LayerId(built.cache("app"))].metadata


def test_a_short_name_is_read_again_when_its_layer_has_changed(tmp_path: Path, pool: LocalPool) -> None:
    built = DbRoot(tmp_path).layer("base", 1000).image("base", "base", ["base:1"])
    name = built.cache("base")
    scanner = Scanner(str(built.path), 600, pool)
    scanner.scan()
    (built.layers / name / "link").write_text("OTHER")
    for dirty, expected in ((frozenset[tuple[str, ...]](), False), (frozenset([("overlay2", name)]), True)):
        scanner.begin(Trigger.EVENT, Dirty(dirty))
        (layer,) = scanner.inventory.layers
        assert (("overlay2", "l", "OTHER") in layer.metadata) is expected
