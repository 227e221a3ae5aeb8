"""The guard of conftest.py sees what a unit test may not do."""

import os
import select
import selectors
import socket
import subprocess
import threading
import time
from collections.abc import Callable

import pytest


def _posix_spawn() -> None:
    os.posix_spawn("/bin/true", ["true"], {})


def _select() -> None:
    reading, writing = os.pipe()
    try:
        select.select([reading], [], [], 0.001)
    finally:
        os.close(reading)
        os.close(writing)


def _selector() -> None:
    with selectors.DefaultSelector() as selector:
        selector.select(0.001)


def _connect() -> None:
    with socket.socket() as client:
        client.connect(("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("forbidden", "said"),
    [
        (lambda: subprocess.run(["true"], check=True), "starts a process"),
        (os.fork, "starts a process"),
        (_posix_spawn, "starts a process"),
        (lambda: os.system("true"), "starts a process"),
        (lambda: threading.Thread(target=int).start(), "starts a thread"),
        (lambda: time.sleep(0), "sleeps"),
        (_select, "waits"),
        (_selector, "waits"),
        (_connect, "network"),
    ],
)
def test_a_unit_test_that_waits_or_leaves_its_process_fails(forbidden: Callable[[], object], said: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=said):
        forbidden()
