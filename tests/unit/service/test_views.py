"""What is made when somebody asks for it: who is asked, and what is said where nobody answers."""

import asyncio
import time

import pytest

from exporter.core.gzip_body import GzipBody
from exporter.core.model import ViewKind
from exporter.core.wanted import ListName, Wanted
from exporter.expose.listing import ListPage
from exporter.expose.published import View
from exporter.service.ipc import Show
from exporter.service.views import Views


def _view(number: int, kind: ViewKind = ViewKind.DOCUMENT) -> View:
    return View(number, kind, 1.0, document=GzipBody.of([b"{}"]))


def test_requests_at_the_same_time_share_one_question() -> None:
    async def ask() -> None:
        views, asked = Views(1), list[Show]()
        views.ask = asked.append
        requests = [asyncio.ensure_future(views.of(ViewKind.DOCUMENT)) for _ in range(3)]
        await asyncio.sleep(0)
        views.show(_view(1))
        assert [one and one.number for one in await asyncio.gather(*requests)] == [1, 1, 1]
        assert asked == [Show(ViewKind.DOCUMENT)]
        assert await views.of(ViewKind.DOCUMENT) == _view(1)
        assert asked == [Show(ViewKind.DOCUMENT)], "it is known"

    asyncio.run(ask())


def test_what_is_out_of_date_is_asked_for_again() -> None:
    async def ask() -> None:
        views, asked = Views(1), list[Show]()
        views.show(_view(1))
        views.number = 2

        def answer(question: Show) -> None:
            asked.append(question)
            views.show(_view(2, question.kind))

        views.ask = answer
        found = await views.of(ViewKind.DOCUMENT)
        assert found is not None
        assert found.number == 2
        assert asked == [Show(ViewKind.DOCUMENT)]

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


def _wanted(page: int) -> Wanted:
    return Wanted(ListName.IMAGES, "virtual", page=page)


def _list_page(number: int, page: int) -> View:
    return View(number, ViewKind.LISTING, 1.0, wanted=_wanted(page), listing=ListPage(_wanted(page), count=page))


def test_each_page_of_a_list_is_a_question_of_its_own_and_few_are_kept() -> None:
    async def ask() -> None:
        views, asked = Views(1), list[Show]()

        def answer(question: Show) -> None:
            assert question.wanted is not None
            asked.append(question)
            views.show(_list_page(1, question.wanted.page))

        views.ask = answer
        for page in (*range(1, 11), 10):
            found = await views.of(ViewKind.LISTING, _wanted(page))
            assert found == _list_page(1, page)
        assert len(asked) == 10, "the last one is known"
        await views.of(ViewKind.LISTING, _wanted(1))
        assert len(asked) == 11, "the first one is kept no more"

    asyncio.run(ask())


def test_answers_that_come_together_reach_all_who_asked() -> None:
    async def ask() -> None:
        views = Views(1)
        views.ask = lambda _: None
        requests = [asyncio.ensure_future(views.of(ViewKind.LISTING, _wanted(page))) for page in range(1, 9)]
        await asyncio.sleep(0)
        for page in range(1, 9):
            views.show(_list_page(1, page))
        found = await asyncio.gather(*requests)
        assert [one and one.listing and one.listing.count for one in found] == [*range(1, 9)]

    asyncio.run(ask())


def test_so_many_questions_at_a_time_and_no_more() -> None:
    async def ask() -> None:
        views, asked = Views(1), list[Show]()
        views.ask = asked.append
        requests = [asyncio.ensure_future(views.of(ViewKind.LISTING, _wanted(page))) for page in range(1, 101)]
        await asyncio.sleep(0)
        assert len(asked) == 8
        assert sum(one.done() for one in requests) == 92
        views.lost()
        assert set(await asyncio.gather(*requests)) == {None}

    asyncio.run(ask())


def test_growth_is_asked_for_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> None:
        views, asked, now = Views(1), list[Show](), [0.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])

        def answer(question: Show) -> None:
            asked.append(question)
            views.show(_view(1, question.kind))

        views.ask = answer
        for now[0], questions in ((1.0, 1), (30.0, 1), (32.0, 2)):
            await views.of(ViewKind.GROWTH)
            await views.of(ViewKind.DOCUMENT)
            assert sum(one.kind is ViewKind.GROWTH for one in asked) == questions
        assert sum(one.kind is ViewKind.DOCUMENT for one in asked) == 1
        views.lost()
        assert await views.of(ViewKind.GROWTH) is not None
        now[0] += 301
        assert await views.of(ViewKind.GROWTH) is None, "in the last hour is not what it was"
        assert await views.of(ViewKind.DOCUMENT) is not None

    asyncio.run(ask())
