"""Modules that are loaded without docstrings."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from exporter.core.lean_code import load_lean, without_docstrings

_SOURCE = '''"""Of the module."""

TEXT = "text"

def plain(number):
    """Of a function."""
    assert number, "it is said"
    return [one for one in ("first", "second")][number]

def undocumented():
    return "first"

def same():
    """the same"""
    return "the same"

class One:
    """Of a class."""

    there = "there"

    def method(self, word="default"):
        """Of a method."""
        def inner():
            """Of an inner one."""
            return word
        return inner

class Other:
    word = "word"

later = lambda: "of a lambda"
'''


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "documented_module.py").write_text(_SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "path_hooks", [*sys.path_hooks])
    load_lean()
    import documented_module  # type: ignore[import-not-found] # noqa: PLC0415

    yield documented_module
    del sys.modules["documented_module"]
    sys.path_importer_cache.clear()


def test_nothing_has_a_docstring(loaded: ModuleType) -> None:
    documented = (loaded, loaded.plain, loaded.One, loaded.One.method, loaded.One().method(), loaded.Other)
    assert [one.__doc__ for one in documented] == [None] * len(documented)


def test_everything_works_as_before(loaded: ModuleType) -> None:
    assert (loaded.TEXT, loaded.plain(1), loaded.undocumented(), loaded.later()) == (
        "text",
        "second",
        "first",
        "of a lambda",
    )
    assert (loaded.One.there, loaded.Other.word, loaded.One().method()()) == ("there", "word", "default")
    with pytest.raises(AssertionError, match="it is said"):
        loaded.plain(0)


def test_a_docstring_that_is_used_as_a_text_stays(loaded: ModuleType) -> None:
    assert loaded.same() == "the same"


def test_a_traceback_has_its_lines(loaded: ModuleType) -> None:
    lines = [*loaded.plain.__code__.co_lines()]
    assert lines == [*compile(_SOURCE, "", "exec").co_consts[2].co_lines()]


def test_code_without_docstrings_is_the_same_code() -> None:
    code = compile("x = 1\nclass One:\n    x = 'text'\n", "", "exec")
    assert without_docstrings(code) == code
