"""The levels of docs/architecture.md: imports go downwards."""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.imports import Sources, read_sources
from tests.support.paths import TOP

_DOCUMENT = TOP / "docs" / "architecture.md"
_SOURCES = read_sources(TOP / "exporter")
_SIDES = ("both", "reading", "serving")


class Place(NamedTuple):
    """Where a package stands: the higher the level, the more it may import."""

    level: int
    side: str


def levels() -> dict[str, Place]:
    """The table of the document: one row for each level, one column for each side."""
    table = _DOCUMENT.read_text().split("## Levels")[1].split("\n## ")[0]
    found: dict[str, Place] = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not cells[0].isdigit():
            continue
        assert len(cells) == 1 + len(_SIDES), line
        for side, cell in zip(_SIDES, cells[1:], strict=True):
            for package in re.findall(r"`([\w.]+)`", cell):
                assert package not in found, package
                found[package] = Place(int(cells[0]), side)
    return found


def upward(sources: Sources, places: dict[str, Place], package: str) -> list[str]:
    """The imports of a package's modules that do not go to a lower level, or go to the other side."""
    bad = []
    here = places[package]
    for module in sources.files:
        if sources.room(module) != package:
            continue
        for target in sources.imports(module):
            room = sources.room(target)
            if room in {package, "__init__"}:
                continue
            there = places[room]
            if there.level >= here.level or {here.side, there.side} == {"reading", "serving"}:
                bad.append(f"{module} -> {target}")
    return sorted(bad)


def circle(sources: Sources) -> list[str]:
    """Modules that import one another in a circle; empty where there is none."""
    graph = {module: sources.imports(module) for module in sources.files}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_each_package_has_its_place() -> None:
    assert levels().keys() == {_SOURCES.room(module) for module in _SOURCES.files} - {"__init__"}


def test_there_is_no_loose_module() -> None:
    assert {path.name for path in (TOP / "exporter").glob("*.py")} == {"__init__.py", "__main__.py"}


def test_the_outermost_package_imports_nothing() -> None:
    assert _SOURCES.imports("exporter") == set()


@pytest.mark.parametrize("package", sorted(levels()))
def test_imports_go_downwards(package: str) -> None:
    assert upward(_SOURCES, levels(), package) == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circle(_SOURCES) == []


def test_no_two_classes_have_one_name() -> None:
    names = [
        node.name
        for path in _SOURCES.files.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert {name for name in names if names.count(name) > 1} == set()


class TestTheReaderOfImports:
    """It finds each kind of import: a test that overlooks one would prove nothing."""

    @pytest.mark.parametrize(
        "text",
        [
            "import house.high.roof",
            "from house.high import roof",
            "from house.high.roof import tiles",
            "from house.high.roof import *",
            "from ..high import roof",
            "from ..high.roof import tiles",
            "def f():\n    import house.high.roof",
            "async def f():\n    from house.high import roof",
            "class A:\n    import house.high.roof as r",
            "if TYPE_CHECKING:\n    from house.high.roof import Tiles",
            "import importlib\nimportlib.import_module('house.high.roof')",
            "__import__('house.high.roof')",
            "ARGUMENTS = ['-m', 'house.high.roof']",
            "CODE = 'import sys; from house.high.roof import main; main()'",
        ],
    )
    def test_finds(self, tmp_path: Path, text: str) -> None:
        sources = house(tmp_path, text)
        places = {"low": Place(0, "both"), "high": Place(1, "both")}
        assert "house.low.cellar -> house.high.roof" in upward(sources, places, "low")
        assert circle(sources) == []

    def test_a_docstring_is_no_import(self, tmp_path: Path) -> None:
        assert house(tmp_path, '"""As house.high.roof does."""').imports("house.low.cellar") == set()

    def test_to_import_a_module_is_to_import_the_packages_around_it(self, tmp_path: Path) -> None:
        sources = house(tmp_path, "import house.high.roof")
        assert sources.imports("house.low.cellar") == {"house.high", "house.high.roof"}

    @pytest.mark.parametrize("text", ["import_module(name)", "importlib.import_module(f'house.{x}')", "__import__(x)"])
    def test_refuses_a_name_that_is_made_at_run_time(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ValueError, match="made at run time"):
            house(tmp_path, text).imports("house.low.cellar")

    def test_the_same_level_and_the_other_side_are_not_below(self, tmp_path: Path) -> None:
        sources = house(tmp_path, "from house.high import roof")
        for high, low in (
            (Place(1, "both"), Place(1, "both")),
            (Place(1, "reading"), Place(2, "serving")),
            (Place(1, "serving"), Place(2, "reading")),
        ):
            assert upward(sources, {"low": low, "high": high}, "low")
        for high in (Place(1, "both"), Place(1, "serving")):
            assert not upward(sources, {"low": Place(2, "serving"), "high": high}, "low")

    def test_a_circle_within_a_package_is_one(self, tmp_path: Path) -> None:
        sources = house(tmp_path, "from house.low import floor", floor="def f():\n    from house.low import cellar")
        assert set(circle(sources)) == {"house.low.cellar", "house.low.floor"}


def house(top: Path, cellar: str, floor: str = "") -> Sources:
    """A package of three modules: `low.cellar` is `cellar`, `low.floor` is `floor`, and `high.roof` is empty."""
    files = {
        "__init__": "",
        "low/__init__": "",
        "low/cellar": cellar,
        "low/floor": floor,
        "high/__init__": "",
        "high/roof": "",
    }
    for name, text in files.items():
        path = top / "house" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_sources(top / "house")
