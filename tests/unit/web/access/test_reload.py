"""What is read again, and when, by a clock that the test sets."""

import os
from dataclasses import dataclass
from pathlib import Path

import bcrypt
import pytest

from exporter.core.clock import Clock
from exporter.web.access.guard import Guard
from exporter.web.access.hosts import AllowedHosts
from exporter.web.access.reload import WebConfiguration
from exporter.web.protocol.message import Request, Response, text

_HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
_USERS = f"basic_auth_users:\n  prom: {_HASH}\n  other: {_HASH}\n"


async def _answer(_: Request) -> Response:
    return text("")


@dataclass
class _Time:
    wall: float
    monotonic: float = 0.0


def _configured(file: Path, time: _Time) -> tuple[WebConfiguration, Guard]:
    file.write_text(_USERS)
    guard = Guard(_answer, AllowedHosts())
    clock = Clock(lambda: time.wall, lambda: time.monotonic)
    return WebConfiguration(str(file), guard, clock), guard


def _users(guard: Guard) -> set[str]:
    return set(guard.authenticator._users)


def test_a_user_is_gone_once_the_file_has_not_been_written_to_for_a_while(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    time = _Time(0)
    configuration, guard = _configured(file, time)
    file.write_text(_USERS[: _USERS.index("  other")])
    time.wall = os.stat(file).st_ctime + 1
    configuration.follow()
    assert _users(guard) == {"prom", "other"}
    assert not configuration.reloads.failed
    time.wall += 2
    configuration.follow()
    assert _users(guard) == {"prom"}


def test_a_clock_that_is_behind_the_disks_delays_it_no_longer(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    time = _Time(0)
    configuration, guard = _configured(file, time)
    file.write_text(_USERS[: _USERS.index("  other")])
    configuration.follow()
    time.monotonic = 1
    configuration.follow()
    assert _users(guard) == {"prom", "other"}
    time.monotonic = 3
    configuration.follow()
    assert _users(guard) == {"prom"}


def test_half_a_file_that_is_completed_has_changed_nothing(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    time = _Time(0)
    configuration, guard = _configured(file, time)
    for length in (0, 20, _USERS.index("  other"), len(_USERS) - 3, len(_USERS)):
        file.write_text(_USERS[:length])
        time.wall = os.stat(file).st_ctime
        configuration.follow()
        assert _users(guard) == {"prom", "other"}
    assert not configuration.reloads.failed


def test_what_was_refused_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    configuration, guard = _configured(file, _Time(0))
    file.write_text("")
    for _ in range(5):
        configuration.follow()
    assert (configuration.reloads.failure, configuration.reloads.failed) == (1, True)
    assert not configuration.reload(asked=False)
    assert guard.authenticator.needed
    assert configuration.reload(asked=True)
    assert not guard.authenticator.needed


def test_a_pipe_in_place_of_the_file_is_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    configuration, guard = _configured(file, _Time(0))
    file.unlink()
    os.mkfifo(file)
    configuration.follow()
    assert not configuration.reload(asked=True)
    assert _users(guard) == {"prom", "other"}
    assert configuration.reloads.failed


@pytest.mark.parametrize("instead", ["nothing", "directory", "link to itself"])
def test_what_is_no_file_any_more_changes_nothing(tmp_path: Path, instead: str) -> None:
    file = tmp_path / "web.yml"
    configuration, guard = _configured(file, _Time(0))
    file.unlink()
    if instead == "directory":
        file.mkdir()
    elif instead != "nothing":
        file.symlink_to(file)
    configuration.follow()
    assert not configuration.reload(asked=True)
    assert _users(guard) == {"prom", "other"}
