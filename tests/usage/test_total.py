import os
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from exporter.measured import Links
from exporter.usage.total import Total

_LINKED = st.dictionaries(st.integers(0, 2**64 - 1), st.tuples(st.integers(0, 2**60), st.integers(0, 2**60)))


@given(_LINKED)
def test_links_are_unpacked_as_they_were_packed(links: dict[int, tuple[int, int]]) -> None:
    packed = Links.of(links)
    assert dict(packed.items()) == links
    assert len(packed) == len(links)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=30))
def test_parts_in_any_split_are_the_whole(links: list[tuple[int, int]]) -> None:
    """Each pair is one name: of which file, and in which part of the tree it is met."""
    with tempfile.TemporaryDirectory() as directory:
        top = Path(directory)
        for number in range(6):
            (top / f"file{number}").write_bytes(b"x" * number)
            os.link(top / f"file{number}", top / f"elsewhere{number}")
        for name, (file, _) in enumerate(links):
            os.link(top / f"file{file}", top / f"link{name}")
        whole, parts = Total(), [Total() for _ in range(4)]
        for name, (_, part) in enumerate(links):
            status = (top / f"link{name}").stat()
            for total in (whole, parts[part]):
                if total.first_link(status):
                    total.size += status.st_size
                    total.blocks += status.st_blocks
                    total.inodes += 1
        joined = parts[0]
        for other in parts[1:]:
            joined.join(Total.unpack(other.pack()))
    assert joined.result((1, 2, 3)) == whole.result((1, 2, 3))
