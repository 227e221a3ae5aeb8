"""What /proc/PID/stat says of processes that do not answer, as Linux 6.18 wrote it: hertz is 100."""

import os

import pytest

from exporter.core.process_state import UNKNOWN, ProcessState, parse_state, state_of

_REST = b"0 -1 4194304 1432 0 0 0 %d %d 0 0 39 19 1 0 2412 23437312 2489 18446744073709551615 1 1 0 0 0 0 0 16781312 2"


@pytest.fixture(autouse=True)
def _hertz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.core.process_state._TICKS_PER_SECOND", 100)


def _stat(state: bytes, user: int = 0, system: int = 0, name: bytes = b"python3") -> bytes:
    return b"4711 (%s) %s 4702 4711 4702 %s\n" % (name, state, _REST % (user, system))


def test_the_state_and_the_time_on_a_core_are_read() -> None:
    assert parse_state(_stat(b"R", 7, 5)) == ProcessState(ready=True, cpu=0.12)
    assert parse_state(_stat(b"S", 7, 5)) == ProcessState(ready=False, cpu=0.12)


@pytest.mark.parametrize("name", [b"a b", b"(R) R", b") D 1", b"", b"\xff"])
def test_a_name_does_not_count(name: bytes) -> None:
    assert parse_state(_stat(b"D", name=name)) == ProcessState(ready=False, cpu=0)
    assert parse_state(_stat(b"R", name=name)) == ProcessState(ready=True, cpu=0)


@pytest.mark.parametrize("stat", [b"", b"4711 (python3) R 1", _stat(b"R").replace(b" 0 0 0 0 0", b" 0 0 x x x", 1)])
def test_what_cannot_be_read_is_not_known(stat: bytes) -> None:
    assert parse_state(stat) is UNKNOWN


@pytest.mark.parametrize(
    ("state", "user", "system", "starved"),
    [
        (b"R", 100, 0, True),  # no time on a core since
        (b"R", 104, 6, True),  # some: 0.1 s of 30
        (b"R", 900, 599, True),
        (b"R", 900, 700, False),  # half of it
        (b"R", 3000, 90, False),  # it loops
        (b"R", 3000, 9000, False),  # it has looped for longer, on a busy host
        (b"D", 100, 0, False),  # it waits for the disk, or for a server that does not answer
        (b"S", 100, 0, False),
        (b"T", 100, 0, False),  # stopped
        (b"t", 100, 0, False),
        (b"Z", 100, 0, False),
        (b"I", 100, 0, False),
    ],
)
def test_only_what_can_go_on_and_had_no_core_is_starved(state: bytes, user: int, system: int, starved: bool) -> None:
    assert parse_state(_stat(state, user, system)).is_starved(1.0, 30) == starved


def test_what_nobody_knows_is_not_starved() -> None:
    assert not UNKNOWN.is_starved(0, 30)


def test_the_kernel_is_asked() -> None:
    assert state_of(os.getpid()).ready
    assert state_of(1 << 30) is UNKNOWN
