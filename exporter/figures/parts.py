"""The parts that figures are worked out with: each goes from one snapshot to the next."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar, cast

from exporter.core.model import Snapshot
from exporter.figures.difference import Difference, blank, can_go_on

T = TypeVar("T")
Advance = Callable[[T, Difference], None]


class Changing(Protocol):
    """A part that says which of its objects may have other figures than in the snapshot before."""

    @property
    def changed(self) -> Sequence[object]:
        """These objects, as they are now."""


class Parts:
    """The parts that have come to one snapshot.

    Not `sound`: two objects have the same key, or the same tree, as a part says of itself. That part begins anew then,
    with those after it and all of the next snapshot.
    """

    def __init__(self, snapshot: Snapshot, before: "Parts | None") -> None:
        """`before` are those of an earlier snapshot. They are used up by this."""
        self._snapshot = snapshot
        self.sound = True
        #: Another object for each snapshot, and that of the snapshot before, if these have come from there.
        self.token = object()
        self.before: object | None = None
        self._made: dict[type, object] = {}
        self._former: dict[type, object] = {}
        self._since_none = self._since_before = Difference(blank(snapshot), snapshot)
        if before is not None and before.sound and can_go_on(before._snapshot, snapshot):  # noqa: SLF001 - its own kind
            self.before = before.token
            self._former, self._since_before = before._made, Difference(before._snapshot, snapshot)  # noqa: SLF001

    def advance(self, kind: type[T], advance: Advance[T]) -> T:
        """Have a part come to the snapshot. Raises what `advance` raises; then the part is lost."""
        part = cast("T | None", self._former.pop(kind, None)) if self.sound else None
        if part is not None:
            advance(part, self._since_before)
        if part is None or not _is_sound(part):
            part = kind()
            advance(part, self._since_none)
        self.sound &= _is_sound(part)
        self._made[kind] = part
        return part

    def changed(self, kind: type[Changing]) -> Sequence[object] | None:
        """The objects of which a part says that they have changed since the snapshot before; None: it may be all."""
        part = self._made.get(kind) if self.sound else None
        return None if part is None else cast("Changing", part).changed

    def forget_before(self) -> None:
        """Free what is left of the snapshot before."""
        self._former = {}
        self._since_none = self._since_before = Difference(blank(self._snapshot), self._snapshot)


def _is_sound(part: object) -> bool:
    """Whether a part has met no two objects with the same key."""
    return bool(getattr(part, "sound", True))
