"""The pieces of work that no worker has been given yet."""

from collections import deque
from collections.abc import Callable

from exporter.core.measured import Tree
from exporter.measure.pool.task import Task, WorkItem


class WorkQueue:
    """Two queues: work that is done at once, and work that is done at a pace."""

    def __init__(self) -> None:
        self.urgent: deque[WorkItem] = deque()
        self.paced: deque[WorkItem] = deque()

    def __bool__(self) -> bool:
        return bool(self.urgent or self.paced)

    def put(self, item: WorkItem) -> None:
        """Put a piece of work at the end of its queue."""
        (self.paced if item.paced else self.urgent).append(item)

    def pop_urgent(self, count: int) -> list[WorkItem]:
        """Remove and return up to `count` urgent pieces."""
        return [self.urgent.popleft() for _ in range(min(count, len(self.urgent)))]

    def drop_void(self) -> None:
        """Drop the pieces of attempts that are over."""
        self._drop(lambda item: item.void)

    def drop(self, matches: Callable[[Tree], bool]) -> list[Task]:
        """Drop the pieces of the trees that match; return their tasks, each once."""
        return list(dict.fromkeys(item.task for item in self._drop(lambda item: matches(item.task.tree))))

    def clear(self) -> None:
        """Drop all pieces."""
        self.urgent.clear()
        self.paced.clear()

    def _drop(self, matches: Callable[[WorkItem], bool]) -> list[WorkItem]:
        dropped: list[WorkItem] = []
        for queue in (self.urgent, self.paced):
            for _ in range(len(queue)):
                item = queue.popleft()
                (dropped if matches(item) else queue).append(item)
        return dropped
