"""A unit test has one process and one thread, and never waits: what cannot do without belongs to tests/process."""

import select
import selectors
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from exporter.core.hang_probe import HangProbe
from exporter.inventory.files import reader
from tests.support.local_pool import LocalPool

#: Audit events of the interpreter that no unit test may raise.
_REFUSED = {
    "subprocess.Popen": "starts a process",
    "os.fork": "starts a process",
    "os.forkpty": "starts a process",
    "os.posix_spawn": "starts a process",
    "os.system": "starts a process",
    "socket.connect": "uses the network",
    "socket.bind": "uses the network",
}
_guarded: list[str] = []


def _refuse(what: str) -> None:
    if _guarded and threading.current_thread() is threading.main_thread():
        pytest.fail(f"a unit test {what}: it belongs to tests/process")


def _audit(event: str, _: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        _refuse(_REFUSED[event])


sys.addaudithook(_audit)


@contextmanager
def _guard(item: pytest.Item) -> Iterator[None]:
    _guarded.append(item.nodeid)
    try:
        yield
    finally:
        _guarded.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    with _guard(item):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _guard(item):
        yield


def _waits(timeout: float | None, ready: bool) -> None:
    if not ready and (timeout is None or timeout > 0):
        _refuse("waits for a descriptor")


def _refusing(what: str, real: Callable[..., None]) -> Callable[..., None]:
    def refused(*arguments: Any) -> None:
        _refuse(what)
        real(*arguments)

    return refused


def _at_once(select: Callable[[Any, float | None], list[Any]]) -> Callable[[Any, float | None], list[Any]]:
    def select_at_once(selector: Any, timeout: float | None = None) -> list[Any]:
        ready = select(selector, 0 if _guarded else timeout)
        _waits(timeout, bool(ready))
        return ready

    return select_at_once


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for one in (selectors.EpollSelector, selectors.PollSelector, selectors.SelectSelector):
        monkeypatch.setattr(one, "select", _at_once(one.select))
    real = select.select

    def select_at_once(read: Any, write: Any, other: Any, timeout: float | None = None) -> Any:
        ready = real(read, write, other, 0 if _guarded else timeout)
        _waits(timeout, any(ready))
        return ready

    monkeypatch.setattr(select, "select", select_at_once)
    monkeypatch.setattr(time, "sleep", _refusing("sleeps", time.sleep))
    monkeypatch.setattr(threading.Thread, "start", _refusing("starts a thread", threading.Thread.start))
    # What the product does to wait, or not to: each has tests of its own in tests/process.
    monkeypatch.setattr(HangProbe, "answers", lambda probe, path: True)
    monkeypatch.setattr(reader, "wait_for_writer", lambda: None)


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    with LocalPool() as pool:
        yield pool
