"""What is kept of the pages of a bolt database that were decoded, so that the next reading decodes only others.

Of the bytes of a page only a hash is kept. It is Python's own for bytes (SipHash, 64 bits), with a key that each
process chooses at random: nobody can write a page that has the hash of another one.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from operator import ne

from msgspec import Struct, field

from exporter.inventory.files.bolt_bucket import Bucket

#: Reads so many bytes at an offset, in this order, fewer at the end of the file.
Read = Callable[[int, int], bytes]
#: The length of what says something in the bytes of a page, and its hash.
Mark = tuple[int, int]
#: Pages below one page that are kept as numbers of this page, too: then one step takes all of them.
_MOST_TOGETHER = 1024


class PageNode:
    """A leaf page that was decoded, of whose buckets none has a page of its own. Most pages are such.

    `elements` and `value_bytes` are counted with those of the buckets in it, `height` says how deep these go.
    """

    __slots__ = ("bucket", "elements", "height", "number", "value_bytes")

    #: All pages below it, and those that it goes on over, with itself.
    pages: int = 1
    #: The page and all pages below it, or, with `below`, the page alone; None for one page.
    numbers: tuple[int, ...] | None = None
    #: The pages that these go on over.
    further: tuple[int, ...] = ()
    below: "tuple[PageNode, ...]" = ()
    #: The first and the last key of a page below a branch; () where it has none, None where that is not known.
    ends: tuple[bytes, ...] | None = None

    def __init__(self, number: int, bucket: Bucket) -> None:
        self.number = number
        self.bucket = bucket
        self.elements = self.value_bytes = self.height = 0


class LargeNode(PageNode):
    """Any other page that was decoded, with all pages below it: of the branches, and of the buckets in the leaves.

    `span`: over how many pages it goes. `bucket`: what the tree below it has.
    """

    __slots__ = ("below", "ends", "further", "numbers", "pages")

    def __init__(
        self, number: int, bucket: Bucket, span: int, inner: Collection[PageNode], ends: tuple[bytes, ...] | None
    ) -> None:
        super().__init__(number, bucket)
        self.pages = span + sum(one.pages for one in inner)
        self.numbers = None
        self.further = tuple(range(number + 1, number + span)) if span > 1 else ()
        self.below = ()
        self.ends = ends
        if not inner:
            return
        if self.pages > _MOST_TOGETHER:
            self.below = tuple(inner)
        else:
            below = (page for one in inner for page in one.numbers or (one.number,))
            self.numbers = (number, *below)
            self.further = (*self.further, *(page for one in inner for page in one.further))


class PageMarks:
    """The marks of pages by their numbers, in little memory."""

    __slots__ = ("_hashes", "_lengths", "_numbers")

    def __init__(self) -> None:
        self._numbers, self._lengths, self._hashes = array("Q"), array("I"), array("q")

    def put(self, number: int, mark: Mark) -> None:
        """Note the mark of a page."""
        numbers, lengths, hashes = self._numbers, self._lengths, self._hashes
        at = len(numbers) if not numbers or number > numbers[-1] else bisect_left(numbers, number)
        if at == len(numbers) or numbers[at] != number:
            numbers.insert(at, number)
            lengths.insert(at, 0)
            hashes.insert(at, 0)
        lengths[at], hashes[at] = mark

    def forget(self, number: int) -> None:
        """Forget the mark of a page that has one."""
        at = bisect_left(self._numbers, number)
        del self._numbers[at], self._lengths[at], self._hashes[at]

    def different(self, read: Read, page_size: int) -> set[int]:
        """The pages that have other bytes than they had. Raises whatever `read` raises.

        Of each page only what says something is read: in the databases of containerd most pages are nearly empty.
        """
        offsets = map(page_size.__mul__, self._numbers)
        now = map(hash, map(read, self._lengths, offsets))  # nothing in Python for each: there are thousands
        return {number for number, is_other in zip(self._numbers, map(ne, self._hashes, now), strict=True) if is_other}

    def without(self, taken: Collection[int]) -> list[int]:
        """The pages that have a mark and are not among `taken`, in order."""
        return [number for number in self._numbers if number not in taken]


def mark_of(raw: bytes) -> Mark:
    """The length and the hash of these bytes."""
    return len(raw), hash(raw)


class BucketCache(Struct):
    """The pages of one database that were decoded before, by number, for the next reading of it.

    What bytes decode to is known once they were decoded, so bytes that are the same are not decoded again.
    """

    nodes: dict[int, PageNode] = field(default_factory=dict)
    #: Those of all pages that were decoded. Some of these have no node any more.
    marks: PageMarks = field(default_factory=PageMarks)
    page_size: int = 0
    #: The pages that the last reading has decoded.
    _new: Collection[int] = ()

    def prepare(self, page_size: int) -> None:
        """Forget all where the pages had another size."""
        if page_size != self.page_size:
            self.clear()
            self.page_size = page_size

    def clear(self) -> None:
        """Forget all."""
        self.nodes.clear()
        self.marks = PageMarks()

    def change(self, new: Mapping[int, tuple[PageNode, Mark]], gone: Collection[int]) -> None:
        """Note the pages that were decoded, and forget those that are not in use any more."""
        # In this order the marks behind them move the least.
        for number in sorted(gone, reverse=True):
            self.nodes.pop(number, None)
            self.marks.forget(number)
        self._new = sorted(new)
        for number in self._new:
            self.nodes[number], mark = new[number]
            self.marks.put(number, mark)

    def drop_given_up(self) -> None:
        """Forget what the last reading has decoded and is in buckets that were converted since.

        Where one of these changes, the pages in it are decoded again. Most of such buckets have one page more.
        """
        for number in self._new:
            if self.nodes[number].bucket.is_given_up:
                del self.nodes[number]
        self._new = ()
