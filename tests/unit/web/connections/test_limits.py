import asyncio
from collections.abc import Callable

from exporter.web.connections.limits import (
    MAX_CONNECTIONS,
    MAX_HANDSHAKES,
    MAX_HELD_BYTES,
    ConnectionLimits,
    ConnectionSlot,
    Stage,
)


def run(test: Callable[[ConnectionLimits], None]) -> None:
    async def with_limits() -> None:
        test(ConnectionLimits())

    asyncio.run(with_limits())


def enter(limits: ConnectionLimits, client: str, gone: list[str], name: str = "") -> ConnectionSlot:
    return limits.enter(lambda: gone.append(name or client), client)


def test_the_oldest_that_asks_for_nothing_makes_room() -> None:
    def test(limits: ConnectionLimits) -> None:
        gone: list[str] = []
        slots = [enter(limits, "a", gone, str(number)) for number in range(MAX_CONNECTIONS)]
        limits.move(slots[0], Stage.SERVING)
        limits.move(slots[1], Stage.IDLE)
        enter(limits, "a", gone)
        enter(limits, "b", gone)
        assert gone == ["2", "3"]
        assert (len(limits), limits.cut["full"]) == (MAX_CONNECTIONS, 2)

    run(test)


def test_a_client_with_many_connections_makes_room_and_not_one_with_few() -> None:
    def test(limits: ConnectionLimits) -> None:
        gone: list[str] = []
        enter(limits, "prometheus", gone)
        for _ in range(2 * MAX_CONNECTIONS):
            enter(limits, "attacker", gone)
        assert set(gone) == {"attacker"}
        assert len(limits) == MAX_CONNECTIONS

    run(test)


def test_handshakes_are_bounded_and_the_same_holds_for_them() -> None:
    def test(limits: ConnectionLimits) -> None:
        gone: list[str] = []
        limits.move(enter(limits, "prometheus", gone), Stage.HANDSHAKE)
        for _ in range(MAX_HANDSHAKES + 9):
            limits.move(enter(limits, "attacker", gone), Stage.HANDSHAKE)
        assert gone == ["attacker"] * 10
        assert len(limits) == MAX_HANDSHAKES

    run(test)


def test_what_is_held_by_responses_that_are_being_made_counts_but_only_those_that_nobody_reads_end() -> None:
    def test(limits: ConnectionLimits) -> None:
        gone: list[str] = []
        for client in ("serving", "slow", "slow", "newest"):
            slot = enter(limits, client, gone)
            slot.held = MAX_HELD_BYTES // 3
            limits.move(slot, Stage.SERVING if client == "serving" else Stage.DRAINING)
        assert gone == ["slow"]

    run(test)


def drain(limits: ConnectionLimits, slot: ConnectionSlot, held: int, taken: int) -> None:
    slot.held, slot.taken = held, taken
    limits.move(slot, Stage.DRAINING)


def test_of_those_that_do_not_read_the_one_ends_that_has_taken_least() -> None:
    def test(limits: ConnectionLimits) -> None:
        gone: list[str] = []
        drain(limits, enter(limits, "a", gone, "stopped reading"), MAX_HELD_BYTES // 4, 400_000)
        for number in range(5):
            drain(limits, enter(limits, "a", gone, str(number)), MAX_HELD_BYTES // 4, 130_000)
        assert gone == ["0", "1"]

    run(test)


def test_a_client_that_holds_much_ends_and_not_one_that_holds_little() -> None:
    def test(limits: ConnectionLimits) -> None:
        gone: list[str] = []
        drain(limits, enter(limits, "prometheus", gone), MAX_HELD_BYTES // 8, 1)
        for _ in range(20):
            drain(limits, enter(limits, "attacker", gone), MAX_HELD_BYTES // 8, 400_000)
        assert set(gone) == {"attacker"}
        assert sum(one.held for one in limits.slots) <= MAX_HELD_BYTES

    run(test)


def test_of_many_clients_with_a_connection_each_the_one_ends_that_has_taken_least() -> None:
    """Also where it is the one that holds most: an answer without a coding takes more."""

    def test(limits: ConnectionLimits) -> None:
        gone: list[str] = []
        drain(limits, enter(limits, "prometheus", gone), MAX_HELD_BYTES // 3, 400_000)
        for number in range(20):
            drain(limits, enter(limits, f"attacker {number}", gone), MAX_HELD_BYTES // 9, 130_000)
        assert gone == [f"attacker {number}" for number in range(14)]

    run(test)


def test_a_stage_with_the_time_of_the_one_before_has_no_more() -> None:
    def test(limits: ConnectionLimits) -> None:
        slot = enter(limits, "a", [])
        limits.move(slot, Stage.DRAINING)
        first = slot.timer
        limits.move(slot, Stage.SERVING, keep_time=True)
        limits.move(slot, Stage.DRAINING, keep_time=True)
        assert slot.timer is first
        limits.move(slot, Stage.IDLE)
        assert slot.timer is not first
        assert first is not None
        assert first.cancelled()
        limits.leave(slot)

    run(test)
