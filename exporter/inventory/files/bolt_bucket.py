"""The buckets of a bolt database that were read, and what was made of them."""

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from exporter.core.kept import Edition
from exporter.core.measured import Reason

#: What a bucket has after it was converted. It is never changed.
_NOTHING: dict[bytes, Any] = {}
#: In the place of what converts: a bucket that it is in was converted.
_GIVEN_UP = object()


class BoltError(Exception):
    """The file is no bolt database, a damaged one, too large, or one that changes all the time."""

    def __init__(self, message: str, reason: Reason = Reason.DECODE) -> None:
        super().__init__(message)
        self.reason = reason


class ConvertedError(Exception):
    """A bucket is asked for in another way than the one in which it was converted: what is in it was given up."""


T = TypeVar("T")


def word(raw: bytes | None) -> str:
    """A text, "" where it is missing. Bytes that are no UTF-8 stay apart from each other.

    Texts are shared: a digest stands in the rows of its blob, of what refers to it, and of leases.
    """
    return sys.intern(raw.decode("utf-8", "surrogateescape")) if raw else ""


class Bucket:
    """One bucket: its values and the buckets in it, by name.

    One of several leaf pages has a part for each. A part without a change is the same object in the next reading, and
    so is a bucket.
    """

    __slots__ = ("_buckets", "_convert", "_made", "_parts", "_values")

    def __init__(
        self,
        values: dict[bytes, bytes] | None = None,
        buckets: "dict[bytes, Bucket] | None" = None,
        parts: "tuple[Bucket, ...]" = (),
    ) -> None:
        self._values = _NOTHING if values is None else values
        self._buckets = _NOTHING if buckets is None else buckets
        self._parts = parts
        #: The function that converted this bucket, or those in it, and what it made.
        self._convert: object = None
        self._made: object = None

    @property
    def values(self) -> Mapping[bytes, bytes]:
        """The values; raises ConvertedError."""
        if self._convert is not None:
            raise ConvertedError
        if not self._parts:
            return self._values
        return {key: value for part in self._parts for key, value in part.values.items()}

    @property
    def buckets(self) -> "Mapping[bytes, Bucket]":
        """The buckets in it; raises ConvertedError."""
        if self._convert is not None:
            raise ConvertedError
        if not self._parts:
            return self._buckets
        return {key: one for part in self._parts for key, one in part.buckets.items()}

    @property
    def parts(self) -> "tuple[Bucket, ...]":
        """The buckets of its leaf pages: itself, where it has one."""
        return self._parts or (self,)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bucket):
            return NotImplemented
        return self.values == other.values and self.buckets == other.buckets

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Bucket({self.values!r}, {self.buckets!r})"

    def once(self, convert: Callable[["Bucket"], T], before: T | None = None) -> T:
        """What `convert` makes of this bucket. It is kept: a bucket without a change is in the next reading, too.

        `before` is what the last reading had in this place. It is returned where it is equal.
        What is in the bucket is given up then: thousands of them would take more memory than what was made of them.
        So all calls have the same `convert`; raises ConvertedError for another one.
        """
        if self._convert is None:
            made = convert(self)
            for one in (*self._buckets.values(), *self._parts):
                one._give_up()  # noqa: SLF001 - of its own kind
            self._note(convert, before if before is not None and made == before else made)
        return cast("T", self._made_by(convert))

    def each(self, convert: Callable[["Bucket"], T], before: Mapping[str, T] = {}) -> Mapping[str, T]:
        """What `convert` makes of each bucket in this one, by name. See `once`; nobody may change the mapping.

        `before` is what the last reading had in this place: what is returned is the next edition of it.
        """
        if self._convert is None:
            made: dict[str, T] = {}
            for part in self._parts:
                if part._convert is None:  # noqa: SLF001 - of its own kind
                    part._note(convert, part._each(convert, before))  # noqa: SLF001
                made.update(cast("dict[str, T]", part._made_by(convert)))  # noqa: SLF001
            self._note(convert, Edition(made if self._parts else self._each(convert, before), before))
        return cast("Mapping[str, T]", self._made_by(convert))

    @property
    def is_given_up(self) -> bool:
        """Whether a bucket around it was converted: then what is in this one was given up, too."""
        return self._convert is _GIVEN_UP

    def _give_up(self) -> None:
        if self._convert is None:
            for one in (*self._buckets.values(), *self._parts):
                one._give_up()  # noqa: SLF001 - of its own kind
            self._note(_GIVEN_UP, None)
            self._parts = ()

    def _each(self, convert: Callable[["Bucket"], T], before: Mapping[str, T]) -> dict[str, T]:
        """What `convert` makes of each bucket of one leaf page."""
        names = ((word(key), one) for key, one in self._buckets.items())
        return {name: one.once(convert, before.get(name)) for name, one in names}

    def _note(self, convert: object, made: object) -> None:
        self._convert, self._made = convert, made
        self._values, self._buckets = _NOTHING, _NOTHING

    def _made_by(self, convert: object) -> object:
        if self._convert is not convert:
            raise ConvertedError
        return self._made
