"""What has grown, as the scanning process sends it. `growth` works it out; the serving process needs no more."""

from collections.abc import Mapping

from msgspec import Struct


class Grown(Struct, frozen=True):
    """What something held then and holds now, in bytes. `name` can be shown.

    None is what is not known. `parts`: of so many of its objects the size is not known, and they are not in the sums.
    """

    name: str
    before: int | None
    now: int | None
    parts: int = 0
    kind: str = ""

    @property
    def by(self) -> int | None:
        """By how many bytes it has grown; negative where it has shrunk, None where that is not known."""
        return None if self.before is None or self.now is None else self.now - self.before


class SpaceThen(Struct, frozen=True):
    """How many bytes were used on each filesystem, by its path, so many `seconds` ago; None: it said nothing.

    `begun`: how many seconds ago the first of what is kept was noted.
    """

    seconds: float
    begun: float
    used: Mapping[str, int | None]


class Growth(Struct, frozen=True):
    """What has grown in the last `seconds`; None: nothing is kept yet to compare with.

    `begun`: how many seconds ago the first of what is kept was noted. `kinds` are all kinds of objects, `parts` the
    entries of the roots, `objects` the containers (their writable layer and log) and volumes that grew the most.
    """

    seconds: float | None = None
    begun: float | None = None
    kinds: tuple[Grown, ...] = ()
    parts: tuple[Grown, ...] = ()
    objects: tuple[Grown, ...] = ()
