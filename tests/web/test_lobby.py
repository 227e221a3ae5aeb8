import asyncio
from collections.abc import Callable

from exporter.web.lobby import MAX_CONNECTIONS, MAX_HANDSHAKES, Lobby, Stage, Visitor


def run(test: Callable[[Lobby], None]) -> None:
    async def with_lobby() -> None:
        test(Lobby())

    asyncio.run(with_lobby())


def enter(lobby: Lobby, client: str, gone: list[str], name: str = "") -> Visitor:
    return lobby.enter(lambda: gone.append(name or client), client)


def test_the_oldest_that_asks_for_nothing_makes_room() -> None:
    def test(lobby: Lobby) -> None:
        gone: list[str] = []
        visitors = [enter(lobby, "a", gone, str(number)) for number in range(MAX_CONNECTIONS)]
        lobby.move(visitors[0], Stage.SERVING)
        lobby.move(visitors[1], Stage.IDLE)
        enter(lobby, "a", gone)
        enter(lobby, "b", gone)
        assert gone == ["2", "3"]
        assert (len(lobby), lobby.cut["full"]) == (MAX_CONNECTIONS, 2)

    run(test)


def test_a_client_with_many_connections_makes_room_and_not_one_with_few() -> None:
    def test(lobby: Lobby) -> None:
        gone: list[str] = []
        enter(lobby, "prometheus", gone)
        for _ in range(2 * MAX_CONNECTIONS):
            enter(lobby, "attacker", gone)
        assert set(gone) == {"attacker"}
        assert len(lobby) == MAX_CONNECTIONS

    run(test)


def test_handshakes_are_bounded_and_the_same_holds_for_them() -> None:
    def test(lobby: Lobby) -> None:
        gone: list[str] = []
        lobby.move(enter(lobby, "prometheus", gone), Stage.HANDSHAKE)
        for _ in range(MAX_HANDSHAKES + 9):
            lobby.move(enter(lobby, "attacker", gone), Stage.HANDSHAKE)
        assert gone == ["attacker"] * 10
        assert len(lobby) == MAX_HANDSHAKES

    run(test)


def test_a_stage_with_the_time_of_the_one_before_has_no_more() -> None:
    def test(lobby: Lobby) -> None:
        visitor = enter(lobby, "a", [])
        lobby.move(visitor, Stage.DRAINING)
        first = visitor.timer
        lobby.move(visitor, Stage.SERVING, keep_time=True)
        lobby.move(visitor, Stage.DRAINING, keep_time=True)
        assert visitor.timer is first
        lobby.move(visitor, Stage.IDLE)
        assert visitor.timer is not first
        assert first is not None
        assert first.cancelled()
        lobby.leave(visitor)

    run(test)
