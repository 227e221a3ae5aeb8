"""What is made when somebody asks for it: who is asked, and what is said where nobody answers."""

import asyncio

from exporter.core.gzip_body import GzipBody
from exporter.core.model import ViewKind
from exporter.expose.published import View
from exporter.service.views import Views


def _view(number: int, kind: ViewKind = ViewKind.DOCUMENT) -> View:
    return View(number, kind, 1.0, document=GzipBody.of([b"{}"]))


def test_requests_at_the_same_time_share_one_question() -> None:
    async def ask() -> None:
        views, asked = Views(1), list[ViewKind]()
        views.ask = asked.append
        requests = [asyncio.ensure_future(views.of(ViewKind.DOCUMENT)) for _ in range(3)]
        await asyncio.sleep(0)
        views.show(_view(1))
        assert [one and one.number for one in await asyncio.gather(*requests)] == [1, 1, 1]
        assert asked == [ViewKind.DOCUMENT]
        assert await views.of(ViewKind.DOCUMENT) == _view(1)
        assert asked == [ViewKind.DOCUMENT], "it is known"

    asyncio.run(ask())


def test_what_is_out_of_date_is_asked_for_again() -> None:
    async def ask() -> None:
        views, asked = Views(1), list[ViewKind]()
        views.show(_view(1))
        views.number = 2

        def answer(kind: ViewKind) -> None:
            asked.append(kind)
            views.show(_view(2, kind))

        views.ask = answer
        found = await views.of(ViewKind.DOCUMENT)
        assert found is not None
        assert found.number == 2
        assert asked == [ViewKind.DOCUMENT]

    asyncio.run(ask())


def test_where_the_scanning_process_ends_the_last_one_is_shown() -> None:
    async def ask() -> None:
        views = Views(1)
        assert await views.of(ViewKind.PAGES) is None, "nobody has asked before, and nobody can be asked"
        views.show(_view(1))
        views.number = 2
        views.ask = lambda _: None
        request = asyncio.ensure_future(views.of(ViewKind.DOCUMENT))
        await asyncio.sleep(0)
        views.lost()
        assert await request == _view(1)
        assert await views.of(ViewKind.DOCUMENT) == _view(1)

    asyncio.run(ask())
