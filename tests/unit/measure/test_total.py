import copy
import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.core.links import NO_LINKS, Links
from exporter.measure import total as totals
from exporter.measure.total import TooManyLinksError, Total
from tests.support.totals import sent

_COUNT = st.integers(1, 2**32 - 1)
_LINKED = st.dictionaries(
    st.integers(0, 2**64 - 1), st.tuples(st.integers(0, 2**60), st.integers(0, 2**60), _COUNT, _COUNT)
)


@given(_LINKED)
def test_links_are_unpacked_as_they_were_packed(links: dict[int, tuple[int, int, int, int]]) -> None:
    packed = Links.of(links)
    assert dict(packed.items()) == {inode: numbers[:2] for inode, numbers in links.items()}
    assert {inode: counts for inode, *counts in packed.counts()} == {inode: [*one[2:]] for inode, one in links.items()}
    assert len(packed) == len(links)
    some = dict.fromkeys([*links][::2], (0, 0, 2, 1))
    left = {inode: numbers for inode, numbers in links.items() if inode not in some}
    assert packed.without(Links.of(some)) == Links.of(left)


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
            joined.join(sent(other))
    assert joined.result((1, 2, 3)) == whole.result((1, 2, 3))


@pytest.mark.parametrize("shares", [("ab", "c"), ("a", "b", "c"), ("a", "bc", "d")])
def test_a_link_that_is_made_during_the_walk_counts_nothing_twice(tmp_path: Path, shares: tuple[str, ...]) -> None:
    """All links of a file that were there are met in the first parts, then others are made, as `cp -al` does."""
    parts, names = [], "".join(shares[:-1])
    (tmp_path / names[0]).write_bytes(b"x" * 700)
    for name in names[1:]:
        os.link(tmp_path / names[0], tmp_path / name)
    for share in shares:
        total = Total()
        for name in share:
            if not (tmp_path / name).exists():
                os.link(tmp_path / names[0], tmp_path / name)
            status = (tmp_path / name).stat()
            if total.first_link(status):
                total.size, total.blocks, total.inodes = total.size + 700, total.blocks + status.st_blocks, 1
        parts.append(total)
    for order in itertools.permutations(parts):
        joined = copy.deepcopy(order[0])
        for part in order[1:]:
            joined.join(part)
        usage = joined.result((0, 0, 0)).usage
        assert (usage.size, usage.inodes) == (700, 1), order


def test_a_link_that_several_parts_share_is_remembered_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one walk would: what is too much for one is too much for all, and the other way round."""
    monkeypatch.setattr(totals, "MAX_LINKS", 3)
    parts = Total(), Total()
    for number in range(3):
        (tmp_path / f"file{number}").write_bytes(b"x")
        os.link(tmp_path / f"file{number}", tmp_path / f"link{number}")
        for part in parts:
            part.first_link((tmp_path / f"file{number}").stat())
    parts[0].join(sent(parts[1]))
    assert parts[0].result((1, 2, 3)).links == NO_LINKS


def test_more_links_than_are_remembered_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when only the parts together have too many: no figure rather than one that may be wrong."""
    monkeypatch.setattr(totals, "MAX_LINKS", 3)
    statuses = []
    for number in range(4):
        (tmp_path / f"file{number}").write_bytes(b"x")
        os.link(tmp_path / f"file{number}", tmp_path / f"link{number}")
        statuses.append((tmp_path / f"file{number}").stat())
    whole, parts = Total(), (Total(), Total())
    for number, status in enumerate(statuses):
        parts[number % 2].first_link(status)
        if number < 3:
            whole.first_link(status)
    whole.settle()
    whole.first_link(statuses[3])
    with pytest.raises(TooManyLinksError):
        whole.settle()
    parts[0].join(parts[1])
    with pytest.raises(TooManyLinksError):
        parts[0].settle()
