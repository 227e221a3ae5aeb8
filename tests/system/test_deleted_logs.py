"""A log that was deleted while a real engine writes to it."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.command import run
from tests.support.engine import Engine, engine, require_engine
from tests.support.mounts import mounted
from tests.support.waiting import eventually

_LOG_BYTES = 150_000_000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Engine]:
    """An engine whose root is a filesystem of its own, with a container that writes a long log."""
    require_engine()
    (tmp_path / "root").mkdir()
    with (
        TemporaryDirectory(prefix="e-") as short,
        mounted(tmp_path / "root", "-t", "tmpfs", "-o", "size=1g", "tmpfs"),
        engine(tmp_path, Path(short), "vfs") as one,
    ):
        one.base()
        command = f"yes 'a line that is repeated' | head -c {_LOG_BYTES // 3}; echo; echo the end; sleep 100000"
        one.run("run", "-d", "--network", "none", "--name", "loud", "base:1", "busybox", "sh", "-c", command)
        yield one


def _asked(one: Engine, command: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(command, "--json", "--root", str(one.root)).stdout)
    return answer


def _log(one: Engine) -> Path:
    return Path(json.loads(one.run("inspect", "loud"))[0]["LogPath"])


def _descriptors(process: int) -> list[Path]:
    """The descriptors of a deleted log."""
    found = []
    for one in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(one).endswith("-json.log (deleted)"):
                found.append(one)
    return found


def test_its_space_is_explained_and_the_remedies_work(running: Engine) -> None:
    log = _log(running)
    eventually(lambda: running.run("logs", "--tail", "1", "loud") == "the end")
    (before,) = _asked(running, "containers")["containers"]
    assert (before["log_deleted"], before["log"]) == (False, log.stat().st_size)
    assert _asked(running, "df")["unexplained"] == 0

    log.unlink()
    (after,) = _asked(running, "containers")["containers"]
    assert (after["state"], after["log_deleted"], after["log"]) == ("running", True, None)
    assert "docker restart loud" in run("containers", "--root", str(running.root)).stdout
    assert _asked(running, "df")["unexplained"] > _LOG_BYTES
    assert "belong to no file" in run("df", "--root", str(running.root)).stdout

    (descriptor,) = _descriptors(running.pid)
    os.truncate(descriptor, 0)
    assert _asked(running, "df")["unexplained"] == 0

    running.run("restart", "--time", "0", "loud")
    assert not _descriptors(running.pid)
    eventually(lambda: _asked(running, "containers")["containers"][0]["log_deleted"] is False)
