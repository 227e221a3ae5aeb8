"""How ids are shortened while objects come and go: as where all are shortened at once."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from exporter.core.model import BuildCache, BuildRecord, ImageId
from exporter.core.text import short_ids
from exporter.figures.figures import Figures
from tests.support.snapshots import container, image, snapshot

#: Ids of which some begin with the same twelve digits.
_IDS = st.lists(st.sampled_from([f"{one:x}" * 12 + end for one in range(4) for end in "abc"]), unique=True)


@given(st.lists(st.tuples(_IDS, _IDS), min_size=1, max_size=8))
def test_ids_are_shortened_as_if_they_had_just_been_read(states: Sequence[tuple[list[str], list[str]]]) -> None:
    figures = None
    for images, others in states:
        used = images[0] if images else others[-1] if others else "d" * 64
        found = snapshot(
            {},
            images=[image(one) for one in images],
            containers=[container(one, image_id=ImageId(used)) for one in others],
            build_cache=BuildCache(tuple(BuildRecord(one, "regular", 1, None) for one in others)),
        )
        figures = Figures(found, figures)
        expected = short_ids({*images, *others, *([used] if others else [])})
        assert figures.short_names == expected
        assert figures.short_records == short_ids(others)
        figures.forget_before()


def test_of_many_ids_that_come_and_go_only_those_that_are_there_count() -> None:
    figures = None
    for turn in range(8):
        alike = ["a" * 12 + "1", "a" * 12 + "2"] if turn == 6 else ["a" * 12 + str(turn)]
        names = [*alike, *(f"{turn:03}{at:09}x" for at in range(300))]
        figures = Figures(snapshot({}, images=[image(one) for one in names]), figures)
        assert figures.short_names == short_ids(names)
        figures.forget_before()
