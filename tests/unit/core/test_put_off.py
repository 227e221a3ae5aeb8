"""Modules that are loaded when something of them is asked for."""

import inspect
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from exporter.core import put_off as tested
from exporter.core.put_off import load_what_needs_rights, put_off, when_loaded

_NAME = "wsgiref.headers"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.delitem(sys.modules, _NAME, raising=False)
    monkeypatch.setattr(tested, "_MODULES", {_NAME: {"known": 1}})
    put_off()
    yield sys.modules[_NAME]
    sys.modules.pop(_NAME, None)


def test_a_module_is_loaded_when_something_of_it_is_asked_for(later: ModuleType) -> None:
    import wsgiref.headers  # noqa: PLC0415

    assert later.known == 1
    assert sys.modules[_NAME] is later
    assert later.Headers is sys.modules[_NAME].Headers
    assert sys.modules[_NAME] is not later
    assert later.Headers is wsgiref.headers.Headers
    with pytest.raises(AttributeError):
        _ = later.not_there


def test_a_name_may_be_imported_of_it(later: ModuleType) -> None:
    from wsgiref.headers import Headers  # noqa: PLC0415

    assert Headers is later.Headers
    assert sys.modules[_NAME] is not later


def test_one_that_is_loaded_stays(later: ModuleType) -> None:
    loaded = later.Headers
    put_off()
    assert sys.modules[_NAME].Headers is loaded


@pytest.mark.parametrize("readable", [True, False])
def test_what_only_a_right_lets_it_read_is_loaded_before_it_goes(
    later: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    directory = tmp_path / "lib"
    directory.mkdir()
    monkeypatch.setattr(os, "__file__", str(directory / "os.py"))
    directory.chmod(0o755 if readable else 0o311)
    tmp_path.chmod(0o711)
    if not _is_open_above(tmp_path):
        pytest.skip("the temporary directory is closed itself")
    load_what_needs_rights()
    assert (sys.modules[_NAME] is later) is readable


def _is_open_above(path: Path) -> bool:
    return all(one.stat().st_uid == os.geteuid() or one.stat().st_mode & 1 for one in path.parents)


def test_what_asyncio_and_dataclasses_ask_of_inspect() -> None:
    known = tested._MODULES["inspect"]
    is_coroutine, signature, annotations = map(known.get, ("iscoroutinefunction", "signature", "get_annotations"))
    assert callable(is_coroutine)
    assert callable(signature)
    assert callable(annotations)

    async def coroutine() -> None: ...

    assert is_coroutine(coroutine)
    assert not is_coroutine(os.getpid)
    assert not is_coroutine(_is_open_above)
    assert [*signature(_is_open_above).parameters] == ["path"]
    assert signature(int) == ""

    class Annotated:
        name: str

    class Derived(Annotated): ...

    for one in (Annotated, Derived, _is_open_above):
        assert annotations(one) == inspect.get_annotations(one)


def test_what_is_to_be_done_with_a_module_is_done_when_it_is_loaded(later: ModuleType) -> None:
    done: list[str] = []
    when_loaded(_NAME, lambda: done.append("later"))
    assert not done
    assert later.Headers
    assert later.Headers
    assert done == ["later"]
    when_loaded(_NAME, lambda: done.append("now"))
    assert done == ["later", "now"]


def test_further_modules_can_be_put_off(later: ModuleType) -> None:
    sys.modules.pop("wsgiref.util", None)
    put_off("wsgiref.util")
    put = sys.modules["wsgiref.util"]
    assert put.FileWrapper is sys.modules["wsgiref.util"].FileWrapper
    assert sys.modules["wsgiref.util"] is not put
    assert later.known == 1
