"""What is kept of the pages of a bolt database that were decoded, so that the next reading decodes only others.

Of the bytes of a page only a hash is kept. It is Python's own for bytes (SipHash, 64 bits), with a key that each
process chooses at random: nobody can write a page that has the hash of another one.
"""

from array import array
from collections.abc import Collection
from dataclasses import dataclass, field

from exporter.inventory.files.bolt_bucket import Bucket

#: So many pages are read, compared and described together.
BLOCK = 14
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
    """How many bytes of a page are in use, and their hash, by the number of the page."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        #: For `BLOCK` pages each: lengths, 0 for a page that is not known, and hashes.
        self._blocks: dict[int, tuple[array[int], array[int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def note(self, number: int, mark: tuple[int, int]) -> None:
        """Note the length and the hash of the bytes of a page; (0, 0) forgets it."""
        which, at = divmod(number, BLOCK)
        if which not in self._blocks:
            self._blocks[which] = array("I", bytes(4 * BLOCK)), array("q", bytes(8 * BLOCK))
        lengths, hashes = self._blocks[which]
        lengths[at], hashes[at] = mark
        if not mark[0] and not any(lengths):
            del self._blocks[which]

    def of(self, number: int) -> tuple[int, int]:
        """The length and the hash of the bytes of a page; (0, 0) for a page that is not known."""
        which, at = divmod(number, BLOCK)
        found = self._blocks.get(which)
        return (0, 0) if found is None else (found[0][at], found[1][at])

    def block(self, which: int) -> "tuple[array[int], array[int]] | None":
        """The lengths and the hashes of the pages from `which` times `BLOCK` on; None where none is known."""
        return self._blocks.get(which)


def mark_of(raw: bytes) -> tuple[int, int]:
    """The length and the hash of these bytes."""
    return len(raw), hash(raw)


@dataclass(slots=True)
class BucketCache:
    """The pages of one database that were decoded before, by number, for the next reading of it.

    What bytes decode to is known once they were decoded, so bytes that are the same are not decoded again.
    """

    nodes: dict[int, PageNode] = field(default_factory=dict)
    #: The bytes of each of these pages that say something.
    marks: PageMarks = field(default_factory=PageMarks)
    page_size: int = 0

    def prepare(self, page_size: int) -> None:
        """Forget all where the pages had another size."""
        if page_size != self.page_size:
            self.clear()
            self.page_size = page_size

    def clear(self) -> None:
        """Forget all."""
        self.nodes.clear()
        self.marks = PageMarks()

    def note(self, number: int, node: PageNode, mark: tuple[int, int]) -> None:
        """Note a page that was decoded."""
        self.nodes[number] = node
        self.marks.note(number, mark)

    def forget(self, number: int) -> None:
        """Forget a page that is not in use any more."""
        del self.nodes[number]
        self.marks.note(number, (0, 0))
