import os

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.text import MAX_LENGTH, label, short_ids

_NAMES = (
    st.binary(max_size=300).map(os.fsdecode) | st.text(max_size=300) | st.sampled_from([r"\xff", "\udcff", r"\\xff"])
)


@given(st.lists(_NAMES, unique=True, max_size=8))
def test_labels_are_utf8_short_and_as_different_as_the_names(names: list[str]) -> None:
    labels = [label(name) for name in names]
    assert len(set(labels)) == len(names)
    for one in labels:
        one.encode()
        assert len(one) <= MAX_LENGTH


def test_an_ordinary_name_is_left_alone() -> None:
    assert label("nickstenning/mediawiki:latest") == "nickstenning/mediawiki:latest"
    assert label("a\\b") == "a\\b"
    assert label(os.fsdecode(b"caf\xe9")) == r"caf\xe9"


@given(st.sets(st.text("0123456789abcdef", min_size=64, max_size=64), max_size=20))
def test_short_ids_are_unique_beginnings(ids: set[str]) -> None:
    short = short_ids(ids)
    assert len({short[one] for one in ids}) == len(ids)
    assert all(one.startswith(short[one]) and len(short[one]) >= 12 for one in ids)


def test_ids_that_begin_alike_are_shown_longer() -> None:
    one, other, third = "a" * 64, "a" * 20 + "b" * 44, "c" * 64
    short = short_ids([one, other, third])
    assert [short[one], short[other], short[third]] == ["a" * 21, "a" * 20 + "b", "c" * 12]
    assert short == {one: "a" * 21, other: "a" * 20 + "b"}, "no more than these need be kept"
