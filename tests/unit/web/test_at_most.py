"""How many answers with metrics are made at a time."""

import asyncio
from http import HTTPStatus

import pytest

from exporter.web.app import _at_most
from exporter.web.protocol.message import Request, Response, text

_REQUEST = Request("GET", "/metrics", {})


@pytest.mark.parametrize(("most", "refused"), [(0, 0), (1, 4), (3, 2), (5, 0)])
def test_more_than_that_are_refused_until_one_is_done(most: int, refused: int) -> None:
    async def scenario() -> list[int]:
        ended = asyncio.Event()

        async def slow(_: Request) -> Response:
            await ended.wait()
            return text("done\n")

        handler = _at_most(most, slow)
        asked = [asyncio.ensure_future(handler(_REQUEST)) for _ in range(5)]
        await asyncio.sleep(0)
        ended.set()
        answers = [answer.status for answer in await asyncio.gather(*asked)]
        return [*answers, (await handler(_REQUEST)).status]

    *answers, later = asyncio.run(scenario())
    assert answers.count(HTTPStatus.SERVICE_UNAVAILABLE) == refused
    assert later == HTTPStatus.OK


def test_an_error_lets_the_next_one_in() -> None:
    async def scenario() -> None:
        async def broken(_: Request) -> Response:
            raise LookupError("broken")

        handler = _at_most(1, broken)
        for _ in range(2):
            with pytest.raises(LookupError):
                await handler(_REQUEST)

    asyncio.run(scenario())
