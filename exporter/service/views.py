"""What the scanning process makes only when somebody asks for it: the content of the pages, and the document."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from exporter.core.model import ViewKind
from exporter.core.wanted import Wanted
from exporter.expose.published import View
from exporter.service.ipc import Show

#: How long a request waits for the scanning process. That reads metadata, and renders, in one thread.
_ANSWER_SECONDS = 10.0
#: What has grown until now is another thing later, also where nothing grows any more. It is a part of a page of which
#: the rest is known: that waits a little for it, and is without it where it is older than this.
_GROWTH_SECONDS, _OLD_GROWTH_SECONDS = 30.0, 300.0
_GROWTH_ANSWER_SECONDS = 2.0
#: So many pages of lists are kept, and so many different questions may wait for an answer.
_MOST_LISTINGS = 4
_MOST_QUESTIONS = 8


class Views:
    """The last view of each kind. `number` is that of the body that is served: a view of another one is out of date."""

    def __init__(self, number: int) -> None:
        self.number = number
        #: Asks the scanning process for a view; None while there is none to ask.
        self.ask: Callable[[Show], None] | None = None
        #: With the time at which each came, monotonic clock.
        self._known: dict[Show, tuple[View, float]] = {}
        self._waiting: dict[Show, asyncio.Future[View | None]] = {}

    async def of(self, kind: ViewKind, wanted: Wanted | None = None) -> View | None:
        """The view of what is served now. Where nobody answers it is the last one, None if nobody has asked before.

        Requests at the same time share one question.
        """
        question, answer = Show(kind, wanted), None
        if self._is_old(question) and self.ask is not None:
            waiting = self._waiting.get(question)
            if waiting is None:
                if len(self._waiting) >= _MOST_QUESTIONS:
                    return self._last(question)
                waiting = self._waiting[question] = asyncio.get_running_loop().create_future()
                self.ask(question)
            with contextlib.suppress(TimeoutError):
                seconds = _GROWTH_ANSWER_SECONDS if kind is ViewKind.GROWTH else _ANSWER_SECONDS
                answer = await asyncio.wait_for(asyncio.shield(waiting), seconds)
        return answer or self._last(question)

    def _last(self, question: Show) -> View | None:
        view, since = self._known.get(question, (None, 0.0))
        is_old = question.kind is ViewKind.GROWTH and time.monotonic() - since > _OLD_GROWTH_SECONDS
        return None if is_old else view

    def _is_old(self, question: Show) -> bool:
        known = self._known.get(question)
        if known is None or known[0].number != self.number:
            return True
        return question.kind is ViewKind.GROWTH and time.monotonic() - known[1] > _GROWTH_SECONDS

    def show(self, view: View) -> None:
        """Keep a view that has come."""
        question = Show(view.kind, view.wanted)
        self._known.pop(question, None)  # the last one that has come is the last one to go
        self._known[question] = view, time.monotonic()
        for one in [one for one in self._known if one.kind is ViewKind.LISTING][:-_MOST_LISTINGS]:
            del self._known[one]
        self._answer(question, view)

    def lost(self) -> None:
        """Note that the scanning process has ended: it answers no more."""
        self.ask = None
        for question in list(self._waiting):
            self._answer(question, None)

    def _answer(self, question: Show, view: View | None) -> None:
        waiting = self._waiting.pop(question, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(view)
