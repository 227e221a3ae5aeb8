"""The pieces of work that no worker has been given yet."""

from collections import deque
from collections.abc import Callable

from exporter.core.measured import Tree
from exporter.measure.pool.task import Task, WorkItem


class WorkQueue:
    """Two queues: what is done at once, and what is done at a pace."""

    def __init__(self) -> None:
        self.urgent: deque[WorkItem] = deque()
        self.paced: deque[WorkItem] = deque()

    def __bool__(self) -> bool:
        return bool(self.urgent or self.paced)

    def put(self, piece: WorkItem) -> None:
        """Put a piece at the end of its queue."""
        (self.paced if piece.paced else self.urgent).append(piece)

    def take(self, count: int) -> list[WorkItem]:
        """Take up to so many urgent pieces."""
        return [self.urgent.popleft() for _ in range(min(count, len(self.urgent)))]

    def drop_void(self) -> None:
        """Drop what is of attempts that are over."""
        self._drop(lambda piece: piece.void)

    def drop(self, which: Callable[[Tree], bool]) -> list[Task]:
        """Drop the pieces of some trees; return their tasks, each once."""
        return list(dict.fromkeys(piece.task for piece in self._drop(lambda piece: which(piece.task.tree))))

    def clear(self) -> None:
        """Drop everything."""
        self.urgent.clear()
        self.paced.clear()

    def _drop(self, which: Callable[[WorkItem], bool]) -> list[WorkItem]:
        dropped: list[WorkItem] = []
        for queue in (self.urgent, self.paced):
            for _ in range(len(queue)):
                piece = queue.popleft()
                (dropped if which(piece) else queue).append(piece)
        return dropped
