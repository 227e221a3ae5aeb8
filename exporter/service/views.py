"""What the scanning process makes only when somebody asks for it: the pages' content, and the document."""

import asyncio
import contextlib
from collections.abc import Callable

from exporter.core.model import ViewKind
from exporter.expose.published import View

#: How long a request waits for the scanning process. That reads metadata, and renders, in one thread.
_ANSWER_SECONDS = 10.0


class Views:
    """The last view of each kind. `number` is that of the body that is served: a view of another one is out of date."""

    def __init__(self, number: int) -> None:
        self.number = number
        #: Asks the scanning process for a view; None while there is none to ask.
        self.ask: Callable[[ViewKind], None] | None = None
        self._known: dict[ViewKind, View] = {}
        self._waiting: dict[ViewKind, asyncio.Future[None]] = {}

    async def of(self, kind: ViewKind) -> View | None:
        """The view of what is served now. Where nobody answers it is the last one, None if nobody has asked before.

        Requests at the same time share one question.
        """
        known = self._known.get(kind)
        if (known is None or known.number != self.number) and self.ask is not None:
            waiting = self._waiting.get(kind)
            if waiting is None:
                waiting = self._waiting[kind] = asyncio.get_running_loop().create_future()
                self.ask(kind)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting), _ANSWER_SECONDS)
        return self._known.get(kind)

    def show(self, view: View) -> None:
        """Keep a view that has come."""
        self._known[view.kind] = view
        self._answer(view.kind)

    def lost(self) -> None:
        """Note that the scanning process has ended: it answers no more."""
        self.ask = None
        for kind in ViewKind:
            self._answer(kind)

    def _answer(self, kind: ViewKind) -> None:
        waiting = self._waiting.pop(kind, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
