"""Databases of any shape are read back as they were written, also where a bucket has many pages."""

from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from exporter.demo.bolt import PAGE, BoltFile, Tree, bolt
from exporter.inventory.files.bolt import Bucket, read_bolt

_NAMES = st.binary(min_size=1, max_size=900)
_TREES = st.recursive(
    st.dictionaries(_NAMES, st.binary(max_size=3 * PAGE), max_size=8),
    lambda below: st.dictionaries(_NAMES, below | st.binary(max_size=200), max_size=8),
    max_leaves=60,
)


def _read(tree: Tree) -> dict[bytes, object]:
    return _read_content(bolt(tree))


def _read_content(content: bytes) -> dict[bytes, object]:
    return _plain(read_bolt(lambda length, offset: content[offset : offset + length]))


def _plain(bucket: Bucket) -> dict[bytes, object]:
    return {**bucket.values, **{name: _plain(inner) for name, inner in bucket.buckets.items()}}


@given(_TREES)
def test_what_was_written_is_read(tree: Tree) -> None:
    assert _read(tree) == tree


def test_a_bucket_with_branches_above_branches_is_read() -> None:
    rows = {f"{at:0900}".encode(): {b"size": b"x" * 60, b"labels": {b"a": b"b" * 1200}} for at in range(120)}
    tree: Tree = {b"v1": {b"moby": rows}}
    assert _read(tree) == tree


@given(st.lists(_TREES, min_size=2, max_size=3))
def test_each_commit_is_read_and_leaves_the_state_before_whole(trees: list[Tree]) -> None:
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "some.db"
        file = BoltFile(path)
        before: Tree = {}
        for count, (tree, _) in enumerate(groupby(trees)):  # one that is there is not written again
            file.write(tree)
            content = path.read_bytes()
            assert _read_content(content) == tree
            newest = count % 2 * PAGE  # without its meta page
            older = content[:newest] + bytes(PAGE) + content[newest + PAGE :]
            assert _read_content(older) == before
            before = tree


def test_what_has_not_changed_stays_in_its_pages(tmp_path: Path) -> None:
    rows = {f"{at:08}": {"size": b"%d" % at, "labels": {"a": b"b" * 20}} for at in range(500)}
    path = tmp_path / "some.db"
    file = BoltFile(path)
    file.write({"v1": rows})
    before = path.read_bytes()
    rows["00000250"] = {"size": b"y", "labels": {"a": b"b" * 20}}
    file.write({"v1": rows})
    after = path.read_bytes()
    changed = [at for at in range(0, len(before), PAGE) if before[at : at + PAGE] != after[at : at + PAGE]]
    assert len(changed) <= 2, "a meta page, and one that was free: all other pages are new"
    assert len(after) - len(before) <= 8 * PAGE
