import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web.connections.fair_queue import _CLIENTS_KEPT, AT_ONCE, FairQueue, TurnCount, client_of


def order(waiting: list[tuple[str, str]], uses: dict[str, int] | None = None, first: str = "") -> list[str]:
    """Who of (client, connection) gets a turn when, all of them having come at once; `uses` have asked before."""
    connections: dict[str, TurnCount] = {}
    came: list[str] = []

    async def wait(turns: FairQueue, client: str, connection: str) -> None:
        await turns.wait(client, connections.setdefault(connection, TurnCount()))
        came.append(connection)

    async def all_of_them() -> None:
        turns = FairQueue(lambda: 0.0)
        for connection, number in (uses or {}).items():
            for _ in range(number):
                await wait(turns, first, connection)
        came.clear()
        await asyncio.gather(*(wait(turns, *one) for one in waiting))

    asyncio.run(all_of_them())
    return came


def test_the_last_to_come_goes_first() -> None:
    assert order([("a", "1"), ("a", "2"), ("a", "3")]) == ["3", "2", "1"]


def test_who_has_asked_for_less_goes_before() -> None:
    assert order([("a", "new"), ("a", "old"), ("a", "greedy")], {"old": 1, "greedy": 9}, "a") == [
        "new",
        "old",
        "greedy",
    ]


def test_a_client_with_many_connections_does_not_go_before_one_with_few() -> None:
    waiting = [("few", "b1"), ("few", "b2"), *(("many", f"a{number}") for number in range(50))]
    came = order(waiting)
    assert {"b1", "b2"} <= set(came[:4])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("123456")), max_size=40))
def test_everybody_gets_a_turn(waiting: list[tuple[str, str]]) -> None:
    assert sorted(order(waiting)) == sorted(connection for _, connection in waiting)


def test_the_loop_looks_at_its_sockets_after_a_few() -> None:
    async def most() -> int:
        turns, through, seen = FairQueue(), 0, [0]

        async def wait() -> None:
            nonlocal through
            await turns.wait("a", TurnCount())
            through += 1

        def tick() -> None:
            seen.append(through)
            if through < 100:
                asyncio.get_running_loop().call_soon(tick)

        tick()
        await asyncio.gather(*(wait() for _ in range(100)))
        return max(after - before for before, after in pairwise(seen))

    assert 0 < asyncio.run(most()) <= AT_ONCE


def test_one_that_has_gone_takes_no_turn() -> None:
    async def gone() -> list[str]:
        turns, came = FairQueue(), []

        async def wait(name: str) -> None:
            await turns.wait("a", TurnCount())
            came.append(name)

        tasks = [asyncio.ensure_future(wait(str(number))) for number in range(6)]
        await asyncio.sleep(0)
        for one in tasks[1::2]:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return came

    assert sorted(asyncio.run(gone())) == ["0", "2", "4"]


def test_what_was_asked_long_ago_is_forgotten() -> None:
    use = TurnCount()
    for _ in range(5):
        use.add(10.0)
    assert (use.at(10.0), use.at(12.0), use.at(99.0)) == (5, 3, 0)


def test_clients_that_are_remembered_are_bounded() -> None:
    async def ask(clock: Callable[[], float]) -> int:
        turns = FairQueue(clock)
        for number in range(3 * _CLIENTS_KEPT):
            await turns.wait(f"client{number}", TurnCount())
        return len(turns._clients)

    assert asyncio.run(ask(lambda: 0.0)) <= _CLIENTS_KEPT


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_client_is_an_address_or_a_network(address: str, client: str) -> None:
    assert client_of(address) == client
