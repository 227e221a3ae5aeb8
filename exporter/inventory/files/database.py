"""Reads a bolt database of a root with what earlier readings have left."""

import math
import os
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from msgspec import Struct

from exporter.core.data_root import DataRoot
from exporter.core.measured import Reason, Tree
from exporter.inventory.files.bolt import BoltError, Bucket, BucketCache, ConvertedError, newest_state, read_bolt
from exporter.inventory.files.memo import Memo

_FRESH_SECONDS = 60.0

T = TypeVar("T")


class _LastReading(Struct):
    """What a database held when it was read last, and when that was on the monotonic clock."""

    value: object = None
    at: float = -math.inf
    #: The file and its newest state, which no commit leaves as it is: when it was read, and now.
    version: object = None
    seen: object = None

    def note(self, value: object) -> None:
        """Note a reading of now."""
        self.value, self.at, self.version = value, time.monotonic(), self.seen

    def is_fresh(self) -> bool:
        """Whether that is not long ago."""
        return time.monotonic() - self.at < _FRESH_SECONDS


def read_database(root: DataRoot, memo: Memo, tree: Tree, name: str, convert: Callable[[Bucket], T]) -> T:
    """Convert the bucket `name` of a database, or all of it for "".

    Of one that is written to each time that it is read, the last reading counts for a minute. Raises BoltError,
    UnreadableError or OSError.
    """
    last = memo.lasting("last", tree, _LastReading)
    cache = memo.lasting("buckets", tree, BucketCache)

    def read() -> T:
        with root.regular(tree) as descriptor:
            piece = partial(os.pread, descriptor)
            status = os.fstat(descriptor)
            last.seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, newest_state(piece))
            if last.seen == last.version:
                return cast("T", last.value)
            found = read_bolt(piece, name.encode() or None, cache)
        made = convert(found)
        cache.drop_given_up()
        return made

    try:
        try:
            value = read()
        except ConvertedError:  # pages have the bytes that they had, in another place of the database
            cache.clear()
            value = read()
    except BoltError as error:
        if error.reason is Reason.CHANGING and last.is_fresh():
            return cast("T", last.value)
        raise
    last.note(value)
    return value


def forget_database(memo: Memo, tree: Tree) -> None:
    """Have a database converted again the next time, whether it has changed or not."""
    memo.lasting("last", tree, _LastReading).version = None
