"""Databases of any shape are read back as they were written, also where a bucket has many pages."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.demo.bolt import PAGE, Tree, bolt
from exporter.inventory.files.bolt import Bucket, read_bolt

_NAMES = st.binary(min_size=1, max_size=900)
_TREES = st.recursive(
    st.dictionaries(_NAMES, st.binary(max_size=3 * PAGE), max_size=8),
    lambda below: st.dictionaries(_NAMES, below | st.binary(max_size=200), max_size=8),
    max_leaves=60,
)


def _read(tree: Tree) -> dict[bytes, object]:
    content = bolt(tree)
    return _plain(read_bolt(lambda offset, length: content[offset : offset + length]))


def _plain(bucket: Bucket) -> dict[bytes, object]:
    return {**bucket.values, **{name: _plain(inner) for name, inner in bucket.buckets.items()}}


@given(_TREES)
def test_what_was_written_is_read(tree: Tree) -> None:
    assert _read(tree) == tree


def test_a_bucket_with_branches_above_branches_is_read() -> None:
    rows = {f"{at:0900}".encode(): {b"size": b"x" * 60, b"labels": {b"a": b"b" * 1200}} for at in range(120)}
    tree: Tree = {b"v1": {b"moby": rows}}
    assert _read(tree) == tree
